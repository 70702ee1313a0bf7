"""A checkpoint: a model with its tokenizer, where it came from, and how its inputs and answers are to be read."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, Literal

import torch

from xlprobe.checkpoints.hashing import hash_tensors
from xlprobe.checkpoints.labels import TRUE_FALSE, class_order
from xlprobe.encoders.answers import decoder_start
from xlprobe.encoders.heads import Head, head_of
from xlprobe.encoders.layout import layout_of, position_limit, token_type_count
from xlprobe.encoders.modules import attention_modules, looks_across, unwrapped
from xlprobe.errors import CheckpointError, DataError
from xlprobe.metrics.blocks import CLOSED_TO_CAUSAL, CLOSED_TO_CROSS, CLOSED_WITHOUT_CLS

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from xlprobe.samples.encoding import Encoder
    from xlprobe.samples.types import ParallelSample

__all__ = ["Checkpoint", "Part"]

Part = Literal["encoder", "cross"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, repr=False)
class Checkpoint:
    """A model in evaluation mode with its tokenizer, where it came from, and how its inputs are encoded.

    A model in DataParallel or DistributedDataParallel is taken out of it.
    `encoding` holds the options of `xlprobe.samples.encoding` that the checkpoint expects (such as `prefix`). `labels`
    are the names of a classifier's classes in the model's order; empty: those that its configuration gives.
    """

    name: str
    spec: str
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    provenance: Mapping[str, Any] = field(default_factory=dict)
    encoding: Mapping[str, Any] = field(default_factory=dict)
    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        # What training over several devices puts around a model only gets in the way of looking into it.
        object.__setattr__(self, "model", unwrapped(self.model))
        if self.labels and len(self.labels) != len(self._configured_classes()):
            raise CheckpointError(
                f"{self.name}: got labels={list(self.labels)} for a classifier of {len(self._configured_classes())} "
                "classes; expected one name per class, in the model's order"
            )

    def __repr__(self) -> str:
        return (
            f"Checkpoint({self.name!r}, {type(self.model).__name__}, {self.num_layers} layers, {self.num_heads} heads, "
            f"head: {self.head})"
        )

    @property
    def is_cross_query(self) -> bool:
        """Whether the model has cross-lingual queries."""
        return str(self.model.config.model_type).startswith("cross-query-")

    @property
    def head(self) -> Head:
        """The head on top of the encoder."""
        return head_of(type(self.model).__name__) or "none"

    @property
    def is_causal(self) -> bool:
        """Whether no token attends to a later one, so that samples become prompts."""
        return layout_of(self.model).causal

    @property
    def part(self) -> Part:
        """What of an encoder-decoder is looked into, "encoder" or "cross"; of all others it is the encoder."""
        return "cross" if looks_across(self.model) else "encoder"

    @property
    def can_answer(self) -> bool:
        """Whether the model answers: by a classifier, or by the word that it goes on with."""
        return self.head in ("classification", "causal", "seq2seq")

    @cached_property
    def closed(self) -> Mapping[str, str]:
        """The blocks of attention, and the edges, that the model has not, with the reason."""
        if self.part == "cross":
            return CLOSED_TO_CROSS
        if self.is_causal:
            return CLOSED_TO_CAUSAL
        encoder: Any = self.encoder()
        return {} if encoder.begins_with_special else CLOSED_WITHOUT_CLS

    @property
    def num_layers(self) -> int:
        """The number of layers."""
        crossing = self.part == "cross"
        return len(attention_modules(self.model)) if crossing else int(self.model.config.num_hidden_layers)

    @property
    def num_heads(self) -> int:
        """The number of attention heads of a layer."""
        crossing = self.part == "cross"
        return layout_of(self.model).heads if crossing else int(self.model.config.num_attention_heads)

    @property
    def device(self) -> torch.device:
        """Where the model's weights are."""
        return self.model.device

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classifier's classes in the model's order; none without a classifier."""
        return (self.labels or self._configured_classes()) if self.head == "classification" else ()

    def class_of(self, label_names: tuple[str, ...] = ()) -> tuple[int, ...]:
        """Return, for each label of samples with these label names, the index of the class that it means.

        A model that answers by a word has a class for every label. Raises `DataError` where labels do not fit the
        classes; see `xlprobe.checkpoints.labels.class_order`.
        """
        if self.head in ("causal", "seq2seq"):
            return tuple(range(len(label_names or TRUE_FALSE)))
        order = class_order(self.classes, label_names)
        if order != tuple(range(len(order))):
            _say_order(self.name, tuple(self.classes[place] for place in order), label_names or TRUE_FALSE)
        return order

    def check_labels(self, samples: Iterable[ParallelSample]) -> None:
        """Raise `DataError` where a label of the samples is none of the classifier's classes."""
        for names, label in {(sample.label_names, sample.label) for sample in samples if sample.label is not None}:
            if not 0 <= label < len(order := self.class_of(names)):
                raise DataError(
                    f"got the label {str(label)[:20]}; expected 0 to {len(order) - 1}, which stand for the classes of "
                    f"{self.name}: {', '.join(self.classes or names or TRUE_FALSE)}. Use samples of "
                    "its task"
                )

    def encoder(self, max_length: int | None = None, *, fresh_head: bool = False) -> Encoder:
        """Return an encoder of samples as the checkpoint reads them: its layout, token types, prefix and positions.

        For a causal model it makes prompts (`xlprobe.samples.prompts.PromptEncoder`), with its template and answers. So
        it does for an encoder-decoder, and where a tokenizer puts no separators around a pair of texts
        (`xlprobe.samples.sequences.SequenceEncoder`).
        `max_length` may ask for fewer tokens than the model has positions, never for more. The labels of its batches
        are class indices of the model; with `fresh_head`, of one that is yet to be trained. Raises `CheckpointError`
        on options in `encoding` that `Encoder` does not know, or that the model has no weights for.
        """
        limit = position_limit(self.model)
        asked = [limit, *(int(length) for length in (self.encoding.get("max_length"), max_length) if length)]
        class_of = self.class_of if self.head == "classification" and not fresh_head else None
        common: dict[str, Any] = {"max_length": min(asked), "class_of": class_of}
        if self.is_causal:
            from xlprobe.samples.prompts import PromptEncoder

            options = self._encoding_for(PromptEncoder, "answering")
            return PromptEncoder(self.tokenizer, **{**options, **common, "answering": self.head == "causal"})
        from xlprobe.samples.encoding import Encoder, separates

        if self.head == "seq2seq" or not separates(self.tokenizer):
            from xlprobe.samples.sequences import PromptEncoder, SequenceEncoder

            answering = self.head == "seq2seq"
            start = decoder_start(self.model) if answering else ()
            options = self._encoding_for(PromptEncoder, "answering")
            common |= {"answering": answering, "decoder_start": start}
            return SequenceEncoder(self.tokenizer, **{**options, **common})
        options = self._encoding_for(Encoder)
        types = token_type_count(self.model)
        if options.get("token_types") == "segments" and types < 2:
            raise CheckpointError(
                f"{self.name}: got token_types='segments' for a model with {types} token types; expected 2 or more. "
                "Use token_types='zeros'"
            )
        if types == 0:
            options["token_types"] = "none"
        return Encoder(self.tokenizer, **{**options, **common})

    def _encoding_for(self, kind: type, *ours: str) -> dict[str, Any]:
        """Return the options of `encoding`, or refuse those that this kind of encoder does not know."""
        known = set(inspect.signature(kind).parameters) - {"tokenizer", "class_of", *ours}
        if strange := sorted(set(self.encoding) - known):
            raise CheckpointError(f"{self.name}: got the encoding options {strange}; expected some of {sorted(known)}")
        return dict(self.encoding)

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the model's weights (see `hash_tensors`)."""
        return hash_tensors(self.model.state_dict())

    def _configured_classes(self) -> tuple[str, ...]:
        config = self.model.config
        names = getattr(config, "id2label", None) or {}
        return tuple(str(names.get(place, f"LABEL_{place}")) for place in range(int(config.num_labels or 0)))


@lru_cache(maxsize=256)
def _say_order(name: str, classes: tuple[str, ...], labels: tuple[str, ...]) -> None:
    """Say once what is taken for what, where the order of the samples' labels is not the classifier's."""
    order = ", ".join(f"{label!r} is {one!r}" for label, one in zip(labels, classes, strict=True))
    logger.warning("%s: the samples' labels are matched with its classes by name: %s", name, order)

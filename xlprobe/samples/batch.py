"""A batch: token ids with the segment, language and unit of every token."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from xlprobe.errors import DataError
from xlprobe.samples.types import Sample

__all__ = ["Batch"]


@dataclass(frozen=True)
class Batch:
    """Encoded samples, padded on the right to the longest.

    `segment_ids`: 0 for the first token, the context and its separator; 1 for the question and its separators;
    -1 for padding. `unit_ids`: 0, 1, ... for the context's units, then the question's number (the count of context
    units); -1 for special tokens, a prefix, and padding. `language_ids`: `xlprobe.languages.language_id` of the
    token's language, special tokens included (the first token and the first separator take the context's, the
    separators after it the question's); 0 for padding. `special_mask`: True on special tokens and padding.
    `token_type_ids` is None for models that take none. `labels`: class indices, -100 where a sample has none that
    the model knows.
    """

    input_ids: Int[Tensor, "batch position"]
    attention_mask: Int[Tensor, "batch position"]
    token_type_ids: Int[Tensor, "batch position"] | None
    language_ids: Int[Tensor, "batch position"]
    segment_ids: Int[Tensor, "batch position"]
    unit_ids: Int[Tensor, "batch position"]
    special_mask: Bool[Tensor, "batch position"]
    labels: Int[Tensor, " batch"]
    samples: tuple[Sample, ...]
    answer_ids: Int[Tensor, "batch label"] | None = field(default=None, kw_only=True)
    """For prompts that are answered by a word: the token that stands for each label."""
    decoder_ids: Int[Tensor, "batch step"] | None = field(default=None, kw_only=True)
    """For encoder-decoders: what the decoder is given before it answers, -1 after its last token."""

    @property
    def keys(self) -> tuple[str, ...]:
        """The samples' keys, in the order of the batch."""
        return tuple(sample.key for sample in self.samples)

    @property
    def lengths(self) -> Int[Tensor, " batch"]:
        """The number of tokens of each sample."""
        return self.attention_mask.sum(dim=1)

    @property
    def answer_steps(self) -> Int[Tensor, " batch"]:
        """The decoder's position at which each sample is answered; raises `DataError` without a decoder."""
        if self.decoder_ids is None:
            raise DataError("got a batch for a model without a decoder; expected one of an encoder-decoder's encoder")
        return (self.decoder_ids >= 0).sum(dim=1) - 1

    def __len__(self) -> int:
        return len(self.samples)

    def to(self, device: torch.device | str) -> Batch:
        """Return the batch with its tensors on a device."""
        moved = {
            one.name: getattr(self, one.name).to(device)
            for one in fields(self)
            if isinstance(getattr(self, one.name), Tensor)
        }
        return replace(self, **moved)

    def model_inputs(self, cross_query: bool = False) -> dict[str, Tensor]:
        """Return the keyword arguments of a model's forward pass; cross-query models also take language ids.

        Encoder-decoders take what their decoder is given, where the batch has it.
        """
        inputs = {"input_ids": self.input_ids, "attention_mask": self.attention_mask}
        if self.token_type_ids is not None:
            inputs["token_type_ids"] = self.token_type_ids
        if cross_query:
            inputs["language_ids"] = self.language_ids
        if self.decoder_ids is not None:
            inputs["decoder_input_ids"] = self.decoder_ids.clamp_min(0)
        return inputs

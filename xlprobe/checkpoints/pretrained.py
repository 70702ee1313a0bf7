"""Checkpoints as transformers saves them: a directory, or a model of the Hub."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from xlprobe.checkpoints.building import build
from xlprobe.checkpoints.checkpoint import Checkpoint
from xlprobe.checkpoints.foreign import called
from xlprobe.checkpoints.request import Format, Request
from xlprobe.checkpoints.weight_files import find_weights, read_weights
from xlprobe.encoders.heads import SUFFIXES, Head, head_of
from xlprobe.encoders.layout import token_type_count
from xlprobe.errors import CheckpointError

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedTokenizerBase

__all__ = ["PRETRAINED"]

logger = logging.getLogger(__name__)

_TOKENIZER_FILES = ("tokenizer.json", "vocab.txt", "sentencepiece.bpe.model", "vocab.json", "spiece.model", "spm.model")
_NO_CODE = "its files ask for Python code of their own (auto_map), which xlprobe never runs"
EXPECTED = "Expected a bundled name (such as bundled:encoder), a directory with config.json, or a model of the Hub"


def _read(request: Request) -> Checkpoint:
    spec = request.spec
    _check_place(request.path, spec)
    config = _read_config(spec)
    head = request.head or _head(config, spec)
    tensors = _without_wrappers(read_weights(spec, find_weights(spec)))
    model = build(spec, config, tensors, lambda config: _made(config, head, tensors))
    model.name_or_path = spec
    _read_generation(spec, model)
    tokenizer = _tokenizer(spec)
    embeddings: Any = model.get_input_embeddings()
    if len(tokenizer) > (rows := embeddings.num_embeddings):
        raise CheckpointError(
            f"{spec}: its tokenizer has {len(tokenizer)} tokens and its model embeddings for {rows}; tokens were added "
            "without making room: model.resize_token_embeddings(len(tokenizer)), then train and save both"
        )
    name = request.path.name if request.path.is_dir() else spec
    stored = next((tensor.dtype for tensor in tensors.values() if tensor.is_floating_point()), None)
    provenance = {"model_type": config.model_type, "architecture": type(model).__name__, "stored_dtype": str(stored)}
    encoding = _encoding(config, model, tokenizer, head)
    if encoding.get("token_types") == "segments":
        provenance["token_types"] = "0 for the context, 1 for the question"
    return Checkpoint(name, spec, model, tokenizer, provenance, encoding)


def _check_place(path: Path, spec: str) -> None:
    if (path / "adapter_config.json").is_file():
        raise CheckpointError(
            f"{spec} holds a PEFT adapter (such as LoRA) without the model that it belongs to; expected whole weights. "
            "Merge them and save the result: AutoPeftModelForSequenceClassification.from_pretrained(...)"
            ".merge_and_unload().save_pretrained(directory), and the tokenizer beside it"
        )
    if path.is_dir() and not (path / "config.json").is_file():
        within = sorted(one.parent.name for one in path.glob("*/config.json"))
        hint = f"It holds checkpoints, of which one can be named: {', '.join(within[:5])}" if within else EXPECTED
        raise CheckpointError(f"cannot load the checkpoint {spec!r}: the directory has no config.json. {hint}")
    if path.is_file() and (path.parent / "config.json").is_file():
        raise CheckpointError(
            f"cannot load the file {spec!r}, which is a part of a checkpoint; expected its directory, {path.parent}"
        )
    if path.is_file():
        raise CheckpointError(
            f"cannot load the file {spec!r}; expected query.pt, model.pt or a delta of xlprobe. A state dict alone "
            "does not say its configuration: load it into the model that it is of, and save that with its tokenizer by "
            "save_pretrained(directory)"
        )
    if not path.is_dir() and (spec.startswith((".", "/", "~")) or spec.count("/") > 1):
        raise CheckpointError(f"cannot load the checkpoint {spec!r}: there is no such directory. {EXPECTED}")


def _read_config(spec: str) -> PretrainedConfig:
    what = f"cannot load the checkpoint {spec!r}: its configuration cannot be read"
    try:
        config = called(what, lambda: _configuration(spec))
    except CheckpointError as error:
        if "trust_remote_code" in str(error.__cause__):
            raise CheckpointError(f"cannot load the checkpoint {spec!r}: {_NO_CODE}") from error
        raise CheckpointError(f"{error}. {EXPECTED}") from error
    if getattr(config, "quantization_config", None) is not None:
        raise CheckpointError(
            f"{spec}: its weights are quantised; expected plain ones, whose attention can be looked at. Load it with "
            "transformers, call model.dequantize() and save that, or use the model that it was made from"
        )
    # What was the fastest attention where it was trained may not exist here; ours is chosen for each pass.
    config._attn_implementation = None
    return config


def _configuration(spec: str) -> PretrainedConfig:
    from transformers import AutoConfig, PretrainedConfig

    from xlprobe.encoders.cross_families import make_known

    make_known(str(PretrainedConfig.get_config_dict(spec)[0].get("model_type")))
    return AutoConfig.from_pretrained(spec, trust_remote_code=False)  # type: ignore[no-any-return]


def _head(config: Any, spec: str) -> Head:
    names = config.architectures if isinstance(config.architectures, list) else []
    if heads := [head for head in (head_of(str(name)) for name in names) if head]:
        return heads[0]
    raise CheckpointError(
        f"{spec}: config.json names the architectures {names!r:.200}; expected one that ends in "
        f"{', '.join(SUFFIXES.values())}. Say which head to load: head='none' is the bare encoder"
    )


def _made(config: Any, head: Head, tensors: Mapping[str, Tensor]) -> Any:
    import transformers

    auto: Any = {
        "none": transformers.AutoModel,
        "classification": transformers.AutoModelForSequenceClassification,
        "mlm": transformers.AutoModelForMaskedLM,
        "causal": transformers.AutoModelForCausalLM,
        "seq2seq": transformers.AutoModelForSeq2SeqLM,
    }[head]
    if head == "none" and type(config)().is_encoder_decoder and not any("decoder." in name for name in tensors):
        auto = transformers.AutoModelForTextEncoding  # the encoder of an encoder-decoder alone
    model = auto.from_config(config, trust_remote_code=False)
    if head == "none" and getattr(model, "pooler", None) is not None and not any("pooler." in n for n in tensors):
        model.pooler = None  # saved without a pooler: none is made up
    return model


def _read_generation(spec: str, model: Any) -> None:
    """Give an encoder-decoder what `generation_config.json` says of how its answers begin, where there is one."""
    from transformers import GenerationConfig

    if head_of(type(model).__name__) == "seq2seq":
        with suppress(CheckpointError):  # it need not be there; what the model's own configuration says stands then
            what = f"{spec}: its generation_config.json cannot be read"
            model.generation_config = called(what, lambda: GenerationConfig.from_pretrained(spec))


def _without_wrappers(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Take off what torch.compile and DataParallel put before the names."""
    prefixes = ("_orig_mod.", "module.")
    while prefix := next((one for one in prefixes if tensors and all(name.startswith(one) for name in tensors)), None):
        tensors = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    return tensors


def _tokenizer(spec: str) -> PreTrainedTokenizerBase:
    from transformers import AutoTokenizer

    # Without its files transformers makes a tokenizer with an empty vocabulary, which knows no word.
    directory = Path(spec)
    if directory.is_dir() and not any((directory / name).exists() for name in _TOKENIZER_FILES):
        raise CheckpointError(
            f"{spec}: has no tokenizer; expected one of {', '.join(_TOKENIZER_FILES)} beside the weights. "
            "Save it there: tokenizer.save_pretrained(directory)"
        )

    def read() -> tuple[Any, int]:
        tokenizer = AutoTokenizer.from_pretrained(spec, trust_remote_code=False)
        # Some damage shows only where a tokenizer is used.
        tokenizer("a b", "c")
        return tokenizer, len(tokenizer) - len(tokenizer.all_special_ids)

    try:
        tokenizer, words = called(f"{spec}: its tokenizer cannot be read", read)
    except CheckpointError as error:
        if "tiktoken" in str(error):  # what transformers tries last with a vocabulary that it cannot read
            raise CheckpointError(
                f"{spec}: its tokenizer cannot be read: its vocabulary is no sentencepiece model, or is damaged. Get "
                "it again, or save tokenizer.json beside it where it is read: tokenizer.save_pretrained(directory)"
            ) from error
        if "trust_remote_code" in str(error.__cause__):
            raise CheckpointError(f"{spec}: its tokenizer cannot be read: {_NO_CODE}") from error
        raise CheckpointError(
            f"{error}; it is damaged, or of another version of tokenizers. Save it again with this one"
        ) from error
    if not tokenizer.is_fast:
        raise CheckpointError(
            f"{spec}: its tokenizer, {type(tokenizer).__name__}, has no fast version, so no token's place in the text "
            "is known; expected one that has (a tokenizer.json). Use another model of the language"
        )
    if words <= 0:
        raise CheckpointError(
            f"{spec}: its tokenizer, {type(tokenizer).__name__}, knows special tokens only; its words are in a file "
            "of another kind. Save the one that it was trained with: tokenizer.save_pretrained(directory)"
        )
    return tokenizer


def _encoding(config: Any, model: Any, tokenizer: Any, head: Head) -> dict[str, Any]:
    """Return how inputs are encoded: as the checkpoint says, else as transformers trains a classifier of pairs."""
    own = getattr(config, "xlprobe_encoding", None)
    if own is not None:
        if not isinstance(own, dict):
            raise CheckpointError(f"config.json has xlprobe_encoding={own!r:.80}; expected the options of an encoder")
        return dict(own)
    types = tokenizer("a", "b").get("token_type_ids") or ()
    segments = head == "classification" and 1 in types and token_type_count(model) > 1
    return {"token_types": "segments"} if segments else {}


PRETRAINED = Format(lambda request: True, _read)

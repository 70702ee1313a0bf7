"""The files that the method's authors released: `query.pt` and `model.pt`, read without running their code.

`query.pt` holds the tensors of Q_cross, `model.pt` a whole pickled model; neither has a tokenizer, which comes from the
base. Both were trained with one separator between context and question (arXiv 2310.15258, section 4).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from xlprobe.checkpoints.building import build
from xlprobe.checkpoints.checkpoint import Checkpoint
from xlprobe.checkpoints.foreign import called
from xlprobe.checkpoints.pickles import StandIn, module_tensors, read_pickle
from xlprobe.checkpoints.request import Format, Request
from xlprobe.checkpoints.storages import Held
from xlprobe.checkpoints.tensor_files import read_tensors
from xlprobe.encoders.pairs import canonical_pair
from xlprobe.errors import CheckpointError

__all__ = ["RELEASED", "ReleasedModel", "apply_query", "build_released", "read_query", "read_released"]

_ENDINGS = (".pt", ".pth", ".bin", ".ckpt", ".safetensors")
_QUERY_KEY = re.compile(
    r"(?:module\.)?(?:bert\.|roberta\.)?"
    r"(encoder\.layer\.\d+\.attention\.self\.cross_lingual_(?:query|queries\.[a-z]+-[a-z]+)\.(?:weight|bias))"
)
_ARCHITECTURE = re.compile(r"(?:CrossQuery)?(Bert|XLMRoberta)(Model|ForSequenceClassification|ForMaskedLM)")
_LAYOUT = {"layout": "method"}


def _read(request: Request) -> Checkpoint:
    if request.spec.endswith(".safetensors"):
        query = _only_queries(request.spec, read_tensors(request.path)[0])
        return _with_query(request, query, {})
    content = read_pickle(request.path)
    if isinstance(content, StandIn):
        return _whole_model(request, _released(request.spec, content))
    return _with_query(request, _only_queries(request.spec, _tensors(request.spec, content)), _LAYOUT)


def _with_query(request: Request, query: dict[str, Tensor], layout: Mapping[str, Any]) -> Checkpoint:
    from xlprobe.encoders.convert import to_cross_query

    base = request.base_checkpoint("the tensors of Q_cross only", head=request.head)
    model: Any = base.model
    if not base.is_cross_query:
        own = sorted({key.split("queries.")[1].split(".")[0] for key in query if ".cross_lingual_queries." in key})
        model = to_cross_query(model, None, pairs=own or ([request.pair] if request.pair else None))
    model = apply_query(model, query, request.pair)
    provenance = {**base.provenance, "base": base.spec, "query": request.path.name}
    name = f"{base.name}+{request.path.stem}"
    return Checkpoint(
        name, request.spec, model.eval(), base.tokenizer, provenance, {**base.encoding, **layout}, base.labels
    )


def _whole_model(request: Request, released: ReleasedModel) -> Checkpoint:
    model = build_released(released, request.spec)
    base = request.base_checkpoint("a whole model without its tokenizer", head="none")
    if len(base.tokenizer) > model.config.vocab_size:
        raise CheckpointError(
            f"{request.spec} has a vocabulary of {model.config.vocab_size} and {base.name}'s tokenizer has "
            f"{len(base.tokenizer)} pieces; name the base that the model was trained from"
        )
    provenance = {"base": base.spec, "format": "released model.pt", "architecture": type(model).__name__}
    encoding = {**base.encoding, **_LAYOUT}
    return Checkpoint(request.path.stem, request.spec, model, base.tokenizer, provenance, encoding)


def read_query(path: str | Path) -> dict[str, Tensor]:
    """Read `query.pt`, or `query.safetensors` as `xlprobe pretrain` writes it: the tensors of Q_cross.

    They are named from `encoder.layer.0.attention.self...` on. Raises `CheckpointError` on any other key, on an
    unpaired weight or bias, and on a damaged file.
    """
    if str(path).endswith(".safetensors"):
        return _only_queries(path, read_tensors(Path(path))[0])
    return _only_queries(path, _tensors(path, read_pickle(path)))


def _tensors(path: str | Path, content: Any) -> dict[str, Tensor]:
    if not isinstance(content, dict) or not content or not all(isinstance(value, Held) for value in content.values()):
        names = [str(name)[:40] for name in content][:4] if isinstance(content, dict) else []
        what = f"dictionary of {', '.join(names) or 'nothing'}" if isinstance(content, dict) else type(content).__name__
        raise CheckpointError(
            f"{path}: holds a {what.removeprefix('_')[:200]}; expected query.pt, the tensors of Q_cross by name, or "
            "model.pt, a whole pickled model. Of a training's own checkpoint (PyTorch Lightning, a trainer's state) "
            "load the state dict into the model that it is of, and save that by save_pretrained(directory)"
        )
    return {str(name): value.tensor for name, value in content.items()}


def _only_queries(path: str | Path, loaded: Mapping[str, Tensor]) -> dict[str, Tensor]:
    query: dict[str, Tensor] = {}
    for key, tensor in loaded.items():
        match = _QUERY_KEY.fullmatch(key)
        if ".lora_" in key:
            raise CheckpointError(
                f"{path}: holds a PEFT adapter ({key[:120]!r}); expected whole weights. Merge it into its model and "
                "save that by save_pretrained(directory)"
            )
        if match is None:
            raise CheckpointError(
                f"{path}: holds {key[:120]!r}; expected only encoder.layer.N.attention.self.cross_lingual_query.weight "
                "and .bias, with or without the prefix bert. or roberta. A whole model's state dict does not say its "
                "configuration: load it into the model that it is of, and save that by save_pretrained(directory)"
            )
        query[match[1]] = tensor
    alone = sorted(k for k in query if (k[:-6] + "bias" if k.endswith("weight") else k[:-4] + "weight") not in query)
    if alone or not query:
        raise CheckpointError(
            f"{path}: lacks the counterpart of {alone[0] if alone else 'everything'}; expected weight and bias of "
            "each layer"
        )
    if broken := [key for key, tensor in query.items() if not bool(torch.isfinite(tensor).all())]:
        raise CheckpointError(f"{path}: holds NaN or infinite values in {broken[0]}; use an earlier checkpoint")
    return query


def apply_query(model: PreTrainedModel, query: Mapping[str, Tensor], pair: str | None = None) -> PreTrainedModel:
    """Put the tensors of `read_query` into a cross-query model, in place; the layers must be the same.

    `pair` names the language pair that they serve in a model with a Q_cross per pair. Raises `CheckpointError`
    naming the layers or shapes that do not agree.
    """
    target = "cross_lingual_quer" if pair is None else f"cross_lingual_queries.{canonical_pair(pair)}."
    renamed = {key if pair is None else key.replace("cross_lingual_query.", target): t for key, t in query.items()}
    own = {key: t for key, t in model.base_model.named_parameters() if f".{target}" in key}
    if own.keys() != renamed.keys():
        missing, unexpected = sorted(own.keys() - renamed.keys()), sorted(renamed.keys() - own.keys())
        raise CheckpointError(
            f"Q_cross does not fit this model: it lacks {missing[:3]} and has {unexpected[:3]} too many; expected one "
            f"for each of the model's {len(own) // 2} layers with a Q_cross. Name the base that it was trained on"
        )
    for key, tensor in renamed.items():
        if own[key].shape != tensor.shape:
            raise CheckpointError(
                f"{key} has shape {tuple(tensor.shape)}; expected {tuple(own[key].shape)}. Name the base that Q_cross "
                "was trained on"
            )
    with torch.no_grad():
        for key, tensor in renamed.items():
            own[key].copy_(tensor)
    return model


@dataclass(frozen=True)
class ReleasedModel:
    """What a whole pickled model holds: its class's name, its tensors, and its configuration's plain values."""

    architecture: str
    tensors: Mapping[str, Tensor]
    config: Mapping[str, Any]


def read_released(path: str | Path) -> ReleasedModel:
    """Read `model.pt`, a whole pickled model, without running any code of it (see `pickles`)."""
    return _released(path, read_pickle(path))


def _released(path: str | Path, module: Any) -> ReleasedModel:
    if not isinstance(module, StandIn) or not isinstance(module.__dict__.get("_modules"), dict):
        raise CheckpointError(f"{path}: holds a {type(module).__name__[:80]}; expected a whole model")
    config = module.__dict__.get("config")
    plain = _plain_values(config.__dict__) if isinstance(config, StandIn) else {}
    return ReleasedModel(type(module).__name__, module_tensors(module), plain)


def build_released(released: ReleasedModel, spec: str = "model.pt") -> PreTrainedModel:
    """Build the model of a `ReleasedModel`: BERT or XLM-R, plain or cross-query, with its head.

    Raises `CheckpointError` for other architectures, and naming every tensor that is missing or unexpected.
    """
    import transformers

    from xlprobe.encoders import cross_query

    match = _ARCHITECTURE.fullmatch(released.architecture)
    if match is None:
        raise CheckpointError(
            f"{spec}: got a pickled {released.architecture[:80]}; expected BERT or XLM-R, bare or with a classifier "
            "or LM head"
        )
    crossed = any(".cross_lingual_query." in key for key in released.tensors)
    home: Any = cross_query if crossed else transformers
    made_class = getattr(home, ("CrossQuery" if crossed else "") + match[1] + match[2])
    known = set(made_class.config_class().to_dict()) - {"model_type", "architectures", "transformers_version"}
    values = {key: value for key, value in released.config.items() if key in known}
    values["num_labels"] = _number_of_labels(released)
    config = called(f"{spec}: its configuration is damaged", lambda: made_class.config_class(**values))
    return build(spec, config, released.tensors, made_class, shared=True)


def _number_of_labels(released: ReleasedModel) -> int:
    for key in ("classifier.weight", "classifier.out_proj.weight"):
        if key in released.tensors and released.tensors[key].dim():
            return int(released.tensors[key].shape[0])
    return 2


def _plain_values(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Keep what JSON could hold; configurations of old versions write underscores before some names."""
    plain: dict[str, Any] = {}
    for key, value in attributes.items():
        if isinstance(value, (str, int, float, bool)) and not key.startswith("_"):
            plain[key] = value
    names = attributes.get("id2label")
    if isinstance(names, dict) and all(isinstance(name, str) for name in names.values()):
        plain["id2label"] = dict(names)
    return plain


def _recognise(request: Request) -> bool:
    path = request.path
    # The weights of a directory that transformers wrote are a part of it.
    part = path.name.startswith(("model.safetensors", "pytorch_model", "adapter_model"))
    return path.is_file() and path.suffix in _ENDINGS and not (part and (path.parent / "config.json").is_file())


RELEASED = Format(_recognise, _read)

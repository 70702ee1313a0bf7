"""The formats that the method's authors released: `query.pt` and `model.pt`, read without running their code."""

from __future__ import annotations

import pickle
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from xlprobe.checkpoints.pickles import StandIn, module_tensors, read_pickled_module
from xlprobe.checkpoints.tensor_files import read_tensors
from xlprobe.encoders.pairs import canonical_pair
from xlprobe.errors import CheckpointError

__all__ = ["ReleasedModel", "apply_query", "build_released", "read_query", "read_released"]

_QUERY_KEY = re.compile(
    r"(?:module\.)?(?:bert\.|roberta\.)?"
    r"(encoder\.layer\.\d+\.attention\.self\.cross_lingual_(?:query|queries\.[a-z]+-[a-z]+)\.(?:weight|bias))"
)
_ARCHITECTURE = re.compile(r"(?:CrossQuery)?(Bert|XLMRoberta)(Model|ForSequenceClassification|ForMaskedLM)")
_SPARE = re.compile(r"embeddings\.(position_ids|token_type_ids)$")
"""Tensors that old versions of transformers saved and that are counted off again: the numbers 0, 1, 2, ..."""


def read_query(path: str | Path) -> dict[str, Tensor]:
    """Read `query.pt`, or `query.safetensors` as `xlprobe pretrain` writes it: the tensors of Q_cross.

    They are named from `encoder.layer.0.attention.self...` on. Only tensors are read (weights-only). Raises
    `CheckpointError` on any other key, on an unpaired weight or bias, and on a damaged file.
    """
    if str(path).endswith(".safetensors"):
        return _only_queries(path, read_tensors(Path(path))[0])
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise CheckpointError(f"{path}: no such file") from error
    except pickle.UnpicklingError as error:  # torch's own message advises to load it unsafely
        raise CheckpointError(
            f"{path}: cannot be read as a state dict (it is cut short, or holds more than tensors); expected query.pt"
        ) from error
    except (RuntimeError, EOFError, ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise CheckpointError(f"{path}: cannot be read as a state dict ({reason}); expected query.pt") from error
    return _only_queries(path, loaded)


def _only_queries(path: str | Path, loaded: Any) -> dict[str, Tensor]:
    if not isinstance(loaded, Mapping) or not loaded:
        raise CheckpointError(f"{path}: holds a {type(loaded).__name__}; expected a state dict of Q_cross")
    found: dict[str, Tensor] = {}
    for key, tensor in loaded.items():
        match = _QUERY_KEY.fullmatch(str(key))
        if match is None or not isinstance(tensor, Tensor):
            raise CheckpointError(
                f"{path}: holds {key!r}; expected only encoder.layer.N.attention.self.cross_lingual_query.weight and "
                ".bias, with or without the prefix bert. or roberta."
            )
        found[match[1]] = tensor
    alone = sorted(k for k in found if (k[:-6] + "bias" if k.endswith("weight") else k[:-4] + "weight") not in found)
    if alone:
        raise CheckpointError(f"{path}: lacks the counterpart of {alone[0]}; expected weight and bias of each layer")
    return found


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
    module = read_pickled_module(path)
    config = module.__dict__.get("config")
    plain = _plain_values(config.__dict__) if isinstance(config, StandIn) else {}
    return ReleasedModel(type(module).__name__, module_tensors(module), plain)


def build_released(released: ReleasedModel) -> PreTrainedModel:
    """Build the model of a `ReleasedModel`: BERT or XLM-R, plain or cross-query, with its head.

    Raises `CheckpointError` for other architectures, and naming every tensor that is missing or unexpected.
    """
    import transformers

    from xlprobe.encoders import cross_query

    match = _ARCHITECTURE.fullmatch(released.architecture)
    if match is None:
        raise CheckpointError(
            f"got a pickled {released.architecture}; expected BERT or XLM-R, bare or with a classifier or LM head"
        )
    crossed = any(".cross_lingual_query." in key for key in released.tensors)
    home: Any = cross_query if crossed else transformers
    made_class = getattr(home, ("CrossQuery" if crossed else "") + match[1] + match[2])
    known = set(made_class.config_class().to_dict()) - {"model_type", "architectures", "transformers_version"}
    values = {key: value for key, value in released.config.items() if key in known}
    values["num_labels"] = _number_of_labels(released)
    with torch.random.fork_rng(devices=[]):
        model = made_class(made_class.config_class(**values))
    own = model.state_dict()
    tensors = {key: tensor for key, tensor in released.tensors.items() if not _SPARE.search(key)}
    missing = sorted(own.keys() - tensors.keys())
    unexpected = sorted(tensors.keys() - own.keys())
    if missing or unexpected:
        raise CheckpointError(
            f"the pickled {released.architecture} lacks {len(missing)} tensors {missing[:4]} and has {len(unexpected)} "
            f"unexpected ones {unexpected[:4]}; expected exactly those of {made_class.__name__}"
        )
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        raise CheckpointError(f"the pickled {released.architecture} has tensors of other shapes: {error}") from error
    return model.eval()


def _number_of_labels(released: ReleasedModel) -> int:
    for key in ("classifier.weight", "classifier.out_proj.weight"):
        if key in released.tensors:
            return int(released.tensors[key].shape[0])
    return 2


def _plain_values(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Keep what JSON could hold; configurations of old versions write underscores before some names."""
    plain: dict[str, Any] = {}
    for key, value in attributes.items():
        if isinstance(value, (str, int, float, bool)) and not key.startswith("_"):
            plain[key] = value
    return plain

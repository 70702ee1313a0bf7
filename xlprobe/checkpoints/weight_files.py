"""The files that hold a transformers model's weights: where they are, and what is in them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from xlprobe.checkpoints.foreign import called
from xlprobe.checkpoints.pickles import read_pickle
from xlprobe.checkpoints.storages import Held
from xlprobe.checkpoints.tensor_files import read_tensors
from xlprobe.errors import CheckpointError

__all__ = ["find_weights", "read_state_dict", "read_weights"]

_WHOLE = ("model.safetensors", "pytorch_model.bin")
_ELSEWHERE = {
    "tf_model.h5": "of TensorFlow",
    "flax_model.msgpack": "of Flax",
    "model.ckpt.index": "of TensorFlow",
    "model.onnx": "of ONNX",
}


def find_weights(spec: str) -> list[Path]:
    """Return the files of a directory's, or a Hub model's, weights: one, or the parts that an index names."""
    for name in _WHOLE:
        if (file := _file(spec, name)) is not None:
            return [file]
        if (index := _file(spec, f"{name}.index.json")) is not None:
            return [_part(spec, part, index) for part in _file_names(index)]
    other = next((what for name, what in _ELSEWHERE.items() if (Path(spec) / name).is_file()), None)
    raise CheckpointError(
        f"{spec}: its weights cannot be read: there is no {' or '.join(_WHOLE)}"
        + (f", only weights {other}. Load them with from_tf or from_flax and save them again" if other else "")
    )


def read_weights(spec: str, files: Sequence[Path]) -> dict[str, Tensor]:
    """Return the tensors of all files by name."""
    tensors: dict[str, Tensor] = {}
    for file in files:
        tensors |= read_tensors(file)[0] if file.name.endswith(".safetensors") else read_state_dict(file)
    if not tensors:
        raise CheckpointError(f"{spec}: its weights cannot be read: the file holds no tensors")
    return tensors


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a state dict that torch.save wrote, read without running any of its code."""
    content = read_pickle(path)
    if not isinstance(content, dict) or not all(isinstance(tensor, Held) for tensor in content.values()):
        raise CheckpointError(f"{path}: holds a {type(content).__name__[:80]}; expected a state dict: tensors by name")
    return {str(name): tensor.tensor for name, tensor in content.items()}


def _file(spec: str, name: str) -> Path | None:
    if Path(spec).is_dir():
        return Path(spec) / name if (Path(spec) / name).is_file() else None
    from transformers.utils import cached_file

    options = {"_raise_exceptions_for_missing_entries": False, "_raise_exceptions_for_connection_errors": False}
    file = called(f"{spec}: {name} cannot be fetched", lambda: cached_file(spec, name, **options))
    return Path(file) if file else None


def _file_names(index: Path) -> list[str]:
    try:
        names = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    except (OSError, ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise CheckpointError(
            f"{index}: cannot be read ({type(error).__name__}); expected an index of weights"
        ) from error
    if strange := [name for name in names if not isinstance(name, str) or Path(name).name != name]:
        raise CheckpointError(f"{index}: names the file {str(strange[0])[:80]!r}; expected files beside it")
    return sorted(names)


def _part(spec: str, name: str, index: Path) -> Path:
    file = _file(spec, name)
    if file is None:
        raise CheckpointError(f"{index}: names {name[:80]!r}, which is not there; get the checkpoint again")
    return file

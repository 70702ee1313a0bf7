"""Trained weights as what differs from a base: one safetensors file with the base's name and hash.

State dicts in, state dicts out; which base to load, and by which name, is the caller's business.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from xlprobe.checkpoints.checkpoint import hash_tensors
from xlprobe.checkpoints.tensor_files import read_tensors, write_tensors
from xlprobe.errors import CheckpointError

__all__ = ["DELTA_FILE", "Delta", "apply_delta", "is_delta", "make_delta", "read_delta", "save_delta"]

DELTA_FILE = "delta.safetensors"
_FORMAT = "xlprobe-delta-1"


@dataclass(frozen=True)
class Delta:
    """What turns a base's tensors into a trained model's.

    `tensors`: those that are new or changed, whole. `dropped`: the base's that the model has not. `base` and
    `base_hash` name the base and the hash of its state dict (`hash_tensors`); `result_hash` is that of the result.
    `config` is the model's configuration, `meta` anything about the training that can be written as JSON.
    """

    base: str
    base_hash: str
    result_hash: str
    tensors: Mapping[str, Tensor]
    dropped: Sequence[str] = ()
    config: Mapping[str, Any] = field(default_factory=dict)
    meta: Mapping[str, Any] = field(default_factory=dict)


def make_delta(
    base: str,
    base_tensors: Mapping[str, Tensor],
    tensors: Mapping[str, Tensor],
    *,
    config: Mapping[str, Any] | None = None,
    meta: Mapping[str, Any] | None = None,
) -> Delta:
    """Return what differs between a base's state dict and a trained model's.

    Both state dicts use the same names; a base without the model's prefix must be renamed before.
    """
    changed = {
        name: tensor.detach().cpu().contiguous().clone()
        for name, tensor in tensors.items()
        if name not in base_tensors or not _same(base_tensors[name], tensor)
    }
    return Delta(
        base=base,
        base_hash=hash_tensors(base_tensors),
        result_hash=hash_tensors(tensors),
        tensors=changed,
        dropped=tuple(sorted(set(base_tensors) - set(tensors))),
        config=dict(config or {}),
        meta=dict(meta or {}),
    )


def apply_delta(delta: Delta, base_tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the trained model's state dict.

    Raises `CheckpointError` if the base is another one than the delta was made from, or the result is not what was
    saved.
    """
    got = hash_tensors(base_tensors)
    if got != delta.base_hash:
        raise CheckpointError(
            f"this delta belongs to the base {delta.base!r} with hash {delta.base_hash[:12]}; got a base with hash "
            f"{got[:12]}. Load it on the base that it was trained from"
        )
    result = {name: tensor for name, tensor in base_tensors.items() if name not in set(delta.dropped)}
    result.update(delta.tensors)
    if hash_tensors(result) != delta.result_hash:
        raise CheckpointError(
            f"the delta on {delta.base!r} does not give the weights that were saved; the file is damaged, or was "
            "changed after it was written. Get it again"
        )
    return result


def save_delta(delta: Delta, path: str | Path) -> Path:
    """Write a delta as one safetensors file (`delta.safetensors` if `path` is a directory); all of it or nothing."""
    path = Path(path)
    if path.is_dir() or not path.suffix:
        path = path / DELTA_FILE
    metadata = {
        "format": _FORMAT,
        "base": delta.base,
        "base_hash": delta.base_hash,
        "result_hash": delta.result_hash,
        "dropped": json.dumps(list(delta.dropped)),
        "config": json.dumps(dict(delta.config)),
        "meta": json.dumps(dict(delta.meta)),
    }
    write_tensors(path, delta.tensors, metadata)
    return path


def is_delta(path: str | Path) -> bool:
    """Whether a path is a delta file or a directory that holds one."""
    path = Path(path)
    return (path / DELTA_FILE).is_file() or (path.is_file() and path.name.endswith(DELTA_FILE))


def read_delta(path: str | Path) -> Delta:
    """Read a delta from its file or directory; raises `CheckpointError` if it is none, or is cut short."""
    path = Path(path)
    file = path / DELTA_FILE if path.is_dir() else path
    tensors, metadata = read_tensors(file)
    if metadata.get("format") != _FORMAT:
        raise CheckpointError(
            f"{file} has the format {metadata.get('format')!r}; expected {_FORMAT!r}, as xlprobe writes it"
        )
    try:
        dropped, config, meta = (json.loads(metadata[key]) for key in ("dropped", "config", "meta"))
        return Delta(
            base=metadata["base"],
            base_hash=metadata["base_hash"],
            result_hash=metadata["result_hash"],
            tensors=tensors,
            dropped=tuple(dropped),
            config=config,
            meta=meta,
        )
    except (KeyError, ValueError) as error:
        raise CheckpointError(f"{file}: the delta's description is damaged ({error}); get the file again") from error


def _same(one: Tensor, other: Tensor) -> bool:
    return one.dtype == other.dtype and one.shape == other.shape and torch.equal(one.cpu(), other.cpu())

"""Trained weights as what differs from a base: one safetensors file with the base's name and hash.

State dicts in, state dicts out; which base to load, and by which name, is the caller's business.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from xlprobe.errors import CheckpointError
from xlprobe.models.checkpoint import hash_tensors

__all__ = ["DELTA_FILE", "Delta", "apply_delta", "is_delta", "make_delta", "read_delta", "save_delta"]

DELTA_FILE = "delta.safetensors"
_FORMAT = "xlprobe-delta-1"
_ROWS = "rows/"
"""Prefix of the tensors that say which rows of a base's tensor are kept (a trimmed vocabulary)."""


@dataclass(frozen=True)
class Delta:
    """What turns a base's tensors into a trained model's.

    `tensors`: those that are new or changed, whole. `dropped`: the base's that the model has not. `rows`: for tensors
    of which the model keeps some rows only (a trimmed embedding), the base's row numbers in the new order; they are
    taken before `tensors` come in. `base` and `base_hash` name the base and the hash of its state dict
    (`hash_tensors`); `result_hash` is that of the result. `config` is the model's configuration, `meta` anything
    about the training that can be written as JSON.
    """

    base: str
    base_hash: str
    result_hash: str
    tensors: Mapping[str, Tensor]
    dropped: Sequence[str] = ()
    rows: Mapping[str, Tensor] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    meta: Mapping[str, Any] = field(default_factory=dict)


def make_delta(
    base: str,
    base_tensors: Mapping[str, Tensor],
    tensors: Mapping[str, Tensor],
    *,
    rows: Mapping[str, Tensor] | None = None,
    config: Mapping[str, Any] | None = None,
    meta: Mapping[str, Any] | None = None,
) -> Delta:
    """Return what differs between a base's state dict and a trained model's.

    Both state dicts use the same names; a base without the model's prefix must be renamed before. Raises
    `CheckpointError` if `rows` names a tensor that is not in both.
    """
    kept = dict(base_tensors)
    for name, chosen in (rows or {}).items():
        if name not in base_tensors or name not in tensors:
            raise CheckpointError(f"rows are given for {name!r}; expected a tensor of both the base and the model")
        kept[name] = base_tensors[name][chosen]
    changed = {
        name: tensor.detach().cpu().contiguous().clone()
        for name, tensor in tensors.items()
        if name not in kept or not _same(kept[name], tensor)
    }
    return Delta(
        base=base,
        base_hash=hash_tensors(base_tensors),
        result_hash=hash_tensors(tensors),
        tensors=changed,
        dropped=tuple(sorted(set(kept) - set(tensors))),
        rows=dict(rows or {}),
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
    for name, chosen in delta.rows.items():
        result[name] = base_tensors[name][chosen.to(base_tensors[name].device)]
    result.update(delta.tensors)
    if hash_tensors(result) != delta.result_hash:
        raise CheckpointError(
            f"the delta on {delta.base!r} does not give the weights that were saved; the file is damaged, or was "
            "changed after it was written. Get it again"
        )
    return result


def save_delta(delta: Delta, path: str | Path) -> Path:
    """Write a delta as one safetensors file (`delta.safetensors` if `path` is a directory); all of it or nothing."""
    from safetensors.torch import save_file

    path = Path(path)
    if path.is_dir() or not path.suffix:
        path.mkdir(parents=True, exist_ok=True)
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
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in delta.tensors.items()}
    tensors |= {_ROWS + name: chosen.to(torch.int32) for name, chosen in delta.rows.items()}
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
    os.close(handle)
    try:
        save_file(tensors, temporary, metadata=metadata)
        Path(temporary).chmod(0o644)
        os.replace(temporary, path)
    finally:
        Path(temporary).unlink(missing_ok=True)
    return path


def is_delta(path: str | Path) -> bool:
    """Whether a path is a delta file or a directory that holds one."""
    path = Path(path)
    return (path / DELTA_FILE).is_file() or (path.is_file() and path.name.endswith(DELTA_FILE))


def read_delta(path: str | Path) -> Delta:
    """Read a delta from its file or directory; raises `CheckpointError` if it is none, or is cut short."""
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    file = path / DELTA_FILE if path.is_dir() else path
    try:
        with safe_open(str(file), framework="pt") as opened:
            metadata = opened.metadata() or {}
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"cannot read the delta {file}: {error}; expected a {DELTA_FILE} of xlprobe") from error
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
            tensors={name: tensor for name, tensor in tensors.items() if not name.startswith(_ROWS)},
            dropped=tuple(dropped),
            rows={name.removeprefix(_ROWS): t.long() for name, t in tensors.items() if name.startswith(_ROWS)},
            config=config,
            meta=meta,
        )
    except (KeyError, ValueError) as error:
        raise CheckpointError(f"{file}: the delta's description is damaged ({error}); get the file again") from error


def _same(one: Tensor, other: Tensor) -> bool:
    return one.dtype == other.dtype and one.shape == other.shape and torch.equal(one.cpu(), other.cpu())

"""Small files for fine-tuned weights: what differs from a base, matrices in 4 or 8 bits.

A file is safetensors. Matrices are stored as the difference from the base, in blocks of 64 with one float16 scale each:
difference = code * scale, codes -7..7 (two in a byte, the first in the low half) or -127..127. The base of a
cross-lingual query is its layer's query. Everything else (biases, and what the base does not have: a
classifier) is stored as it is, in float32.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int8
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from xlprobe.errors import CheckpointError

__all__ = ["pack", "read_packed", "unpack", "write_packed"]

BLOCK = 64
_LEVELS = {4: 7, 8: 127}


def pack(tensors: Mapping[str, Tensor], base: Mapping[str, Tensor], bits: int = 4) -> dict[str, Tensor]:
    """Return the stored form of fine-tuned tensors; `base` holds the base model's by name.

    Names get a suffix: `|4` or `|8` (codes) and `|scale`, or nothing where a tensor is stored as it is.
    """
    if bits not in _LEVELS:
        raise CheckpointError(f"got bits={bits}; expected one of {sorted(_LEVELS)}")
    packed: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        start = _start(name, base)
        if start is None or tensor.dim() < 2 or tensor.numel() % BLOCK:
            packed[name] = tensor.detach().float().contiguous()
            continue
        codes, scales = _quantise(tensor.detach().float() - start, _LEVELS[bits])
        packed[f"{name}|{bits}"] = _join(codes) if bits == 4 else codes
        packed[f"{name}|scale"] = scales
    return packed


def unpack(packed: Mapping[str, Tensor], base: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the fine-tuned tensors of `pack`'s output: what a model computes with, bit by bit the same everywhere."""
    tensors: dict[str, Tensor] = {}
    for key, stored in packed.items():
        name, bar, kind = key.partition("|")
        if not bar:
            tensors[name] = stored
        elif kind in ("4", "8"):
            codes = (_split(stored) if kind == "4" else stored).float()
            difference = (codes.reshape(-1, BLOCK) * packed[f"{name}|scale"].float()[:, None]).reshape(-1)
            start = _start(name, base)
            if start is None or start.numel() != difference.numel():
                raise CheckpointError(
                    f"the packed tensor {name!r} has no counterpart in the base; it is another encoder's"
                )
            tensors[name] = start + difference.reshape(start.shape)
    return tensors


def _start(name: str, base: Mapping[str, Tensor]) -> Tensor | None:
    """Return what a tensor is stored as the difference from, if anything."""
    if name not in base and ".cross_lingual_quer" in name:
        before, after = name.split(".cross_lingual_quer", 1)
        name = f"{before}.query.{after.rsplit('.', 1)[1]}"
    return base[name].float() if name in base else None


def _quantise(values: Float[Tensor, "*shape"], levels: int) -> tuple[Int8[Tensor, " value"], Tensor]:
    blocks = values.reshape(-1, BLOCK)
    scales = (blocks.abs().amax(dim=1) / levels).to(torch.float16)
    safe = scales.float().masked_fill(scales == 0, 1.0)
    codes = (blocks / safe[:, None]).round().clamp(-levels, levels)
    return codes.to(torch.int8).reshape(-1), scales


def _join(codes: Int8[Tensor, " value"]) -> Tensor:
    pairs = (codes.to(torch.int16) + 8).reshape(-1, 2)
    return (pairs[:, 0] | (pairs[:, 1] << 4)).to(torch.uint8)


def _split(stored: Tensor) -> Int8[Tensor, " value"]:
    both = torch.stack([stored & 15, stored >> 4], dim=1).reshape(-1)
    return (both.to(torch.int16) - 8).to(torch.int8)


def write_packed(path: Path, packed: Mapping[str, Tensor], about: Mapping[str, Any]) -> None:
    """Write a packed file atomically; `about` (recipe, base, licence, ...) is kept in its metadata as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}")
    save_file(dict(packed), partial, metadata={"format": "pt", "xlprobe": json.dumps(about, sort_keys=True)})
    os.replace(partial, path)


def read_packed(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return a packed file's tensors and what it says about itself; raises `CheckpointError` for any other file."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file}
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"cannot read the weights {path}: {error}; reinstall xlprobe") from error
    if "xlprobe" not in metadata:
        raise CheckpointError(f"{path} was not written by xlprobe; expected a packed file of fine-tuned weights")
    return tensors, json.loads(metadata["xlprobe"])

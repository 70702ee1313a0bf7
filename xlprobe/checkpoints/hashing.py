"""Hashes of weights and files."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from xlprobe.checkpoints.pages import let_go

__all__ = ["hash_file", "hash_tensors"]

_AT_ONCE = 1 << 27
"""Bytes of a large tensor that are in memory for it at once."""


def hash_tensors(tensors: Mapping[str, Tensor]) -> str:
    """Return the SHA-256, in hexadecimal, of named tensors: names, types, shapes and bytes, in the names' order.

    What it reads of tensors that are mapped from a file does not stay in memory.
    """
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        flat = tensor.reshape(-1).view(torch.uint8)
        for start in range(0, len(flat), _AT_ONCE):
            digest.update(flat[start : start + _AT_ONCE].numpy().data)
            if len(flat) > _AT_ONCE:
                let_go([tensor])
    return digest.hexdigest()


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

"""Safetensors files with a description: written all or nothing, read or refused."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from xlprobe.errors import CheckpointError
from xlprobe.files import write_atomically

__all__ = ["read_description", "read_tensors", "write_tensors"]


def write_tensors(path: Path, tensors: Mapping[str, Tensor], description: Mapping[str, str]) -> None:
    """Write named tensors with a description; on a failure an old file of this name stays as it was."""
    from safetensors.torch import save

    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_atomically(path, save(plain, metadata=dict(description)))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return a file's tensors and description; raises `CheckpointError` if it is none, or is cut short."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"cannot read the weights {path}: {error}; expected a whole safetensors file. Get or write it again"
        ) from error


def read_description(path: Path) -> dict[str, str]:
    """Return a file's description without its tensors; empty where the file is no safetensors file."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="pt") as file:
            return file.metadata() or {}
    except (OSError, SafetensorError):
        return {}

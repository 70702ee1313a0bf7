"""Safetensors files with a description: written all or nothing with a hash of the tensors, read or refused."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from xlprobe.checkpoints.foreign import first_line
from xlprobe.checkpoints.hashing import hash_tensors
from xlprobe.errors import CheckpointError
from xlprobe.files import write_atomically
from xlprobe.interrupts import interrupts_held

__all__ = ["plain_tensors", "read_description", "read_tensors", "write_tensors"]

_HASH = "sha256"


def write_tensors(path: Path, tensors: Mapping[str, Tensor], description: Mapping[str, str]) -> None:
    """Write named tensors with a description; on a failure an old file of this name stays as it was."""
    from safetensors.torch import save

    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_atomically(path, save(plain, metadata={**description, _HASH: hash_tensors(plain)}))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return a file's tensors and description.

    Raises `CheckpointError` if it is none, is cut short, or holds other tensors than were written with its hash.
    """
    from safetensors import SafetensorError

    try:
        tensors, description = plain_tensors(path)
    except (OSError, SafetensorError, ValueError, OverflowError) as error:
        raise CheckpointError(
            f"cannot read the weights {path}: {first_line(error)}; expected a whole safetensors file. Get or write "
            "it again"
        ) from error
    if _HASH in description and hash_tensors(tensors) != description[_HASH]:
        raise CheckpointError(f"{path}: its weights are not those that were written; the file is damaged. Get it again")
    return tensors, description


def plain_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return a file's tensors and description unchecked; raises what safetensors raises."""
    from safetensors import safe_open

    tensors = {}
    # An interrupt within a tensor would come out as a ValueError about its shape.
    with interrupts_held() as let_through, safe_open(str(path), framework="pt") as file:
        for name in file.keys():  # noqa: SIM118
            tensors[name] = file.get_tensor(name)
            let_through()
        return tensors, file.metadata() or {}


def read_description(path: Path) -> dict[str, str]:
    """Return a file's description without its tensors; empty where the file is no safetensors file."""
    from safetensors import SafetensorError, safe_open

    try:
        with interrupts_held(), safe_open(str(path), framework="pt") as file:
            return file.metadata() or {}
    except (OSError, SafetensorError, ValueError, OverflowError):
        return {}

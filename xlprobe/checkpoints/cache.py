"""Converted weights and tokenizers on disk, so that a second start need not convert them again.

An entry is a directory named by the format's version and the hash of the file that it was made from. It is written
beside its place and renamed, so that several processes can make the same one at the same time; a directory that cannot
be written, or is full, costs time only. Deleting the cache is always safe.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xlprobe.files import CACHE, cache_directory

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["CacheEntry", "cache_directory", "read_entry", "write_entry"]

FORMAT = 2
"""Version of the entries; raise it whenever the conversion gives something else for the same file."""

WEIGHTS, TOKENIZER, ABOUT = "weights.safetensors", "tokenizer.json", "about.json"
_ABANDONED_AFTER = 24 * 3600.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class CacheEntry:
    """What an entry holds: `about` (plain values), tensors mapped from the file, and the tokenizer's file.

    The tensors may be written to: pages are copied on write, the file stays as it is.
    """

    about: dict[str, Any]
    tensors: dict[str, Tensor]
    tokenizer_file: Path


def entry_path(kind: str, source_hash: str) -> Path | None:
    """Return the place of the entry that is made from the file of this hash, whether it exists or not."""
    directory = cache_directory()
    return None if directory is None else directory / f"{kind}-v{FORMAT}-{source_hash[:32]}"


def read_entry(kind: str, source_hash: str) -> CacheEntry | None:
    """Return an entry, its weights memory-mapped; None where there is none or it is broken."""
    path = entry_path(kind, source_hash)
    if path is None or not path.is_dir():
        return None
    from safetensors import SafetensorError

    from xlprobe.checkpoints.tensor_files import plain_tensors

    try:
        about = json.loads((path / ABOUT).read_text(encoding="utf-8"))
        sizes = {name: (path / name).stat().st_size for name in (WEIGHTS, TOKENIZER)}
        if about["sizes"] != sizes or about["source_sha256"] != source_hash:
            raise ValueError("its files are not those that were written")
        return CacheEntry(about["values"], plain_tensors(path / WEIGHTS)[0], path / TOKENIZER)
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        logger.info("the cache entry %s cannot be used (%s); it is made again", path, error)
        shutil.rmtree(path, ignore_errors=True)
        return None


def write_entry(
    kind: str, source_hash: str, values: dict[str, Any], tensors: dict[str, Tensor], tokenizer: Callable[[], str]
) -> bool:
    """Write an entry and return whether there is one now; never raises for want of room or permission.

    `values` must fit into JSON; `tokenizer` gives the text of a tokenizer.json, once the weights are written.
    """
    path = entry_path(kind, source_hash)
    if path is None:
        return False
    partial = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(path.parent)
        partial = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
        _fill(partial, source_hash, values, tensors, tokenizer)
        # Fails where another process was faster; what it wrote is the same.
        os.rename(partial, path)
    except Exception as error:  # safetensors has an error of its own for a full disk
        if partial is not None:
            shutil.rmtree(partial, ignore_errors=True)
        if not path.is_dir():
            logger.info("nothing was cached in %s (%s); set %s to a directory with room", path, error, CACHE)
    return path.is_dir()


def _fill(
    directory: Path, source_hash: str, values: dict[str, Any], tensors: dict[str, Tensor], tokenizer: Callable[[], str]
) -> None:
    from safetensors.torch import save_file

    directory.chmod(0o755)
    save_file(tensors, directory / WEIGHTS, metadata={"format": "pt"})
    (directory / TOKENIZER).write_text(tokenizer(), encoding="utf-8")
    sizes = {name: (directory / name).stat().st_size for name in (WEIGHTS, TOKENIZER)}
    about = {"source_sha256": source_hash, "sizes": sizes, "values": values}
    (directory / ABOUT).write_text(json.dumps(about), encoding="utf-8")
    for name in (WEIGHTS, TOKENIZER, ABOUT):
        # A power cut after the rename must not leave files of the right size without their content.
        with (directory / name).open("rb+") as file:
            os.fsync(file.fileno())
        (directory / name).chmod(0o644)  # safetensors makes files for their owner only


def _remove_abandoned(directory: Path) -> None:
    """Remove what processes that were killed while writing have left behind."""
    for left in directory.glob(".*-v*"):
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > _ABANDONED_AFTER:
                shutil.rmtree(left, ignore_errors=True)

"""Files that are there whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from xlprobe.errors import ResultsError

__all__ = ["disk_errors", "write_atomically"]


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Raise `ResultsError` where the disk refuses: which file it is, why, and what is still whole."""
    try:
        yield
    except OSError as error:
        raise ResultsError(
            f"cannot write {path}: {error.strerror or error}. Nothing half-written keeps its name: what was there "
            "before is whole, and so is what a run had finished. Make room or choose another place, and run it again"
        ) from error


def write_atomically(path: Path, data: bytes | str) -> None:
    """Write a file under a temporary name beside it, then rename, so that nobody ever sees half of it.

    Raises `ResultsError` where the disk is full or may not be written to.
    """
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data.encode() if isinstance(data, str) else data)
            os.chmod(name, 0o644)
            os.replace(name, path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise

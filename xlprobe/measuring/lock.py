"""One run in a directory at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from xlprobe.errors import ResultsError
from xlprobe.measuring.processes import process_number

__all__ = ["locked"]

LOCK = ".xlprobe.lock"


@contextmanager
def locked(directory: Path | None) -> Iterator[None]:
    """Hold a directory for one run; the system lets go of it with the process, however that ends.

    Of processes that share a run the first holds it. None holds nothing. Raises `ResultsError` where another run has
    it."""
    if directory is None or process_number() > 0:
        yield
        return
    from filelock import FileLock, Timeout

    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock = FileLock(directory / LOCK)
        lock.acquire(timeout=0)
    except Timeout as error:
        raise ResultsError(
            f"another run is writing to {directory}; wait until it is done, or choose another directory"
        ) from error
    except OSError as error:
        raise ResultsError(f"cannot write to {directory}: {error.strerror}. Choose another directory") from error
    try:
        yield
    finally:
        with suppress(OSError):
            (directory / LOCK).unlink(missing_ok=True)
        lock.release()

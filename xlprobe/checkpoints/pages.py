"""Memory of tensors that are mapped from a file."""

from __future__ import annotations

import ctypes
import mmap
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from torch import Tensor

__all__ = ["let_go", "return_pages", "untouched"]

_MAPS = Path("/proc/self/smaps")
_HEADER = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) \S+ [0-9a-f]+ \S+ (\d+)")
_DONTNEED = 4
Place = tuple[int, int]


def let_go(tensors: Iterable[Tensor]) -> None:
    """Return to the system what was read of tensors that are mapped from a file; it is read again when it is needed.

    Of a mapping that anything was written to nothing is returned, since that is in memory only. Does nothing where the
    system is not Linux.
    """
    return_pages(untouched(tensors))


def untouched(tensors: Iterable[Tensor]) -> list[Place]:
    """Return from where to where whole pages of tensors lie in mapped files that nothing was written to."""
    page = mmap.PAGESIZE
    spans = [(one.data_ptr(), one.data_ptr() + one.nbytes) for one in tensors if one.device.type == "cpu"]
    with suppress(OSError):
        files = list(_untouched()) if spans else []
        inside = [(a, b) for a, b in spans if any(start <= a and b <= stop for start, stop in files)]
        return [(-(-a // page) * page, b // page * page) for a, b in inside if b - a >= 2 * page]
    return []


def return_pages(mapped: Iterable[Place]) -> None:
    """Return to the system what was read of mapped files to which still nothing was written."""
    with suppress(OSError, AttributeError):
        advise = ctypes.CDLL(None).madvise
        advise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
        for start, stop in mapped:
            advise(start, stop - start, _DONTNEED)


def _untouched() -> Iterator[Place]:
    mapped: Place | None = None
    for line in _MAPS.read_text(encoding="utf-8", errors="replace").splitlines():
        if header := _HEADER.match(line):
            mapped = (int(header[1], 16), int(header[2], 16)) if int(header[3]) else None  # no file: inode 0
        elif mapped and line.startswith("Anonymous:") and line.split()[1] == "0":
            yield mapped

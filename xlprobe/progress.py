"""Progress of long work: a bar on a terminal, plain lines elsewhere, nothing when told to be quiet."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

__all__ = ["progress"]

_SECONDS_BETWEEN_LINES = 10.0


@contextmanager
def progress(
    label: str, total: int, *, show: bool = True, stream: TextIO | None = None
) -> Iterator[Callable[[int], None]]:
    """Show how far a piece of work is; call what it yields with the number of items just done."""
    out = stream or sys.stderr
    if not show:
        yield lambda count: None
        return
    if out.isatty():
        from tqdm.auto import tqdm

        with tqdm(total=total, desc=label, file=out, leave=True) as bar:
            yield lambda count: bar.update(count) and None
        return
    done, start = 0, time.monotonic()
    last = start

    def advance(count: int) -> None:
        nonlocal done, last
        done += count
        if done < total and time.monotonic() - last >= _SECONDS_BETWEEN_LINES:
            last = time.monotonic()
            print(f"{label}: {done} of {total}", file=out, flush=True)

    yield advance
    print(f"{label}: {done} of {total} in {time.monotonic() - start:.0f} s", file=out, flush=True)

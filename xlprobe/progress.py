"""Progress of long work: a bar on a terminal, plain lines elsewhere, nothing when told to be quiet."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

__all__ = ["progress"]

SECONDS = 2.0
"""How long work is silent at most in its first minutes; later lines come every twentieth of the time, so that a log of
a night is no novel."""


@contextmanager
def progress(
    label: str, total: int, *, show: bool = True, stream: TextIO | None = None
) -> Iterator[Callable[[int], None]]:
    """Show how far a piece of work is, and how long it will take; call what it yields with the number of items done.

    A single item may take long: the time goes on being told.
    """
    out = stream or sys.stderr
    if not show:
        yield lambda count: None
        return
    if out.isatty():
        from tqdm.auto import tqdm

        with tqdm(total=total, desc=label, file=out, leave=True) as bar, _again_and_again(lambda: bar.refresh()):
            yield lambda count: bar.update(count) and None
        return
    done, start = 0, time.monotonic()

    def advance(count: int) -> None:
        nonlocal done
        done += count

    def tell() -> None:
        print(f"{label}: {done} of {total}{_left(time.monotonic() - start, done, total)}", file=out, flush=True)

    with _again_and_again(tell):
        yield advance
    print(f"{label}: {done} of {total} in {time.monotonic() - start:.0f} s", file=out, flush=True)


def _left(passed: float, done: int, total: int) -> str:
    """Say how long the rest will take if it goes on as it went."""
    if not 0 < done < total:
        return f", {passed:.0f} s so far"
    seconds = passed * (total - done) / done
    for length, name in ((3600, "h"), (60, "min")):
        if seconds >= 1.5 * length:
            return f", about {seconds / length:.1f} {name} left"
    return f", about {max(1, round(seconds))} s left"


@contextmanager
def _again_and_again(tell: Callable[[], object]) -> Iterator[None]:
    """Call a function every few seconds, from another thread, until the work within is done."""
    over, start = threading.Event(), time.monotonic()

    def watch() -> None:
        while not over.wait(min(60.0, max(SECONDS, (time.monotonic() - start) / 20))):
            tell()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()

"""What Ctrl-C and SIGTERM do: end a command as soon as it can be ended, and never be lost."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["interrupts_held", "signals_interrupt"]

_MOMENT = 0.01
"""Seconds until an interrupt that was dropped comes again: long enough to be out of what dropped it."""
Handler = Callable[[int, Any], Any]


@contextmanager
def signals_interrupt(*numbers: int) -> Iterator[list[int]]:
    """Have these signals raise `KeyboardInterrupt` within a `with` block; yield those that came, as they come.

    Python drops an exception that comes up in a destructor, such as those that collecting garbage calls; a signal that
    was dropped so comes again a moment later. Outside the main thread, where no signal arrives, nothing is done.
    """
    came: list[int] = []
    again: list[threading.Timer] = []
    known = sys.unraisablehook

    def end(number: int, frame: Any) -> None:
        came.append(number)
        raise KeyboardInterrupt

    def unraisable(dropped: sys.UnraisableHookArgs) -> None:
        if not came or not issubclass(dropped.exc_type, KeyboardInterrupt):
            return known(dropped)
        # Python drops what is raised here, too.
        again.append(threading.Timer(_MOMENT, _send, [came[-1]]))
        return again[-1].start()

    with _handlers(dict.fromkeys(numbers, end)):
        sys.unraisablehook = unraisable
        try:
            yield came
        finally:
            sys.unraisablehook = known
            for timer in again:
                timer.cancel()


@contextmanager
def interrupts_held() -> Iterator[Callable[[], None]]:
    """Hold Ctrl-C and SIGTERM back for the length of a `with` block; calling what is yielded lets those that came act.

    For readers in C that swallow the exception and say instead that the file is damaged. Outside the main thread, where
    no signal arrives, and for signals without a handler of Python's, nothing is held.
    """
    came: list[int] = []
    numbers: tuple[int, ...] = (signal.SIGINT, signal.SIGTERM)
    handlers = {number: handler for number in numbers if callable(handler := signal.getsignal(number))}

    def act() -> None:
        while came:
            number = came.pop(0)
            handlers[number](number, None)

    try:
        with _handlers(dict.fromkeys(handlers, lambda number, frame: came.append(number))):
            yield act
    finally:
        act()


def _send(number: int) -> None:
    """Send a signal to the main thread, so that what that waits for is interrupted, too."""
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident or 0, number)
    else:  # on Windows, where nothing that waits is interrupted
        signal.raise_signal(number)


@contextmanager
def _handlers(handlers: dict[int, Handler]) -> Iterator[None]:
    """Handle signals so for the length of a `with` block, in the main thread; elsewhere do nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

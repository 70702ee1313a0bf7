"""A job in a process of its own, whose memory goes with it when it ends."""

from __future__ import annotations

import ctypes
import multiprocessing
import pickle
import signal
import sys
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection

from xlprobe.errors import ResultsError
from xlprobe.interrupts import signals_interrupt

__all__ = ["apart", "can_leave"]

_DIE_WITH_PARENT = 1
"""Linux' PR_SET_PDEATHSIG."""


def can_leave() -> bool:
    """Return whether a copy of this process can measure: not once torch has threads, which a copy would not have."""
    return sys.platform == "linux" and "torch" not in sys.modules


def apart(job: Callable[[], object]) -> None:
    """Do a job in a copy of this process and wait for it; what it returns is lost, and its error is raised here.

    What interrupts this process ends the copy as an interrupt would. Raises `ResultsError` where the copy was killed.
    """
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    copy = context.Process(target=_in_copy, args=(job, sender))
    copy.start()
    sender.close()
    try:
        error = receiver.recv()
    except EOFError:
        copy.join()
        raise ResultsError(
            f"the process that measured was ended from outside (exit status {copy.exitcode}), as systems do when "
            "memory is full; the same command goes on. Ask for a smaller --batch-size if it happens again"
        ) from None
    except BaseException:
        copy.terminate()
        raise
    finally:
        copy.join()
        receiver.close()
    if error is not None:
        raise error


def _in_copy(job: Callable[[], object], sender: Connection) -> None:
    # A terminal interrupts both processes: the first tells the copy, so that it is told once.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, int(signal.SIGTERM))
    try:
        with signals_interrupt(signal.SIGTERM):
            job()
    except BaseException as error:
        error.add_note(traceback.format_exc())
        sender.send(_to_send(error))
    else:
        sender.send(None)


def _to_send(error: BaseException) -> BaseException:
    """Return the error, or one with its text where it cannot be sent."""
    try:
        pickle.loads(pickle.dumps(error))  # as the pipe will: only what this process has just made
    except Exception:  # whatever the error's own class may raise
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error

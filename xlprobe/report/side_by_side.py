"""Jobs shared by this process and a copy of it."""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

from xlprobe.progress import progress

__all__ = ["can_share", "side_by_side"]

PATIENCE = 60.0
"""Seconds that this process waits for a job of the copy; ten times its own longest job, if that is more."""


def can_share() -> bool:
    """Return whether this system can copy a process that has threads, and has a core for the copy."""
    return sys.platform == "linux" and len(os.sched_getaffinity(0)) > 1


def side_by_side(jobs: Sequence[Callable[[], Any]], label: str, *, share: bool) -> list[Any]:
    """Return what the jobs return, in their order; with `share` a copy of this process takes some of them.

    This process goes on from the first job and the copy from the last, until they meet: neighbours share what a process
    keeps of what it read. matplotlib cannot draw in two threads. What is in memory before is there in both. A job must
    leave the same behind if it is done twice: one that fails in the copy, or that the copy does not end, is done here
    again, and its error is raised here.
    """
    with progress(label, len(jobs)) as advance:
        answers = _shared(jobs, advance) if share else {}
        for place in range(len(jobs)):
            if place not in answers:
                answers[place] = jobs[place]()
                advance(1)
    return [answers[place] for place in range(len(jobs))]


def _shared(jobs: Sequence[Callable[[], Any]], advance: Callable[[int], None]) -> dict[int, Any]:
    """Do jobs together with a copy; return their answers by place, without those that the copy did not end."""
    answers: dict[int, Any] = {}
    longest = 0.0
    context = multiprocessing.get_context("fork")
    taken = context.Value("i", 0)
    receiver, sender = context.Pipe(duplex=False)
    copy = context.Process(target=_in_copy, args=(jobs, taken, sender), daemon=True)
    with warnings.catch_warnings():
        # Of the threads that the copy does not have: it does without them.
        warnings.simplefilter("ignore", DeprecationWarning)
        copy.start()
    sender.close()
    try:
        for place in _turns(taken, range(len(jobs))):
            start = time.monotonic()
            answers[place] = jobs[place]()
            longest = max(longest, time.monotonic() - start)
            advance(1)
        with suppress(EOFError):
            while len(answers) < len(jobs) and receiver.poll(max(PATIENCE, 10 * longest)):
                place, answer = receiver.recv()
                answers[place] = answer
                advance(1)
    finally:
        copy.kill()
        copy.join()
        receiver.close()
    return answers


def _turns(taken: Any, places: Sequence[int]) -> Iterator[int]:
    """Yield places of jobs, in this order, as long as both processes together have not taken all."""
    for place in places:
        with taken.get_lock():
            if taken.value == len(places):
                return
            taken.value += 1
        yield place


def _in_copy(jobs: Sequence[Callable[[], Any]], taken: Any, sender: Connection) -> None:
    """Do jobs in the copy, one thread each: the threads of the process that was copied are not there."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
    try:
        for place in _turns(taken, range(len(jobs))[::-1]):
            sender.send((place, jobs[place]()))
    except Exception:
        return  # The process that was copied does the job again, and says what is wrong.

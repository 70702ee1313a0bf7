"""Jobs of two processes: every job's answer, in order, whatever happens to the copy."""

from __future__ import annotations

import os
import signal
import time
from functools import partial

import pytest

from xlprobe.report import side_by_side as shared
from xlprobe.report.side_by_side import can_share, side_by_side

pytestmark = pytest.mark.skipif(not can_share(), reason="needs Linux and two cores")

HERE = os.getpid()


def _slowly(number):
    time.sleep(0.05)
    return number, os.getpid()


def _in_the_copy(do):
    time.sleep(0.05)
    if os.getpid() != HERE:
        do()
    return "here"


@pytest.mark.parametrize("share", [False, True])
def test_answers_come_in_the_order_of_jobs(share):
    answers = side_by_side([partial(_slowly, number) for number in range(12)], "jobs", share=share)
    assert [number for number, _ in answers] == list(range(12))
    assert len({process for _, process in answers}) == 1 + share
    # Each process has neighbours: what one keeps of a job, it finds again at the next.
    assert [process for _, process in answers] == sorted((one for _, one in answers), key=lambda one: one != HERE)


def _fail():
    raise ValueError("in the copy")


@pytest.mark.parametrize(
    "ill", [_fail, lambda: os.kill(os.getpid(), signal.SIGKILL), lambda: time.sleep(60)], ids=["fails", "dies", "hangs"]
)
def test_what_the_copy_does_not_end_is_done_here(ill, monkeypatch):
    monkeypatch.setattr(shared, "PATIENCE", 1.0)
    assert side_by_side([partial(_in_the_copy, ill)] * 6, "jobs", share=True) == ["here"] * 6


@pytest.mark.parametrize("share", [False, True])
def test_an_error_is_raised_here(share):
    def wrong():
        raise ValueError("of this job")

    jobs = [partial(_slowly, 0), wrong, partial(_slowly, 1)]
    with pytest.raises(ValueError, match="of this job"):
        side_by_side(jobs, "jobs", share=share)

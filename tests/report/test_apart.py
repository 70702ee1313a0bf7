"""A job in a process of its own: what it leaves, what it raises, and that neither process outlives the other."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from xlprobe.errors import DataError, ResultsError
from xlprobe.report.apart import apart, can_leave

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")


def test_a_job_is_done_in_another_process(tmp_path):
    apart(lambda: (tmp_path / "process").write_text(str(os.getpid())))
    assert int((tmp_path / "process").read_text()) != os.getpid()


def test_a_process_that_has_torch_measures_itself():
    import torch  # noqa: F401

    assert not can_leave()


class Unsent(Exception):
    def __init__(self, one, other):
        super().__init__(f"{one} and {other}")


@pytest.mark.parametrize(
    ("error", "expected"),
    [(DataError("no such language"), DataError), (MemoryError("full"), MemoryError), (Unsent(1, 2), RuntimeError)],
)
def test_its_error_is_raised_here_and_says_where_it_was(error, expected):
    def job():
        raise error

    with pytest.raises(expected, match=str(error)) as caught:
        apart(job)
    if expected is not RuntimeError:
        assert "in job" in caught.value.__notes__[0]


def test_a_killed_process_is_told_of():
    with pytest.raises(ResultsError, match=r"ended from outside \(exit status -9\).*--batch-size"):
        apart(lambda: os.kill(os.getpid(), signal.SIGKILL))


def test_an_interrupt_ends_the_job_and_lets_it_clean_up(tmp_path):
    def job():
        try:
            time.sleep(60)
        except KeyboardInterrupt:
            (tmp_path / "cleaned").touch()
            raise

    interrupt = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    interrupt.start()
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        apart(job)
    assert time.monotonic() - start < 30
    assert (tmp_path / "cleaned").exists()


def test_the_job_ends_when_its_parent_is_killed():
    code = (
        "import os, time; from xlprobe.report.apart import apart; "
        "apart(lambda: (print(os.getpid(), flush=True), time.sleep(60)))"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        job = int(parent.stdout.readline())
        parent.kill()
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and _runs(job):
        time.sleep(0.05)
    assert not _runs(job)


def _runs(process):
    try:
        with open(f"/proc/{process}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False

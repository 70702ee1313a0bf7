"""Long work says how far it is, and how long it will take, without being silent."""

from __future__ import annotations

import io
import re
import time

import pytest

from xlprobe import progress as module
from xlprobe.progress import progress


def test_a_single_long_item_is_told_of_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SECONDS", 0.05)
    out = io.StringIO()
    with progress("work", 2, stream=out) as advance:
        time.sleep(0.4)
        advance(1)
        time.sleep(0.4)
        advance(1)
    lines = out.getvalue().splitlines()
    assert len(lines) > 6
    assert re.fullmatch(r"work: 0 of 2, \d+ s so far", lines[0])
    assert any(re.fullmatch(r"work: 1 of 2, about 1 s left", line) for line in lines)
    assert re.fullmatch(r"work: 2 of 2 in \d s", lines[-1])


@pytest.mark.parametrize(
    ("passed", "done", "total", "said"),
    [(10, 5, 10, ", about 10 s left"), (60, 1, 10, ", about 9.0 min left"), (3600, 1, 4, ", about 3.0 h left"),
     (7, 0, 3, ", 7 s so far"), (7, 3, 3, ", 7 s so far"), (7, 0, 0, ", 7 s so far")],
)  # fmt: skip
def test_the_rest_is_estimated_from_what_is_done(passed: float, done: int, total: int, said: str) -> None:
    assert module._left(passed, done, total) == said


def test_it_stops_telling_when_the_work_fails_and_when_told_to_be_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SECONDS", 0.02)
    out = io.StringIO()
    with pytest.raises(ZeroDivisionError), progress("work", 1, stream=out):
        raise ZeroDivisionError
    said = out.getvalue()
    time.sleep(0.1)
    assert out.getvalue() == said
    with progress("work", 1, stream=out, show=False) as advance:
        advance(1)
        time.sleep(0.1)
    assert out.getvalue() == said


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SECONDS", 0.02)
    out = Terminal()
    with progress("work", 3, stream=out) as advance:
        time.sleep(0.1)
        advance(3)
    assert "work: 100%" in out.getvalue()

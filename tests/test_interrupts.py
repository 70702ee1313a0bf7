from __future__ import annotations

import signal
import sys
import threading
import time

import pytest

from xlprobe.interrupts import interrupts_held, signals_interrupt


class Interrupted:
    """Something whose destructor a signal comes into."""

    def __del__(self):
        signal.raise_signal(signal.SIGTERM)
        time.sleep(0)  # here at the latest the signal is seen to


def test_an_interrupt_that_a_destructor_drops_comes_again(capsys):
    before, begin = (signal.getsignal(signal.SIGTERM), sys.unraisablehook), time.monotonic()
    with pytest.raises(KeyboardInterrupt), signals_interrupt(signal.SIGTERM) as came:
        Interrupted()
        time.sleep(30)
    assert time.monotonic() - begin < 10  # what waits is interrupted, too
    assert set(came) == {signal.SIGTERM}
    assert (signal.getsignal(signal.SIGTERM), sys.unraisablehook) == before
    assert capsys.readouterr().err == ""


def test_none_is_lost_where_half_of_the_time_goes_into_destructors():
    class Busy:
        def __del__(self):
            sum(range(50_000))

    def is_interrupted(after):
        timer = threading.Timer(after, signal.raise_signal, [signal.SIGTERM])
        end = time.monotonic() + 20
        try:
            with signals_interrupt(signal.SIGTERM):
                timer.start()
                while time.monotonic() < end:
                    Busy()
                    sum(range(50_000))
        except KeyboardInterrupt:
            return True
        finally:
            timer.join()
        return False

    assert all(is_interrupted(number / 1000) for number in range(1, 31))


def test_what_was_done_when_it_would_have_come_again_is_not_interrupted():
    with signals_interrupt(signal.SIGTERM) as came:
        Interrupted()
    time.sleep(0.05)  # longer than it takes to come again
    assert came == [signal.SIGTERM]


def test_other_exceptions_of_destructors_are_reported_as_ever(monkeypatch):
    class Broken:
        def __del__(self):
            raise ValueError("broken")

    seen = []
    monkeypatch.setattr(sys, "unraisablehook", lambda dropped: seen.append(dropped.exc_type))
    with signals_interrupt(signal.SIGTERM):
        Broken()
    assert seen == [ValueError]


def test_an_interrupt_that_is_held_acts_when_it_is_let_through_and_at_the_end():
    done = []
    with pytest.raises(KeyboardInterrupt), interrupts_held() as let_through:
        signal.raise_signal(signal.SIGINT)
        done.append("held")
        let_through()
        done.append("not reached")
    with pytest.raises(KeyboardInterrupt), interrupts_held():
        signal.raise_signal(signal.SIGINT)
        done.append("held")
        raise ValueError("as C code says where it was interrupted")
    assert done == ["held", "held"]
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_nothing_is_held_outside_the_main_thread():
    before, seen = signal.getsignal(signal.SIGINT), []

    def work():
        with interrupts_held() as let_through:
            let_through()
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]

"""Safetensors files: an interrupt while they are read stays an interrupt."""

from __future__ import annotations

import random
import signal
import time

import pytest
import torch

from xlprobe.checkpoints.cache import read_entry, write_entry
from xlprobe.checkpoints.tensor_files import read_tensors, write_tensors

TENSORS = {f"t{number}": torch.zeros(8, 8) for number in range(1000)}


@pytest.fixture
def interrupted():
    """Run something so many times, each interrupted at a moment of its length; return how many were interrupted."""

    def strike(number, frame):
        signal.raise_signal(signal.SIGINT)

    def was_interrupted(call, seconds):
        try:
            signal.setitimer(signal.ITIMER_REAL, seconds)
            call()
            signal.setitimer(signal.ITIMER_REAL, 0)
        except KeyboardInterrupt:
            return True
        return False

    def run(call, times):
        begin = time.perf_counter()
        call()
        length, moments = time.perf_counter() - begin, random.Random(0)
        return sum(was_interrupted(call, moments.uniform(0, length)) for _ in range(times))

    before = signal.signal(signal.SIGALRM, strike)
    yield run
    signal.signal(signal.SIGALRM, before)


def test_an_interrupt_at_any_moment_of_reading_is_one(tmp_path, interrupted):
    write_tensors(tmp_path / "many.safetensors", TENSORS, {})
    assert interrupted(lambda: read_tensors(tmp_path / "many.safetensors"), 30) > 5


def test_an_interrupt_leaves_the_cache_as_it_is(tmp_path, interrupted, monkeypatch):
    monkeypatch.setenv("XLPROBE_CACHE", str(tmp_path))
    assert write_entry("kind", "0" * 64, {}, TENSORS, lambda: "{}")
    assert interrupted(lambda: read_entry("kind", "0" * 64), 20) > 3
    assert read_entry("kind", "0" * 64) is not None

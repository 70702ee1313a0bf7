"""Memory of long runs: it does not grow with the number of problems, and what is freed is used again."""

from __future__ import annotations

import ctypes
import resource
import subprocess
import sys

import numpy as np
import pytest
from by_path import ENVIRONMENT

from xlprobe.memory import freed_memory_kept, give_back_memory

SCRIPT = """
import resource, sys
from by_path import makers
shared = makers()
from xlprobe import measure
checkpoint = shared.make_checkpoint("xlm-roberta", "ForSequenceClassification", cross_query=True)
problems = shared.make_problems(int(sys.argv[1]) // 2, 2)
names = ["js_stability", "mass_lift", "share_cross", "correct", "instability", "head_rsa", "retrieval_raw", "cka"]
measure(checkpoint, problems, pairs="en-fr", metrics=names, batch_size=16, show_progress=False)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def peak(problems: int) -> int:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(problems)], env=ENVIRONMENT, capture_output=True, text=True, check=True
    )
    return int(done.stdout.split()[-1])


@pytest.mark.slow
def test_ten_times_the_problems_take_no_more_memory():
    few, many = peak(100), peak(1000)
    assert many < 1.1 * few


GLIBC = sys.platform == "linux" and hasattr(ctypes.CDLL(None), "mallopt")
LARGE = 2**26
"""Bytes of an array that glibc would ask the system for."""


def fresh_pages() -> int:
    """How many pages the system has to find for an array like one that was freed."""
    np.ones(LARGE, dtype=np.uint8)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.ones(LARGE, dtype=np.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def resident() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


@pytest.mark.skipif(not GLIBC, reason="only glibc can be told to keep what is freed")
def test_freed_memory_is_used_again_within_a_block_and_handed_back_after_it():
    give_back_memory()
    before = resident()
    assert fresh_pages() > 10
    with freed_memory_kept():
        with freed_memory_kept():
            assert fresh_pages() < 10
        assert fresh_pages() < 10, "the outer block still holds"
    assert resident() < before + LARGE / 2
    assert fresh_pages() > 10

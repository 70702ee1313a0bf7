"""Memory of long runs: it does not grow with the number of problems, and what is freed is used again."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest
from by_path import ENVIRONMENT

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
KEPT = """
import resource
import numpy as np
from xlprobe.memory import freed_memory_kept
LARGE = 2**26

def fresh_pages():
    np.ones(LARGE, dtype=np.uint8)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.ones(LARGE, dtype=np.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()

before = resident()
outside = fresh_pages()
with freed_memory_kept():
    with freed_memory_kept():
        inner = fresh_pages()
    outer = fresh_pages()
held = resident() - before
print(outside, inner, outer, held < LARGE / 2, fresh_pages())
"""
"""Pages that the system has to find for an array like one just freed, outside and within blocks; larger than what glibc
keeps by itself."""


@pytest.mark.skipif(not GLIBC, reason="only glibc can be told to keep what is freed")
def test_freed_memory_is_used_again_within_a_block_and_handed_back_after_it():
    # In a process of its own: a hole of that size that other tests left would be used again, block or not.
    done = subprocess.run(
        [sys.executable, "-c", KEPT], env=ENVIRONMENT, capture_output=True, text=True, check=True, timeout=60
    )
    outside, inner, outer, handed_back, after = done.stdout.split()
    assert min(int(outside), int(after)) > 10
    assert int(inner) < 10
    assert int(outer) < 10, "the outer block still holds"
    assert handed_back == "True"

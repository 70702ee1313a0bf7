"""Peak memory of a measurement does not grow with the number of problems."""

from __future__ import annotations

import subprocess
import sys

import pytest
from by_path import ENVIRONMENT

pytestmark = pytest.mark.slow

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


def test_ten_times_the_problems_take_no_more_memory():
    few, many = peak(100), peak(1000)
    assert many < 1.1 * few

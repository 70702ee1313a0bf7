"""Runs a piece of a benchmark in a process of its own, to see its memory or its start-up."""

from __future__ import annotations

import importlib
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any


def in_child(function: str, **arguments: Any) -> dict[str, Any]:
    """Call `benchmarks.MODULE:NAME(**arguments)` in a fresh process; adds its peak memory in MiB as "peak"."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.child", function, json.dumps(arguments)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def seconds_of(arguments: list[str], **environment: str) -> float:
    """Return how long a Python command takes, from start to end."""
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL, env={**os.environ, **environment}
    )
    return time.perf_counter() - start


def peak_mib() -> float:
    """Return the largest resident memory of this process so far, in MiB."""
    status = Path("/proc/self/status")
    if status.is_file():  # Linux's ru_maxrss begins with that of the process which started this one
        return next(int(line.split()[1]) for line in status.read_text().splitlines() if "VmHWM" in line) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    module, name = sys.argv[1].split(":")
    result = getattr(importlib.import_module(f"benchmarks.{module}"), name)(**json.loads(sys.argv[2])) or {}
    print(json.dumps({**result, "peak": peak_mib()}))

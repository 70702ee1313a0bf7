"""Whatever moment a process is killed at: nothing half-written, nothing left over, and the same end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from made_up import make_frame, make_results

from xlprobe import save

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}


def kill(work: str, directory: Path, kills: int, seed: int = 0) -> dict[str, Any]:
    program = ROOT / "tests" / "support" / "killing.py"
    done = subprocess.run(
        [sys.executable, str(program), work, str(directory), str(kills), str(seed)],
        capture_output=True, text=True, check=False, env=ENVIRONMENT,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return dict(json.loads(done.stdout.splitlines()[-1]))


def holds(figures: dict[str, Any], kills: int) -> None:
    assert figures["kills"] == kills
    assert figures["half_written"] == []
    assert figures["status"] == 0
    assert figures["identical"]
    assert figures["orphans"] == []


def test_a_killed_measurement_goes_on_to_the_same_table(tmp_path: Path) -> None:
    holds(kill("measure", tmp_path, 3), 3)


@pytest.mark.slow
@pytest.mark.parametrize("work", ["measure", "train"])
def test_fifty_kills(work: str, tmp_path: Path) -> None:
    holds(kill(work, tmp_path, 50, seed=1), 50)


@pytest.mark.slow
def test_fifty_kills_of_a_report(tmp_path: Path) -> None:
    make_results(make_frame()).save(tmp_path / "table")
    holds(kill("report", tmp_path, 50, seed=1), 50)


def test_sigterm_ends_like_an_interrupt(tmp_path: Path, tiny: Any) -> None:
    save(tiny.checkpoint("bert"), tmp_path / "checkpoint")
    command = [sys.executable, "-m", "xlprobe", "measure", "-c", str(tmp_path / "checkpoint"), "--limit", "400"]
    command += ["--languages", "en fr", "--batch-size", "4", "--out", str(tmp_path / "out")]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)
    deadline = time.monotonic() + 100
    while not list((tmp_path / "out").glob(".shards-*")) and time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()[1][-2000:]
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 143
    assert said.strip().splitlines()[-1].startswith("ended")
    assert "Traceback" not in said
    assert not (tmp_path / "out" / "results.parquet").exists()
    assert {path.name.split("-")[0] for path in (tmp_path / "out").iterdir()} <= {".shards"}

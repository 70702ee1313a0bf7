"""Runs a piece of work again and again in a child that is killed at a moment of chance, and looks at what is left.

`python killing.py measure|report|train DIRECTORY KILLS SEED` prints one line of figures as JSON. It is a program of its
own because a process that has started threads should not fork: here nothing has, before the children do.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import by_path
import pandas as pd
import torch

import xlprobe
from xlprobe.errors import XlprobeError
from xlprobe.report.build import build
from xlprobe.report.options import ReportOptions
from xlprobe.results import Results
from xlprobe.training import Method, TrainSettings, finetune

warnings.filterwarnings("ignore")
torch.set_num_threads(1)
makers = by_path.makers()


def measure(out: Path) -> None:
    """Measure a tiny checkpoint, in shards of few problems."""
    from xlprobe.measuring import checkpoint_run

    checkpoint_run.SHARD_BATCHES = 1
    checkpoint = makers.make_checkpoint("bert", "ForSequenceClassification")
    problems = makers.make_problems(theories=10)
    metrics = ["js_stability", "cross_lingual_mass", "instability", "correct", "retrieval_raw", "knock_out_effect"]
    xlprobe.measure(checkpoint, problems, metrics=metrics, out=out, batch_size=16, show_progress=False)


def report(out: Path) -> None:
    """Draw a report of a table that lies beside the directory."""
    build(ReportOptions(results=out.parent / "table", out=out))


def train(out: Path) -> None:
    """Fine-tune a tiny checkpoint."""
    settings = TrainSettings(steps=12, batch_size=4, learning_rate=1e-2, log_every=1, save_every=1)
    method = Method("cross-query", "full", {"en-en": 1.0, "en-fr": 1.0})
    made = finetune(makers.make_checkpoint(), makers.make_problems(), method, out=out, settings=settings)
    (out / "hash").write_text(made.hash)


def half_written(out: Path) -> list[str]:
    """Name the files under a final name that are not whole."""
    broken = []
    ends = {
        ".html": b"</html>",
        ".svg": b"</svg>",
        ".csv": b"\n",
        ".json": b"}",
        ".pdf": b"%%EOF",
        ".png": b"IEND\xaeB`\x82",
    }
    for path in sorted(out.rglob("*")):
        if not path.is_file() or any(part.startswith(".") for part in path.relative_to(out).parts):
            continue
        data = path.read_bytes()
        if path.suffix in ends and not data.rstrip(b"" if path.suffix in (".csv", ".png") else None).endswith(
            ends[path.suffix]
        ):
            broken.append(path.name)
        elif path.suffix == ".parquet":
            try:
                Results.load(path).to_frame()
            except XlprobeError:
                broken.append(path.name)
        elif path.suffix == ".safetensors":
            from safetensors import SafetensorError, safe_open

            try:
                with safe_open(path, "pt") as file:
                    file.keys()
            except SafetensorError:
                broken.append(path.name)
    return broken


def answer(work: str, out: Path) -> Any:
    """Return what two runs must agree on."""
    if work == "measure":
        columns = [name for name in Results.load(out).to_frame().columns if name != "value"]
        frame = Results.load(out).to_frame().astype(dict.fromkeys(columns, str))
        return frame.sort_values(columns, ignore_index=True)
    if work == "train":
        return (out / "hash").read_text()
    return {path.name: path.read_bytes() for path in sorted(out.iterdir()) if path.suffix in (".svg", ".csv", ".png")}


def equal(one: Any, other: Any) -> bool:
    """Whether two answers are the same to the last digit."""
    return one.equals(other) if isinstance(one, pd.DataFrame) else bool(one == other)


def start(call: Callable[[Path], None], out: Path) -> int:
    """Do the work in a child and return its process id."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115
        call(out)
        status = 0
    finally:
        os._exit(status)
    return 0


def finished(child: int) -> int | None:
    """Return a child's exit status once it has ended, else None."""
    done, status = os.waitpid(child, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if done else None


def run(work: str, directory: Path, kills: int, seed: int) -> dict[str, Any]:
    """Kill the work `kills` times, whole runs in between starting anew, then let it end and compare it."""
    call: Callable[[Path], None] = globals()[work]
    begin = time.monotonic()
    child = start(call, directory / "whole")
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0, "the undisturbed run failed"
    length = time.monotonic() - begin
    draw, out = random.Random(seed), directory / "killed"
    figures = {"kills": 0, "half_written": [], "ended_whole": 0}
    while figures["kills"] < kills:
        child = start(call, out)
        until = time.monotonic() + draw.uniform(0.02, 0.9) * length
        while (status := finished(child)) is None and time.monotonic() < until:
            time.sleep(0.005)
        if status is None:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            figures["kills"] += 1
        else:  # it was done before the moment came: the next begins anew
            assert status == 0, "a resumed run failed"
            figures["ended_whole"] += 1
            figures["different"] = not equal(answer(work, directory / "whole"), answer(work, out))
            shutil.rmtree(out)
        if out.exists():
            figures["half_written"] += half_written(out)
    child = start(call, out)
    _, status = os.waitpid(child, 0)
    figures["status"] = os.waitstatus_to_exitcode(status)
    figures["identical"] = equal(answer(work, directory / "whole"), answer(work, out)) and not figures.get("different")
    # What a hidden name begins is nobody's after the end; a training keeps its own state.
    figures["orphans"] = [path.name for path in out.iterdir() if path.name.startswith(".")] if work != "train" else []
    return figures


if __name__ == "__main__":
    print(json.dumps(run(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))))

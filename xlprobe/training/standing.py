"""How far the runs of a study are: small files that a run leaves, and the table that is made of them."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from xlprobe.files import write_atomically
from xlprobe.training.study import PlannedRun

__all__ = ["Standing", "seconds_left", "standing_of", "standing_table", "write_standing"]

FILE = "standing.json"


@dataclass(frozen=True)
class Standing:
    """What a run last said: `state` (waiting, begun, finished, diverged), its step, loss and time.

    `rate` is in seconds per step, `score` the best accuracy on validation problems, `note` what went wrong.
    """

    state: str = "waiting"
    step: int = 0
    steps: int | None = None
    loss: float | None = None
    rate: float | None = None
    score: float | None = None
    note: str = ""
    device: str = ""


def standing_of(out: Path, run: PlannedRun) -> Standing:
    """Return how far a run is, from its directory."""
    file = out / run.name / FILE
    if not file.is_file():
        return Standing(steps=run.steps)
    standing = Standing(**json.loads(file.read_text()))
    history = out / run.name / "history.json"
    scores = [entry["accuracy"] for entry in json.loads(history.read_text())] if history.is_file() else []
    return Standing(**{**vars(standing), "score": max(scores, default=None)})


def write_standing(out: Path, run: PlannedRun, standing: Standing) -> None:
    """Write how far a run is."""
    write_atomically(out / run.name / FILE, json.dumps(vars(standing)))


def seconds_left(runs: Sequence[PlannedRun], standings: Sequence[Standing], device: str = "") -> list[float | None]:
    """Return for each run how long it still takes, by its own rate or that of runs like it; None where unknown.

    Runs are alike if they have the same recipe but for seed and length, else if they have the same mechanism. With
    `device`, only rates that were measured there count.
    """
    rates: dict[tuple[str, ...], list[float]] = {}
    for run, standing in zip(runs, standings, strict=True):
        if standing.rate is not None and device in ("", standing.device):
            for kind in _kinds(run):
                rates.setdefault(kind, []).append(standing.rate)
    seconds: list[float | None] = []
    for run, standing in zip(runs, standings, strict=True):
        if standing.state in ("finished", "diverged"):
            seconds.append(0.0)
            continue
        known = next((rates[kind] for kind in _kinds(run) if kind in rates), None)
        total = standing.steps or run.steps
        seconds.append(None if known is None or total is None else (total - standing.step) * sum(known) / len(known))
    return seconds


def _kinds(run: PlannedRun) -> list[tuple[str, ...]]:
    recipe = run.recipe
    return [(recipe.routine, recipe.name, recipe.mechanism), (recipe.routine, recipe.mechanism), (recipe.routine,)]


def standing_table(runs: Sequence[PlannedRun], out: Path, working: bool) -> pd.DataFrame:
    """Return one row per run: its state, step, loss, best validation accuracy, time per step and estimated end.

    `working` says whether the queue is at work, so that what has begun is running, and not interrupted.
    """
    standings = [standing_of(out, run) for run in runs]
    rows: list[dict[str, Any]] = []
    end: float | None = time.time()
    for run, standing, left in zip(runs, standings, seconds_left(runs, standings), strict=True):
        end = None if end is None or left is None else end + left
        state = ("running" if working else "interrupted") if standing.state == "begun" else standing.state
        unfinished = standing.state in ("waiting", "begun")
        rows.append(
            {
                "run": run.name,
                "state": state,
                "step": f"{standing.step}/{standing.steps or run.steps or '?'}",
                "loss": "" if standing.loss is None else f"{standing.loss:.3f}",
                "validation": "" if standing.score is None else f"{standing.score:.3f}",
                "s/step": "" if standing.rate is None else f"{standing.rate:.2f}",
                "ends": time.strftime("%a %H:%M", time.localtime(end)) if unfinished and end is not None else "",
                "note": standing.note,
            }
        )
    return pd.DataFrame(rows)

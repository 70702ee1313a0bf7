"""Trains the runs of a study one after another; whatever stops it, the same call goes on from there."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from xlprobe.checkpoints.checkpoint import Checkpoint
from xlprobe.errors import TrainingError
from xlprobe.files import write_atomically
from xlprobe.training.archives import PLAN, archive_run, unpack_archive
from xlprobe.training.runs import MODEL, QUERY, run_finetune, run_pretrain
from xlprobe.training.standing import Standing, seconds_left, standing_of, write_standing
from xlprobe.training.study import PlannedRun, planned_entries
from xlprobe.training.trainer import Diverged

__all__ = ["QueueOptions", "is_working", "run_queue"]

LOCK = ".working"


@dataclass(frozen=True)
class QueueOptions:
    """Where a queue works: `out` holds its runs, `archives` what is kept of finished ones, `data`
    the recipes' files.

    `minutes` is how long it may take: runs that would not end in time are not begun, and one that does not is left at
    a checkpoint. `say` is told what happens.
    """

    out: Path
    archives: Path
    data: Path | None = None
    minutes: float | None = None
    say: Callable[[str], None] = print


class _Stopped(Exception):
    """The time is up, and a checkpoint has been written."""


def run_queue(runs: Sequence[PlannedRun], options: QueueOptions) -> None:
    """Train what is not finished yet, in order; resumes what was interrupted, to the same weights.

    A run that diverges is kept as it was and reported, never repeated with another seed; the queue goes on, without
    the runs that need it. Raises `TrainingError` where another queue works in `out`, where a run that has begun was
    planned otherwise, and where a file cannot be written.
    """
    options.out.mkdir(parents=True, exist_ok=True)
    for run in runs:
        _take_up(run, options)
        _check_plan(run, options.out)
    deadline = None if options.minutes is None else time.monotonic() + 60 * options.minutes
    with _alone(options.out):
        for run in runs:
            if standing_of(options.out, run).state in ("finished", "diverged"):
                continue
            if reason := _reason_to_wait(run, runs, options.out, deadline):
                options.say(f"{run.name}: {reason}")
                continue
            try:
                _train(run, options, deadline)
            except OSError as error:
                raise TrainingError(
                    f"{run.name}: {error.strerror} ({error.filename or options.out}); make room and run again"
                ) from error
            except _Stopped:
                options.say(f"{run.name}: the time is up; the same command goes on from here")
                return


def _take_up(run: PlannedRun, options: QueueOptions) -> None:
    """Take a run that was finished elsewhere from its archive."""
    archive = options.archives / f"{run.name}.zip"
    if archive.is_file() and not (options.out / run.name / PLAN).is_file():
        unpack_archive(archive, options.out / run.name)
        write_standing(options.out, run, Standing("finished", run.steps or 0, run.steps, note="from its archive"))


def _check_plan(run: PlannedRun, out: Path) -> None:
    file, plan = out / run.name / PLAN, planned_entries(run)
    if not file.is_file():
        return
    known = json.loads(file.read_text())
    if known == plan:
        return
    own, other = plan.pop("recipe"), known.pop("recipe")
    changed = [name for name in own if own[name] != other.get(name)] + [n for n in plan if plan[n] != known.get(n)]
    raise TrainingError(
        f"{out / run.name} was begun with other entries ({', '.join(changed)}); put the recipe back to go on, give the "
        "run another name, or remove its directory"
    )


def _reason_to_wait(run: PlannedRun, runs: Sequence[PlannedRun], out: Path, deadline: float | None) -> str:
    states = {other.name: standing_of(out, other) for other in runs}
    for needed in (run.base, run.query):
        if needed is not None and states[needed].state != "finished":
            return f"needs {needed}, which is {states[needed].state}"
    left = dict(zip(states, seconds_left(runs, list(states.values()), _device(run)), strict=True))[run.name]
    if deadline is not None and left is not None and time.monotonic() + left > deadline:
        return f"would take {left / 60:.0f} minutes, which are not left"
    return ""


def _device(run: PlannedRun) -> str:
    import torch

    return "cpu" if run.recipe.settings.device == "cpu" or not torch.cuda.is_available() else "cuda"


def _train(run: PlannedRun, options: QueueOptions, deadline: float | None) -> None:
    place = options.out / run.name
    write_atomically(place / PLAN, json.dumps(planned_entries(run), indent=1))
    watch = _Watch(options.out, run, _device(run), deadline)
    options.say(f"{run.name}: {'goes on' if watch.standing.step else 'begins'}")
    write_standing(options.out, run, watch.standing)
    try:
        checkpoint = _result(run, options, watch)
        archive_run(run, checkpoint, place, options.archives, options.data)
    except Diverged as error:
        write_standing(options.out, run, replace(watch.standing, state="diverged", note=str(error)))
        options.say(f"{run.name}: diverged. {error}")
        return
    write_standing(options.out, run, replace(watch.standing, state="finished"))
    # What is kept of a finished run is small: the disk holds the checkpoints of one run at a time.
    for old in (*place.glob("checkpoint-*"), place / "best", place / "lm-head"):
        shutil.rmtree(old, ignore_errors=True)
    options.say(f"{run.name}: finished")


def _result(run: PlannedRun, options: QueueOptions, watch: TrainerCallback) -> Checkpoint | None:
    """Train; return the checkpoint, or None where Q_cross was pre-trained."""
    place = options.out / run.name
    if run.recipe.routine == "pretrain":
        run_pretrain(run.recipe, place, options.data, [watch])
        return None
    query = None if run.query is None else options.out / run.query / QUERY
    base = None if run.base is None else options.out / run.base
    if base is not None and (base / MODEL).is_dir():
        base = base / MODEL
    return run_finetune(run.recipe, place, options.data, query, [watch], base)


class _Watch(TrainerCallback):
    """Writes how far a run is, and stops it when the time is up."""

    def __init__(self, out: Path, run: PlannedRun, device: str, deadline: float | None) -> None:
        before = standing_of(out, run)
        self.standing = Standing("begun", before.step, before.steps, before.loss, before.rate, device=device)
        self.out, self.run, self.deadline = out, run, deadline
        self.since, self.first, self.last = time.monotonic(), 0, 0.0

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.since, self.first = time.monotonic(), state.global_step

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        now, done = time.monotonic(), state.global_step - self.first
        losses = [entry["loss"] for entry in state.log_history if "loss" in entry]
        self.standing = replace(
            self.standing, step=state.global_step, steps=state.max_steps, loss=losses[-1] if losses else None,
            rate=(now - self.since) / max(1, done),
        )  # fmt: skip
        if now - self.last > 5 or state.global_step == state.max_steps:
            write_standing(self.out, self.run, self.standing)
            self.last = now
        if self.deadline is not None and now > self.deadline and state.global_step < state.max_steps:
            control.should_save = True

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self.deadline is not None and time.monotonic() > self.deadline and state.global_step < state.max_steps:
            write_standing(self.out, self.run, self.standing)
            raise _Stopped


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    with (out / LOCK).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise TrainingError(f"another queue is at work in {out}; wait for it, or give another directory") from None
        file.write(str(os.getpid()))
        file.flush()
        yield


def is_working(out: Path) -> bool:
    """Whether a queue is at work in a directory."""
    if not (out / LOCK).is_file():
        return False
    with (out / LOCK).open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
    return False

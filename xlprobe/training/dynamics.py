"""Measuring while training: the same metrics on the same problems at given steps."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback

from xlprobe.checkpoints.checkpoint import Checkpoint
from xlprobe.errors import TrainingError
from xlprobe.results import Results
from xlprobe.samples import ParallelSample

__all__ = ["Dynamics"]


class Dynamics(TrainerCallback):
    """Measures chosen metrics on a fixed probe set at given steps, and appends them to one table (column `step`).

    `like` is the checkpoint that training started from: its tokenizer and encoding are used. `steps` are the optimiser
    steps to measure at; 0 is before the first. With `controls` floor and chance are measured at every step too: without
    a floor, what a language border costs cannot be told from what any other question costs. The table is
    `out/results.parquet`. Training is not disturbed: random numbers and the model's mode are put back. Measures in
    float32, also where training computes in bfloat16.
    """

    def __init__(
        self,
        like: Checkpoint,
        probe: Sequence[ParallelSample],
        *,
        steps: Sequence[int],
        out: Path | str,
        name: str,
        metrics: str | Sequence[str] = ("js_stability", "correct", "gold_margin"),
        pairs: str | Sequence[str] | None = None,
        seed: int | None = None,
        controls: bool = True,
        batch_size: int = 32,
    ) -> None:
        if not probe:
            raise TrainingError("got no probe problems; expected at least one")
        if not steps or any(step < 0 for step in steps):
            raise TrainingError(f"got the steps {list(steps)}; expected at least one, from 0 on")
        self.like, self.probe, self.steps, self.out = like, list(probe), frozenset(steps), Path(out)
        self.name, self.seed = name, seed
        self.options: dict[str, Any] = {
            "metrics": metrics, "pairs": pairs, "controls": controls, "forced": False, "batch_size": batch_size,
            "show_progress": False,
        }  # fmt: skip

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Measure the untrained model."""
        if state.global_step == 0:
            self._at(0, state, kwargs["model"])

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Measure after a step."""
        self._at(int(state.global_step), state, kwargs["model"])

    def _at(self, step: int, state: Any, model: Any) -> None:
        if step not in self.steps or not state.is_world_process_zero:
            return
        from xlprobe.measuring.measurement import measure

        model = getattr(model, "module", model)
        checkpoint = Checkpoint(
            self.name, f"{self.name} at step {step}", model, self.like.tokenizer, {}, self.like.encoding
        )
        random_state, training = torch.get_rng_state(), model.training
        model.eval()
        part = self.out / "steps" / f"{step:08d}"
        shutil.rmtree(part, ignore_errors=True)
        try:
            with torch.no_grad():
                measured = measure(checkpoint, self.probe, **self.options)
        finally:
            model.train(training)
            torch.set_rng_state(random_state)
        frame = measured.to_frame()
        frame["step"], frame["seed"] = step, self.seed
        Results(frame, measured.manifest).save(part)
        # Parts from a run that was killed after this step are measured again.
        directories = [path for path in sorted((self.out / "steps").iterdir()) if int(path.name) <= step]
        Results.concat([Results.load(path) for path in directories]).save(self.out)

"""Validation in the course of a training run, which keeps the best weights so far."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn
from transformers import TrainerCallback

from xlprobe.files import write_atomically
from xlprobe.training.tuning import trained_tensors

__all__ = ["HISTORY", "WEIGHTS", "Validate", "Validation"]

WEIGHTS, HISTORY = "trained.safetensors", "history.json"
Validate = Callable[[nn.Module], dict[str, float]]


class Validation(TrainerCallback):
    """Measures on validation data at given steps and keeps the best weights so far in `best/`."""

    def __init__(self, root: Path, every: int, validate: Validate) -> None:
        self.root, self.every, self.validate = root, every, validate

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Measure where it is time to, and keep the weights if none were better."""
        if state.global_step % self.every and state.global_step != state.max_steps:
            return
        model: nn.Module = kwargs["model"]
        model = getattr(model, "module", model)
        # Measuring must not move the random numbers that training draws next.
        random_state = torch.get_rng_state()
        model.eval()
        with torch.no_grad():
            values = self.validate(model)
        model.train()
        torch.set_rng_state(random_state)
        if not state.is_world_process_zero:
            return
        file = self.root / HISTORY
        history = json.loads(file.read_text()) if file.is_file() else []
        history = [entry for entry in history if entry["step"] < state.global_step]
        best = max((entry["score"] for entry in history), default=-math.inf)
        history.append({"step": state.global_step, **values})
        if values["score"] > best:
            (self.root / "best").mkdir(exist_ok=True)
            tensors = {name: tensor.contiguous() for name, tensor in trained_tensors(model).items()}
            partial = self.root / "best" / f".{WEIGHTS}"
            save_file(tensors, partial)
            os.replace(partial, self.root / "best" / WEIGHTS)
        write_atomically(file, json.dumps(history, indent=1))

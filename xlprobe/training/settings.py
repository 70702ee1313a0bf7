"""How to train: numbers that every routine shares, and seeds."""

from __future__ import annotations

import math
import os
import random
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from xlprobe.errors import TrainingError

__all__ = ["MOST", "TrainSettings", "fix_seed"]

MOST = {"steps": 10**8, "epochs": 10_000, "batch_size": 2**16}
"""What no training needs more of; beyond it a number is a slip, and a run would have no end."""


@dataclass(frozen=True)
class TrainSettings:
    """Numbers of one training run.

    Either `steps` (optimiser steps) or `epochs` (passes over the data). `batch_size` is what one optimiser step sees
    over all processes and `accumulate` gradient-accumulation parts. `schedule` falls to 0 in a straight line after
    `warmup` (a share of the steps), or stays constant. `dropout` replaces the configuration's (None: leave it).
    `head_learning_rate` is for classifier and pooler, `bias_learning_rate` for the other biases (None: the same).
    `bf16` computes in bfloat16 with float32 weights where the device is faster in it, else in float32.
    `tokens_at_once` bounds the memory: a batch with more tokens, padding included, goes through the model in several
    parts (in one process), with the same result. `save_every` and `validate_every` are in steps, 0 for never. `keep`
    is how many checkpoints to keep.
    """

    learning_rate: float = 4e-4
    steps: int | None = None
    epochs: float | None = None
    batch_size: int = 32
    accumulate: int = 1
    warmup: float = 0.1
    schedule: Literal["linear", "constant"] = "linear"
    head_learning_rate: float | None = None
    bias_learning_rate: float | None = None
    weight_decay: float = 0.0
    clip: float = 1.0
    dropout: float | None = None
    seed: int = 0
    bf16: bool = False
    tokens_at_once: int = 4096
    max_length: int = 512
    save_every: int = 0
    validate_every: int = 0
    log_every: int = 10
    keep: int = 2
    report_to: tuple[str, ...] = ()
    device: str = "auto"

    @property
    def identity(self) -> dict[str, Any]:
        """What makes a run the one that it is: all but how often it saves, keeps and reports."""
        return asdict(replace(self, save_every=0, keep=0, log_every=1, report_to=()))

    def __post_init__(self) -> None:
        if (self.steps is None) == (self.epochs is None):
            raise TrainingError(
                f"got steps={self.steps} and epochs={self.epochs}; expected exactly one of them, to know when to stop"
            )
        for name, value in vars(self).items():
            if isinstance(value, float) and not math.isfinite(value):
                raise TrainingError(f"got {name}={value}; expected a finite number")
        for name in ("learning_rate", "batch_size", "accumulate", "clip", "tokens_at_once"):
            if getattr(self, name) <= 0:
                raise TrainingError(f"got {name}={getattr(self, name)}; expected a number above 0")
        if (self.steps is not None and self.steps < 1) or (self.epochs is not None and self.epochs <= 0):
            raise TrainingError(f"got steps={self.steps}, epochs={self.epochs}; expected a number above 0")
        for name, most in MOST.items():
            if (getattr(self, name) or 0) > most:
                raise TrainingError(f"got {name}={getattr(self, name)!s:.40}; expected at most {most:,}")
        if not 0 <= self.warmup < 1:
            raise TrainingError(f"got warmup={self.warmup}; expected a share of the steps, 0 to below 1")
        for name in ("seed", "max_length", "save_every", "validate_every", "log_every", "keep"):
            if not 0 <= getattr(self, name) < 2**32:
                raise TrainingError(f"got {name}={getattr(self, name)}; expected a number from 0 to {2**32 - 1}")
        if self.device not in ("auto", "cpu"):
            raise TrainingError(
                f"got device={self.device!r:.40}; expected 'cpu', or 'auto' for a GPU where there is one. Which GPU is "
                "said with CUDA_VISIBLE_DEVICES"
            )
        if self.schedule not in ("linear", "constant"):
            raise TrainingError(f"got schedule={self.schedule!r}; expected 'linear' or 'constant'")
        if self.batch_size % self.accumulate:
            raise TrainingError(
                f"got batch_size={self.batch_size} and accumulate={self.accumulate}; expected a batch that divides "
                "into that many equal parts"
            )

    def total_steps(self, examples: int) -> int:
        """Return how many optimiser steps a run over that many examples takes."""
        if self.steps is not None:
            return self.steps
        assert self.epochs is not None
        return max(1, round(self.epochs * examples / self.batch_size))


def fix_seed(seed: int) -> None:
    """Seed python, numpy and torch, and ask torch for deterministic kernels.

    Two runs on CPUs of one kind with the same number of threads are then bit-identical.
    """
    import numpy as np
    import torch

    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 (libraries draw from it)
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True, warn_only=True)

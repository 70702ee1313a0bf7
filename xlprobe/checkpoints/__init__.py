"""Checkpoints: from bundled names, directories, files and the Hub to a model with its tokenizer.

Everything is imported on first use; `import xlprobe.checkpoints` alone loads neither torch nor transformers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from xlprobe.lazy import on_first_use

if TYPE_CHECKING:
    from xlprobe.checkpoints.bundled import BUNDLED_NAMES, default_specs
    from xlprobe.checkpoints.checkpoint import Checkpoint
    from xlprobe.checkpoints.loading import load

__all__ = ["BUNDLED_NAMES", "Checkpoint", "default_specs", "load"]

__getattr__, __dir__ = on_first_use(
    __name__,
    {
        "bundled": "BUNDLED_NAMES default_specs",
        "checkpoint": "Checkpoint",
        "loading": "load",
    },
)

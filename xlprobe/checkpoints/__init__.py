"""Checkpoints: from bundled names, directories, files and the Hub to a model with its tokenizer.

Everything is imported on first use; `import xlprobe.checkpoints` alone loads neither torch nor transformers.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xlprobe.checkpoints.bundled import BUNDLED_NAMES, default_specs
    from xlprobe.checkpoints.checkpoint import Checkpoint
    from xlprobe.checkpoints.loading import load

_LAZY = {"BUNDLED_NAMES": "bundled", "Checkpoint": "checkpoint", "default_specs": "bundled", "load": "loading"}
__all__ = ["BUNDLED_NAMES", "Checkpoint", "default_specs", "load"]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'xlprobe.checkpoints' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"xlprobe.checkpoints.{_LAZY[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))

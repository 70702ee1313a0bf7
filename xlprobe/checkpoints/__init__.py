"""Checkpoints: from bundled names, directories, files and the Hub to a model with its tokenizer.

Everything is imported on first use; `import xlprobe.checkpoints` alone loads neither torch nor transformers.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xlprobe.checkpoints.checkpoint import BUNDLED, Checkpoint, default_specs, load

__all__ = ["BUNDLED", "Checkpoint", "default_specs", "load"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'xlprobe.checkpoints' has no attribute {name!r}")
    value = getattr(importlib.import_module("xlprobe.checkpoints.checkpoint"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))

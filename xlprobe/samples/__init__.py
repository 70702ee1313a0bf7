"""Parallel reasoning problems: generated, read from files, and encoded."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from xlprobe.samples.types import ParallelSample, Sample

if TYPE_CHECKING:
    from xlprobe.samples.encoding import Batch, Encoder, batches, encode
    from xlprobe.samples.rulebase import generate

_LAZY = {
    "Batch": "xlprobe.samples.encoding",
    "Encoder": "xlprobe.samples.encoding",
    "batches": "xlprobe.samples.encoding",
    "encode": "xlprobe.samples.encoding",
    "generate": "xlprobe.samples.rulebase",
}

__all__ = ["Batch", "Encoder", "ParallelSample", "Sample", "batches", "encode", "generate"]


def __getattr__(name: str) -> Any:
    # Generating and reading need no torch; only what encodes imports it.
    if name not in _LAZY:
        raise AttributeError(f"module 'xlprobe.samples' has no attribute {name!r}")
    value = getattr(importlib.import_module(_LAZY[name]), name)
    globals()[name] = value
    return value

"""Measuring: from checkpoints and parallel problems to the table. Imported on first use."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xlprobe.measuring.design import Design, Interventions
    from xlprobe.measuring.forward import AttentionCapture, HiddenCapture, OutputCapture, Reader, capture
    from xlprobe.measuring.measurement import measure

_LAZY = {
    **dict.fromkeys(("AttentionCapture", "HiddenCapture", "OutputCapture", "Reader", "capture"), "forward"),
    **dict.fromkeys(("Design", "Interventions"), "design"),
    "measure": "measurement",
}

__all__ = [
    "AttentionCapture",
    "Design",
    "HiddenCapture",
    "Interventions",
    "OutputCapture",
    "Reader",
    "capture",
    "measure",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        value = getattr(importlib.import_module(f"xlprobe.measuring.{_LAZY[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""Measuring: from checkpoints and parallel problems to the table. Imported on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xlprobe.lazy import on_first_use

if TYPE_CHECKING:
    from xlprobe.measuring.design import Design, Interventions
    from xlprobe.measuring.forward import AttentionCapture, HiddenCapture, OutputCapture, Reader, capture
    from xlprobe.measuring.measurement import measure

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

__getattr__, __dir__ = on_first_use(
    __name__,
    {
        "design": "Design Interventions",
        "forward": "AttentionCapture HiddenCapture OutputCapture Reader capture",
        "measurement": "measure",
    },
)

"""Look inside multilingual models when they reason across languages.

Checkpoints + parallel samples -> capture -> one tidy table -> statistics -> figures:

    checkpoint = xlprobe.load("bundled:encoder")
    problems = xlprobe.samples.generate(theories=20, languages=("en", "fr", "zh"), seed=0)
    results = xlprobe.measure(checkpoint, problems, pairs="en-fr, fr-en, en-zh, zh-en")
    figure = xlprobe.plots.stability_by_layer(results)

Method: Foroutan et al. 2023, "Breaking the Language Barrier: Improving Cross-Lingual Reasoning with Structured
Self-Attention", arXiv 2310.15258. Everything below is imported on first use, so that `import xlprobe` is quick.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING

from xlprobe.errors import XlprobeError
from xlprobe.lazy import on_first_use

if TYPE_CHECKING:
    from xlprobe import (
        checkpoints,
        encoders,
        interventions,
        languages,
        metrics,
        plots,
        samples,
        statistics,
        training,
    )
    from xlprobe.checkpoints.checkpoint import Checkpoint
    from xlprobe.checkpoints.loading import load
    from xlprobe.checkpoints.saving import save
    from xlprobe.measuring import effects
    from xlprobe.measuring.design import Design
    from xlprobe.measuring.forward import capture
    from xlprobe.measuring.measurement import measure
    from xlprobe.metrics import metric
    from xlprobe.plots.explorer import explore
    from xlprobe.results import Results

__all__ = [
    "Checkpoint",
    "Design",
    "Results",
    "XlprobeError",
    "capture",
    "checkpoints",
    "effects",
    "encoders",
    "explore",
    "interventions",
    "languages",
    "load",
    "measure",
    "metric",
    "metrics",
    "plots",
    "samples",
    "save",
    "statistics",
    "training",
]
__version__ = "0.2.0.dev0"


if "transformers" in sys.modules:
    # Its Auto classes know the cross-query models from here on. Imported later, they do after
    # `import xlprobe.encoders.cross_query`, or the first `load`.
    importlib.import_module("xlprobe.encoders.cross_query")

__getattr__, __dir__ = on_first_use(
    __name__,
    {
        "checkpoints": "checkpoints",
        "checkpoints.checkpoint": "Checkpoint",
        "checkpoints.loading": "load",
        "checkpoints.saving": "save",
        "encoders": "encoders",
        "interventions": "interventions",
        "languages": "languages",
        "measuring.design": "Design",
        "measuring.effects": "effects",
        "measuring.forward": "capture",
        "measuring.measurement": "measure",
        "metrics": "metric metrics",
        "plots": "plots",
        "plots.explorer": "explore",
        "results": "Results",
        "samples": "samples",
        "statistics": "statistics",
        "training": "training",
    },
)

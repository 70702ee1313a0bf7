"""What every model that answers by words is measured by, and that a table holds it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

METRICS = [
    "js_stability", "entropy", "sink_mass", "cross_lingual_mass", "mass_lift", "norm_js_stability", "cka",
    "instability", "head_rsa", "top_heads_jaccard", "correct", "gold_margin", "knock_out_effect", "patching_gain",
    "head_importance",
]  # fmt: skip


def check_measured(frame: Any, metrics: Iterable[str] = METRICS) -> None:
    """Check that each metric has numbers, and a reason where it has none."""
    for metric in metrics:
        own = frame[frame.metric == metric]
        assert own.value.notna().any(), metric
        assert own.reason[own.value.isna()].notna().all(), metric

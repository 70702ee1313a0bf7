"""Kept patterns as rows of the table, unit by unit, so that maps are drawn from the table alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from xlprobe.errors import ResultsError
from xlprobe.plots.facts import manifests

if TYPE_CHECKING:
    from xlprobe.measuring.patterns import KeptPattern
    from xlprobe.results import Results

__all__ = ["attention_rows", "told"]

KEY = "attention_maps"
"""Where the manifest keeps the texts and the places of tokens, which rows cannot hold."""


def attention_rows(kept: Sequence[KeptPattern], sample: str | None = None) -> Results:
    """Return one problem's kept patterns as rows, and in the manifest what its units say.

    Rows have the metric `attention`, the head mean of each layer, and as block the places of the querying and the
    attended unit ("3->1"): 0 is all special tokens together, then the context's sentences from 1, the question last.
    A value is what a unit's tokens spend on all tokens of the other on average, range [0, 1]; over the attended units
    they sum to 1. `sample` is the problem's key, by default the first. Raises `ResultsError` without patterns.
    """
    import pandas as pd

    from xlprobe.results import Results

    if not kept:
        raise ResultsError("got no patterns; keep some with measure(..., keep_patterns=[keys], kept=list)")
    key = sample or kept[0].sample.key
    chosen = [one for one in kept if one.sample.key == key]
    if not chosen:
        known = ", ".join(sorted({one.sample.key for one in kept}))
        raise ResultsError(f"got the problem {key!r}; the patterns are of {known}")
    frames: list[Any] = []
    texts: dict[str, list[str]] = {}
    places: dict[str, dict[str, Any]] = {}
    for one in chosen:
        pair = f"{one.sample.context_language}-{one.sample.question_language}"
        texts[pair] = [*one.sample.context, *([one.sample.question] if one.sample.question else [])]
        units = np.where(one.special, 0, one.unit_ids + 1)
        places.setdefault(one.checkpoint, {})[pair] = {"units": units.tolist(), "segments": one.segment_ids.tolist()}
        frames.append(_rows(one, units, len(texts[pair]) + 1))
    return Results(pd.concat(frames, ignore_index=True), {KEY: {"sample": key, "texts": texts, "tokens": places}})


def _rows(one: KeptPattern, units: np.ndarray, count: int) -> Any:
    import pandas as pd

    pattern = one.pattern()
    assert pattern is not None
    member = np.eye(count)[units]
    share = member / member.sum(axis=0).clip(min=1)
    pooled = np.einsum("lqk,qs,kt->lst", pattern.astype(np.float64).mean(axis=1), share, member)
    layer, query, key = np.indices(pooled.shape).reshape(3, -1)
    return pd.DataFrame(
        {
            "checkpoint": one.checkpoint,
            "dataset": getattr(one.sample, "dataset", ""),
            "context_language": one.sample.context_language,
            "question_language": one.sample.question_language,
            "sample": one.sample.key,
            "group": getattr(one.sample, "group", None),
            "metric": "attention",
            "layer": layer,
            "block": [f"{q}->{k}" for q, k in zip(query, key, strict=True)],
            "value": pooled.reshape(-1),
        }
    )


def told(results: Results) -> dict[str, Any] | None:
    """Return what the manifest says of the units of the mapped problem: sample, texts per pair, places of tokens."""
    return next((manifest[KEY] for manifest in manifests(results) if KEY in manifest), None)

"""Means and intervals for figures: rows are averaged while they stream, and intervals are those of the statistics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from xlprobe.results import Results

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["changes", "estimate", "instability", "theory_means"]

_ALWAYS = ("metric", "block", "pooling", "condition")
_UNITS = ("dataset", "group", "seed")
_SAMPLE = (
    "checkpoint", "dataset", "context_language", "question_language", "reference", "sample", "group", "layer",
    *_ALWAYS, "seed", "step",
)  # fmt: skip


def theory_means(results: Results, by: Sequence[str]) -> pd.DataFrame:
    """Return the mean of every theory per combination of `by`, over samples, heads and what else is not in `by`.

    `rows` is the number of values in a mean.
    """
    columns = list(dict.fromkeys([*by, *_ALWAYS, *_UNITS]))
    return results.means(columns).drop(columns=["n_nan"]).rename(columns={"n": "rows"})


def estimate(results: Results, by: Sequence[str], **options: Any) -> pd.DataFrame:
    """Return means over problems and their intervals per combination of `by`; theories without a number are in n_nan.

    See `xlprobe.statistics.summarise`.
    """
    from xlprobe.statistics import summarise

    return summarise(theory_means(results, by), by=list(by), weights="rows", **options)


def changes(results: Results, metric: str, by: Sequence[str], **options: Any) -> pd.DataFrame:
    """Return how much a code-switched version differs from its in-language reference, sample by sample.

    Heads are averaged before; columns as `estimate`.
    """
    from xlprobe.statistics import subtract_reference, summarise

    return summarise(subtract_reference(_head_means(results.select(metric=metric)), metric), by=list(by), **options)


def instability(results: Results, block: str, pooling: str, **options: Any) -> pd.DataFrame:
    """Return the instability index per checkpoint, pair and layer, over the layer's heads.

    See `xlprobe.statistics.instability`.
    """
    from xlprobe.statistics import instability

    rows = _head_means(results.select(metric="js_stability", block=block, pooling=pooling))
    return instability(rows, ["checkpoint", "context_language", "question_language", "layer"], **options)


def _head_means(results: Results) -> pd.DataFrame:
    """Return the rows with the heads of a layer averaged."""
    return results.means(_SAMPLE).drop(columns=["n", "n_nan"]).assign(head=None, reason=None)

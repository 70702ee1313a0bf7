"""The table as figures read it: one pass over its rows, averaged per theory, which all figures share."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from xlprobe.errors import ResultsError
from xlprobe.results import Results

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "as_drawn",
    "changed_by_the_border",
    "estimate",
    "first_run",
    "floored",
    "heads",
    "problems",
    "rows_of",
    "stabilities",
    "theories",
    "with_runs",
]

_COLUMNS = (
    "checkpoint", "dataset", "context_language", "question_language", "reference", "group", "layer", "metric", "block",
    "pooling", "condition", "step", "seed",
)  # fmt: skip


@functools.lru_cache(maxsize=2)
def theories(results: Results) -> pd.DataFrame:
    """Return the mean over problems and heads per theory and all that tells rows apart; `n`, `n_nan` count values."""
    return results.means(_COLUMNS, categories=True)


@functools.lru_cache(maxsize=2)
def problems(results: Results) -> pd.DataFrame:
    """Return each problem (or sentence) of each metric once: metric, dataset, sample, group."""
    return results.means(["metric", "dataset", "sample", "group"]).drop(columns=["value", "n", "n_nan"])


@functools.lru_cache(maxsize=4)
def heads(results: Results, metric: str, block: str, pooling: str) -> pd.DataFrame:
    """Return a metric's mean over problems per theory, layer and head; one block and pooling."""
    rows = results.select(metric=metric, block=block, pooling=pooling)
    return rows.means([*_COLUMNS, "head"], categories=True)


def rows_of(frame: pd.DataFrame, **filters: Any) -> pd.DataFrame:
    """Return the rows whose columns have the given values; a list (or tuple) means any of its values."""
    for name, wanted in filters.items():
        several = isinstance(wanted, (list, tuple, set, frozenset))
        frame = frame[frame[name].isin(list(wanted)) if several else frame[name] == wanted]
    return frame


def first_run(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of each checkpoint's first training run: what cannot be averaged is drawn of one."""
    first = rows.groupby("checkpoint", observed=True)["seed"].transform("min")
    return rows[rows["seed"].isna() | (rows["seed"] == first)]


def estimate(rows: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Return mean, low, high, n_groups and n_nan per combination of `by`, with intervals over theories.

    Where there are several training runs, each run's mean follows as a row of its own, with the run in `seed`; in the
    rows over all runs `seed` is null.
    """
    from xlprobe.statistics import summarise

    rows = rows.assign(head=None, sample=None) if "head" not in rows else rows.assign(sample=None)
    weights = "n" if "n" in rows else None
    return with_runs(rows, lambda some: summarise(some, by=list(by), weights=weights))


def with_runs(rows: pd.DataFrame, answer: Callable[[pd.DataFrame], pd.DataFrame]) -> pd.DataFrame:
    """Return an answer of all rows, and below it each run's of checkpoints with several (see `estimate`)."""
    import pandas as pd

    whole = answer(rows).assign(seed=None)
    several = rows[rows.groupby("checkpoint", observed=True)["seed"].transform("nunique") > 1]
    runs = [answer(one).assign(low=None, high=None, seed=int(seed)) for seed, one in several.groupby("seed")]
    return pd.concat([whole, *runs], ignore_index=True) if runs else whole


@functools.lru_cache(maxsize=1)
def stabilities(results: Results, block: str, pooling: str) -> pd.DataFrame:
    """Return the stability of one block and pooling with its controls, by problem, layer and head."""
    return results.select(metric="js_stability", block=block, pooling=pooling).lean_frame()


@functools.lru_cache(maxsize=2)
def floored(results: Results, block: str, pooling: str) -> pd.DataFrame:
    """Return code-switched stability with its floor taken off, by problem, layer and head; empty without a floor.

    `statistics.above_floor` of one block and pooling: observed and forced rows, with `raw` and `floor` beside `value`.
    """
    from xlprobe.statistics import above_floor

    try:
        return above_floor(stabilities(results, block, pooling))
    except ResultsError:  # nothing code-switched, or measured without controls
        return results.select(checkpoint="").to_frame().assign(raw=[], floor=[])


@functools.lru_cache(maxsize=1)
def changed_by_the_border(results: Results, metric: str, block: str) -> pd.DataFrame:
    """Return code-switched rows minus the same problem's in one language (`statistics.subtract_reference`)."""
    from xlprobe.statistics import subtract_reference

    return subtract_reference(results.select(metric=metric, block=block, condition="observed").lean_frame(), metric)


def as_drawn(answer: pd.DataFrame, after: str, before: str) -> pd.DataFrame:
    """Return a contrast of two checkpoints as figures show it: `mean` is the change, `held` whether it may be claimed.

    One of many rows is picked out by eye, so `held` goes by q (`statistics.verdict`).
    """
    from xlprobe.statistics import verdict

    left_out = ["mean_a", "mean_b", "mean_before", "mean_after", "d_z", "p_max_t", "n_unpaired", "verdict"]
    shown = answer.rename(columns={"estimate": "mean"}).drop(columns=left_out, errors="ignore")
    return shown.assign(held=verdict(answer, p="q") != 0, checkpoint=after, other=before)

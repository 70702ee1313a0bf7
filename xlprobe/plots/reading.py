"""The table as figures read it: one pass over its rows, averaged per theory, which all figures share."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from xlprobe.results import Results

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "above_floor",
    "change_of_heads",
    "changed_by_the_border",
    "estimate",
    "heads",
    "problems",
    "rows_of",
    "switched",
    "theories",
]

_COLUMNS = (
    "checkpoint", "dataset", "context_language", "question_language", "reference", "group", "layer", "metric", "block",
    "pooling", "condition", "step", "seed",
)  # fmt: skip


@functools.lru_cache(maxsize=2)
def theories(results: Results) -> pd.DataFrame:
    """Return the mean over problems and heads per theory and all that tells rows apart; `n`, `n_nan` count values."""
    return _compact(results.means(_COLUMNS))


@functools.lru_cache(maxsize=2)
def problems(results: Results) -> pd.DataFrame:
    """Return each problem (or sentence) of each metric once: metric, dataset, sample, group."""
    return results.means(["metric", "dataset", "sample", "group"]).drop(columns=["value", "n", "n_nan"])


@functools.lru_cache(maxsize=4)
def heads(results: Results, metric: str, block: str, pooling: str) -> pd.DataFrame:
    """Return a metric's mean over problems per theory, layer and head; one block and pooling."""
    rows = results.select(metric=metric, block=block, pooling=pooling)
    return _compact(rows.means([*_COLUMNS, "head"]))


def _compact(frame: pd.DataFrame) -> pd.DataFrame:
    numbers = {"value": "float64", "n": "int64", "n_nan": "int64"}
    texts = [name for name in frame if name not in numbers and frame[name].dtype.kind not in "iuf"]
    return frame.astype(numbers | dict.fromkeys(texts, "category"))


def rows_of(frame: pd.DataFrame, **filters: Any) -> pd.DataFrame:
    """Return the rows whose columns have the given values; a list (or tuple) means any of its values."""
    for name, wanted in filters.items():
        several = isinstance(wanted, (list, tuple, set, frozenset))
        frame = frame[frame[name].isin(list(wanted)) if several else frame[name] == wanted]
    return frame


def switched(frame: pd.DataFrame) -> pd.Series:
    """Return which rows are code-switched."""
    return frame["context_language"].astype(str) != frame["question_language"].astype(str)


def own_reference(frame: pd.DataFrame) -> pd.Series:
    """Return which rows are compared with their context's own language."""
    context = frame["context_language"].astype(str)
    return frame["reference"].astype(str) == context + "-" + context


def estimate(rows: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Return mean, low, high, n_groups and n_nan per combination of `by`, with intervals over theories.

    Where there are several training runs, each run's mean follows as a row of its own, with the run in `seed`; in the
    rows over all runs `seed` is null.
    """
    import pandas as pd

    from xlprobe.statistics import summarise

    rows = rows.assign(head=None, sample=None) if "head" not in rows else rows.assign(sample=None)
    whole = summarise(rows, by=list(by), weights="n")
    if rows["seed"].nunique() < 2:
        return whole.assign(seed=None)
    runs = [summarise(one, by=list(by), weights="n").assign(seed=int(seed)) for seed, one in rows.groupby("seed")]
    return pd.concat([whole.assign(seed=None), *(one.assign(low=None, high=None) for one in runs)], ignore_index=True)


def above_floor(rows: pd.DataFrame) -> pd.DataFrame:
    """Return code-switched rows with their floor taken off, theory by theory: `value` is observed minus floor.

    Floor is the same theory's value against another question in the context's language, of the same checkpoint, layer
    (and head), block, pooling, step and seed. Rows without a floor are NaN.
    """
    keys = [name for name in (*_COLUMNS, "head") if name in rows and name not in ("question_language", "condition")]
    floors = rows[(rows["condition"] == "floor") & ~switched(rows)]
    floors = floors[[*keys, "value"]].rename(columns={"value": "floor"})
    observed = rows[rows["condition"].isin(["observed", "forced"]) & switched(rows) & own_reference(rows)]
    joined = observed.merge(floors, on=keys, how="left")
    return joined.assign(raw=joined["value"], value=joined["value"] - joined["floor"])


def changed_by_the_border(rows: pd.DataFrame) -> pd.DataFrame:
    """Return code-switched rows minus the same theory's value with both parts in the context's language."""
    keys = [name for name in _COLUMNS if name not in ("question_language", "reference")]
    own = rows[~switched(rows)][[*keys, "value"]].rename(columns={"value": "own"})
    joined = rows[switched(rows)].merge(own, on=keys, how="left")
    return joined.assign(value=joined["value"] - joined["own"])


def change_of_heads(rows: pd.DataFrame, after: str, before: str, by: Sequence[str] = ("layer", "head")) -> pd.DataFrame:
    """Return how much a value per theory changes from one checkpoint to another, per combination of `by`.

    `rows` hold one value per theory and what else is averaged here. Columns: `by`, mean, low, high, q, n_groups: paired
    by theory (and training run, where both have several).
    """
    import numpy as np

    from xlprobe.statistics import contrast

    runs = rows.groupby("checkpoint", observed=True)["seed"].nunique()
    unit = ["dataset", "group", *(["seed"] if runs.get(after, 0) > 1 and runs.get(before, 0) > 1 else [])]
    sides = [
        rows[rows["checkpoint"] == name].groupby([*unit, *by], observed=True)["value"].mean().unstack(list(by))
        for name in (after, before)
    ]
    change = (sides[0] - sides[1]).dropna(how="all")
    index = change.index.to_frame(index=False)
    seeds = index.get("seed")
    found = contrast(
        change.to_numpy(dtype=np.float64), index["dataset"].astype(str) + index["group"].astype(str), seeds
    )
    return change.columns.to_frame(index=False).assign(
        mean=found.estimate, low=found.low, high=found.high, q=found.q, n_groups=found.n_groups
    )

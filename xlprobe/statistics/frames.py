"""Long tables in, long tables out: contrasts of two checkpoints, and means, with what each row speaks of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool
from numpy import ndarray

from xlprobe.errors import ResultsError
from xlprobe.statistics.clusters import Clusters
from xlprobe.statistics.floors import above_floor
from xlprobe.statistics.intervals import Intervals, intervals
from xlprobe.statistics.options import Options, options_of
from xlprobe.statistics.paired_sums import answer_of_sums, summed
from xlprobe.statistics.pairing import (
    KINDS,
    PAIRED_BY,
    completed,
    group_codes,
    numbers,
    own_reference,
    pair,
    repeats,
    rows_of,
    seed_codes,
    with_kinds,
)
from xlprobe.statistics.proportions import PROPORTIONS, proportion_intervals

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Choice", "answer_of", "chosen", "contrast_frame", "split_options", "summarise"]

_NO_GROUPS = "the rows name no theory"


@dataclass(frozen=True)
class Choice:
    """Which rows a contrast is of, where a table holds several kinds.

    `block`, `pooling`, `condition`: one of each. Without a condition the observed one, without a pooling that by token,
    where there are such; a block that is not named is a column of the answer. A kind in `by` is never narrowed.
    `reference="floor"`: each side is what is observed minus its floor (see `above_floor`).
    """

    block: str | None = None
    pooling: str | None = None
    condition: str | None = None
    reference: str | None = None

    def __post_init__(self) -> None:
        if self.reference not in (None, "floor"):
            raise ResultsError(f"got reference={self.reference!r}; expected 'floor' or None")


def contrast_frame(
    frame: pd.DataFrame | Iterable[pd.DataFrame],
    a: str,
    b: str,
    metric: str,
    by: Sequence[str] = ("layer", "head"),
    **options: Any,
) -> pd.DataFrame:
    """Contrast two checkpoints, a - b, over the rows of a table that both have.

    A long table may come in parts, if no pair is in two of them (layer by layer, say); they are added up. Columns but
    checkpoint, sample, metric and value may be absent, as where none of them varies.

    A pair is the same sample, languages, layer, head, block, pooling and condition (and training seed, where there are
    several). Where a sample is compared with several references (fr-en with fr-fr and with en-en), those in its
    context's language count; `Results.select(reference=...)` first for others. Which rows: `Choice` (block, pooling,
    condition, reference). One row of the answer per combination of `by`, and of block, pooling and condition where
    there are several. Columns: `by`, mean_a, mean_b, estimate, low, high, d_z, p, q, p_max_t, n, n_groups, n_seeds,
    n_nan (pairs with an undefined side), speaks_of, reason, n_unpaired (rows that only one of them has); with
    `reference="floor"` also raw, the difference of what was observed. q is adjusted over all rows of the answer: put
    the question language in `by` when claims are made per language. Other options: see `Options`.
    """
    import pandas as pd

    choice, test = split_options(options)
    sums, known, unpaired = [], set(), 0
    for part in [frame] if isinstance(frame, pd.DataFrame) else frame:
        paired, names, absent = _paired(part, a, b, metric, by, choice)
        sums.append(paired)
        known |= names
        unpaired += absent
        del part  # before the next is read
    for name in (a, b):
        if name not in known:
            others = ", ".join(sorted(known))
            raise ResultsError(f"got the checkpoint {name!r} without rows of {metric!r}; those with rows are {others}")
    sums = [one for one in sums if len(one)]
    if not sums:
        raise ResultsError(
            f"{a!r} and {b!r} share no rows of {metric!r}; expected the same samples, languages, layers and heads in "
            "both. Measure both on the same data"
        )
    every = sums[0] if len(sums) == 1 else pd.concat(sums, ignore_index=True)
    return answer_of_sums(every, by, test).assign(n_unpaired=unpaired)


def _paired(
    frame: pd.DataFrame, a: str, b: str, metric: str, by: Sequence[str], choice: Choice
) -> tuple[pd.DataFrame, set[str], int]:
    """Return the sums of the pairs of one part of a table, the checkpoints in it, and how many rows have no partner."""
    rows = rows_of(frame, metric)
    if choice.reference == "floor":
        rows = above_floor(rows, metric)
    rows = _own_references(chosen(rows, choice, by))
    first, second, unpaired = pair(*(rows[rows["checkpoint"] == name] for name in (a, b)))
    runs = first if first["seed"].notna().any() else second
    sums = summed(first, second.assign(seed=runs["seed"].to_numpy()), by)
    return sums, set(rows["checkpoint"].astype(str).unique()), unpaired


def summarise(frame: pd.DataFrame, by: Sequence[str], *, weights: str | None = None, **options: Any) -> pd.DataFrame:
    """Average a table per combination of `by`, with intervals over theories (and runs, where there are several).

    Columns: `by` (and metric, block, pooling, condition where the table holds several), mean, low, high, n, n_groups,
    n_seeds, n_nan, speaks_of, reason (why there is no interval). NaN values are counted and left out of the mean. Rows
    without a group (set-level metrics) have no interval; columns but value may be absent. Accuracy and retrieval have
    intervals of proportions. `weights` names the column that says of how many values a row is the mean. Options: see
    `Options`.
    """
    if frame.empty:
        raise ResultsError("got a table without rows; expected at least one")
    test = options_of(options)
    rows = completed(frame, "value").reset_index(drop=True)
    by = with_kinds(rows, by, (*KINDS, "metric"))
    number, answer = numbers(rows, by)
    values = rows["value"].to_numpy(dtype=np.float64)
    weight = None if weights is None else rows[weights].to_numpy(dtype=np.float64)
    clusters = Clusters.from_long(values, number, group_codes(rows), seed_codes(rows["seed"]), len(answer), weight)
    metric = (answer if "metric" in answer else rows)["metric"]
    shares = np.resize(metric.astype(str).isin(PROPORTIONS).to_numpy(), len(answer))
    bounds = _either(shares, clusters, test)
    grouped = np.bincount(number, rows["group"].notna().to_numpy(), len(answer)) > 0
    return answer.assign(
        mean=clusters.estimate,
        low=np.where(grouped, bounds.low, np.nan),
        high=np.where(grouped, bounds.high, np.nan),
        n=clusters.counts.sum(axis=0).astype(np.int64),
        n_groups=np.where(grouped, bounds.n_groups, 0),
        n_seeds=bounds.n_seeds,
        n_nan=clusters.n_nan,
        speaks_of=bounds.speaks_of,
        reason=np.where(grouped, bounds.reason, _NO_GROUPS),
    )


def _either(shares: Bool[ndarray, " test"], clusters: Clusters, options: Options) -> Intervals:
    """Return intervals of means, and of proportions for those tests that are shares."""
    plain = intervals(clusters, options)
    low, high = plain.low.copy(), plain.high.copy()
    if shares.any():
        wilson = proportion_intervals(clusters.only(shares), options)
        low[shares], high[shares] = wilson.low, wilson.high
    return replace(plain, low=low, high=high)


def split_options(given: dict[str, Any]) -> tuple[Choice, Options]:
    """Return which rows are meant, and how they are tested, from the keywords of a contrast."""
    names = [field.name for field in fields(Choice)]
    choice = Choice(**{name: given[name] for name in names if name in given})
    known = [field.name for field in fields(Options)]
    if unknown := [name for name in given if name not in (*names, *known)]:
        raise ResultsError(f"got the options {unknown}; expected some of {', '.join([*names, *known])}")
    return choice, options_of({name: value for name, value in given.items() if name not in names})


def chosen(rows: pd.DataFrame, choice: Choice, by: Sequence[str]) -> pd.DataFrame:
    """Return the rows of the kinds that are meant (see `Choice`). Raises `ResultsError` where there are none."""
    for name, default in (("block", None), ("pooling", "token"), ("condition", "observed")):
        wanted = getattr(choice, name)
        present = {str(value) for value in rows[name].dropna().unique()}
        if wanted is None and (name in by or default not in present):
            continue
        if wanted is not None and wanted not in present:
            raise ResultsError(f"got {name}={wanted!r}; these rows have {', '.join(sorted(present)) or 'none'}")
        rows = rows[rows[name] == (wanted or default)]
    return rows.reset_index(drop=True)


def answer_of(first: pd.DataFrame, second: pd.DataFrame, by: Sequence[str], options: Options) -> pd.DataFrame:
    """Contrast rows that are already paired; `second` has the seed of its pair."""
    return answer_of_sums(summed(first, second, by), by, options)


def _own_references(rows: pd.DataFrame) -> pd.DataFrame:
    """Where a sample has several references, keep the rows whose reference is in the context's language."""
    if rows["reference"].nunique() < 2 or not repeats(rows, ("checkpoint", *PAIRED_BY, "seed", "step")):
        return rows
    return rows[own_reference(rows) | rows["reference"].isna()].reset_index(drop=True)

"""Ratios of means: the instability index, and how much a patch recovers. Never means of ratios."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from xlprobe.errors import ResultsError
from xlprobe.statistics.clusters import Clusters, divide
from xlprobe.statistics.floors import above_floor
from xlprobe.statistics.frames import Choice, chosen, split_options
from xlprobe.statistics.intervals import jackknife_intervals
from xlprobe.statistics.jackknife import Jackknife, jackknife
from xlprobe.statistics.options import Options, options_of
from xlprobe.statistics.pairing import (
    CONTROL_KEYS,
    SAME_RUN,
    group_codes,
    numbers,
    places_of,
    rows_of,
    seed_codes,
    values_at,
    with_kinds,
)

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "LEAST_GAP",
    "LEAST_LOGITS",
    "Ratio",
    "instability",
    "instability_index",
    "ratio_of_means",
    "recoveries",
    "recovery",
]

LEAST_GAP = 0.05
"""Bits by which chance must lie above floor for the instability index to be defined."""

LEAST_LOGITS = 1.0
"""Logits by which the clean margin must differ from the corrupt one, on average, for a recovery to be defined."""

_OF_A_PROBLEM = (*SAME_RUN, "dataset", "context_language", "question_language", "sample")


@dataclass(frozen=True)
class Ratio:
    """Ratios of means of many tests; one entry per test.

    `value`, `low`, `high`: the ratio and its interval; NaN, with the reason, where the mean below the line is smaller
    than the least one allowed. `n`, `n_groups`, `n_seeds`, `speaks_of` as in `Contrast`.
    """

    value: Float[ndarray, " test"]
    low: Float[ndarray, " test"]
    high: Float[ndarray, " test"]
    n: Int[ndarray, " test"]
    n_groups: Int[ndarray, " test"]
    n_seeds: Int[ndarray, " test"]
    speaks_of: np.ndarray[tuple[int], np.dtype[np.object_]]
    reason: np.ndarray[tuple[int], np.dtype[np.object_]]


def instability_index(switched: Any, floor: Any, chance: Any) -> Any:
    """Instability between its controls: (switched - floor) / (chance - floor), each a mean of 1 - stability, in bits.

    0: as stable as another question in the same language; 1: no more alike than two theories; below 0 and above 1 are
    possible. Down = more stable. (.3, .1, .5) -> .5. NaN where chance is not at least `LEAST_GAP` above floor: then the
    scale has no length.
    """
    d, low, high = (np.asarray(side, dtype=np.float64) for side in (switched, floor, chance))
    # A gap that is the least one but for rounding is enough.
    return np.where(high - low >= LEAST_GAP * (1 - 1e-9), divide(d - low, high - low), np.nan)


def ratio_of_means(
    top: Any, bottom: Any, groups: Any = None, seeds: Any = None, least: float = 0.0, **options: Any
) -> Ratio:
    """Return mean(top) / mean(bottom) over samples with its interval over theories (and runs, where there are several).

    `top` and `bottom` are (sample, test) or (sample,); a sample where either is NaN is left out of both. NaN where the
    mean of `bottom` is not positive or is below `least`. Options: see `Options`.
    """
    above, below = (np.asarray(side, dtype=np.float64) for side in (top, bottom))
    if above.shape != below.shape:
        raise ResultsError(f"got {above.shape} values above the line and {below.shape} below it; expected as many")
    missing = np.isnan(above) | np.isnan(below)
    sides = [Clusters.from_array(np.where(missing, np.nan, side), groups, seeds) for side in (above, below)]
    return _of_means(sides, least, options_of(options))


def _of_means(sides: Sequence[Clusters], least: float, options: Options) -> Ratio:
    above, below = (jackknife(side) for side in sides)
    enough = (below.estimate >= least) & (below.estimate > 0)
    ratio = above.combined(divide, below)
    return _ratio(ratio, enough, sides[0], options, f"the mean below the line is under {least:g}")


def recovery(patched: Any, corrupt: Any, clean: Any, groups: Any = None, seeds: Any = None, **options: Any) -> Ratio:
    """Return how much of a loss patching undoes: mean(patched - corrupt) / mean(clean - corrupt), margins in logits.

    0: nothing; 1: all. NaN where clean does not exceed corrupt by `LEAST_LOGITS` on average. Shapes as
    `ratio_of_means`.
    """
    after, before, goal = (np.asarray(side, dtype=np.float64) for side in (patched, corrupt, clean))
    return ratio_of_means(after - before, goal - before, groups, seeds, LEAST_LOGITS, **options)


def _ratio(ratio: Jackknife, enough: Bool[ndarray, " test"], clusters: Clusters, options: Options, why: str) -> Ratio:
    """Return ratios with their intervals, NaN with the reason where there is not enough below the line."""
    ends = jackknife_intervals(ratio, options)
    count = clusters.counts.sum(axis=0).astype(np.int64)
    value, low, high = (np.where(enough, side, np.nan) for side in (ratio.estimate, ends.low, ends.high))
    reason = np.where(enough | (count == 0), ends.reason, why)
    groups = (clusters.by_group().counts > 0).sum(axis=0)  # also where the ratio itself is undefined
    return Ratio(value, low, high, count, groups, ends.n_seeds, ends.speaks_of, reason)


def instability(frame: pd.DataFrame, by: Sequence[str], metric: str = "js_stability", **options: Any) -> pd.DataFrame:
    """Return the instability index per combination of `by`, from rows of stability with their floor and chance.

    A ratio of means over the problems that have all three, and over all else that is not in `by` (such as heads): the
    index of a layer is no mean of its heads' indices. Intervals resample theories two by two, as chance is measured on
    pairs of them. Which rows and options: as `contrast_frame`. Columns: `by` (and block, pooling, condition where there
    are several), mean, low, high, n, n_groups (pairs of theories), n_seeds, n_nan, speaks_of, reason. How many rows are
    undefined is the number of NaN in mean; their reason says why.
    """
    choice, test = split_options(options)
    switched = _with_controls(rows_of(frame, metric), metric, choice, by)
    columns = with_kinds(switched, by)
    number, answer = numbers(switched, columns)
    sides = [1 - switched[name].to_numpy(dtype=np.float64) for name in ("raw", "floor", "chance")]
    missing = np.isnan(np.stack(sides)).any(axis=0)
    groups, seeds = group_codes(switched), seed_codes(switched["seed"])
    clusters = [
        Clusters.from_long(np.where(missing, np.nan, side), number, groups, seeds, len(answer)) for side in sides
    ]
    first, *others = (jackknife(one) for one in clusters)
    index = first.combined(lambda d, low, high: divide(d - low, high - low), *others)
    enough = ~np.isnan(instability_index(*(one.estimate for one in (first, *others))))
    ratio = _ratio(index, enough, clusters[0], test, f"chance is less than {LEAST_GAP} bits above floor")
    return _as_table(answer, ratio, clusters[0].n_nan)


def recoveries(frame: pd.DataFrame, by: Sequence[str], **options: Any) -> pd.DataFrame:
    """Return how much patching recovers per combination of `by`, from rows of `patching_gain` and `patching_gap`.

    `recovery` over the problems that have both, and over all else that is not in `by`: a ratio of means, NaN with the
    reason where the mean gap is under `LEAST_LOGITS`. Options: see `Options`. Columns as `instability`.
    """
    gains, gaps = (rows_of(frame, metric) for metric in ("patching_gain", "patching_gap"))
    place = places_of(gains, gaps, _OF_A_PROBLEM, "gaps")
    sides = [gains["value"].to_numpy(dtype=np.float64), values_at(gaps, place)]
    missing = np.isnan(sides).any(axis=0)
    number, answer = numbers(gains, with_kinds(gains, by))
    groups, seeds = group_codes(gains), seed_codes(gains["seed"])
    clusters = [
        Clusters.from_long(np.where(missing, np.nan, side), number, groups, seeds, len(answer)) for side in sides
    ]
    return _as_table(answer, _of_means(clusters, LEAST_LOGITS, options_of(options)), clusters[0].n_nan)


def _as_table(answer: pd.DataFrame, ratio: Ratio, n_nan: Int[ndarray, " test"]) -> pd.DataFrame:
    shown = {name: getattr(ratio, name) for name in ("low", "high", "n", "n_groups", "n_seeds")}
    return answer.assign(mean=ratio.value, **shown, n_nan=n_nan, speaks_of=ratio.speaks_of, reason=ratio.reason)


def _with_controls(rows: pd.DataFrame, metric: str, choice: Choice, by: Sequence[str]) -> pd.DataFrame:
    """Return code-switched rows with the columns raw, floor and chance; their group is that of the pair of theories."""
    switched = chosen(above_floor(rows, metric), choice, by)
    chances = rows[(rows["condition"] == "chance") & (rows["context_language"] == rows["question_language"])]
    if chances.empty:
        raise ResultsError(f"the table has no chance level of {metric!r}; measure with controls")
    wanted = switched.assign(question_language=switched["context_language"])
    place = places_of(wanted, chances, CONTROL_KEYS, "chance levels")
    group = chances["group"].astype(object).to_numpy()[place]
    return switched.assign(chance=values_at(chances, place), group=np.where(place < 0, switched["group"], group))

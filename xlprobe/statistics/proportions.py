"""Intervals of proportions that stay within 0 and 1, and say something where all answers are right."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from xlprobe.errors import ResultsError
from xlprobe.statistics.clusters import Clusters, divide
from xlprobe.statistics.intervals import NEW_RUNS, Intervals, jackknife_intervals, t_quantile, variances
from xlprobe.statistics.jackknife import jackknife, spread
from xlprobe.statistics.options import Options, options_of

__all__ = ["PROPORTIONS", "proportion_interval", "proportion_intervals"]

PROPORTIONS = frozenset(
    {"correct", "retrieval_raw", "retrieval_centred", "retrieval_offset", "retrieval_language_removed"}
)
"""The metrics whose values are right or wrong."""


def proportion_interval(values: Any, groups: Any = None, seeds: Any = None, **options: Any) -> Intervals:
    """Return the Wilson-type interval of proportions: `values` (sample, test) or (sample,) in [0, 1], NaN: undefined.

    Groups, seeds and options as `contrast`. 150 right of 150 is about [.97, 1], not [1, 1]. NaN with the reason for
    fewer than six groups. Raises `ResultsError` for values outside [0, 1].
    """
    array = np.asarray(values, dtype=np.float64)
    if np.nanmin(array, initial=0.0) < 0 or np.nanmax(array, initial=1.0) > 1:
        raise ResultsError("got values below 0 or above 1; expected right (1) or wrong (0), or shares between them")
    return proportion_intervals(Clusters.from_array(array, groups, seeds), options_of(options))


def proportion_intervals(clusters: Clusters, options: Options | None = None) -> Intervals:
    """Return Wilson-type intervals of summed proportions (see `proportion_interval`).

    Wilson's interval with t over groups in place of the normal quantile, and the number of questions divided by the
    design effect. How alike the questions of a theory are cannot be seen where nearly all are right (or wrong), so the
    design effect is drawn towards its largest value, the questions of a theory, with the weight of one observation
    against the rarer kind's number. Sources: Wilson 1927, Journal of the American Statistical Association 22(158);
    Korn and Graubard 1998, Survey Methodology 24(2).
    """
    options = options or Options()
    estimates = jackknife(clusters)
    plain = jackknife_intervals(estimates, options)
    new_runs = plain.speaks_of == NEW_RUNS
    share = clusters.estimate
    known = variances(estimates)
    runs = np.where(new_runs, t_quantile(options.confidence, known.n_runs) ** 2 * known.runs, 0.0)
    width = _relative_width(clusters, runs, options.confidence)
    centre = (share + width / 2) / (1 + width)
    reach = np.sqrt(np.maximum(width * share * (1 - share) + width**2 / 4, 0.0)) / (1 + width)
    absent = plain.reason != ""
    # The ends are exact where all are right or wrong; rounding must not take them out of [0, 1].
    low = np.where(absent, np.nan, np.clip(centre - reach, 0.0, 1.0))
    high = np.where(absent, np.nan, np.clip(centre + reach, 0.0, 1.0))
    return replace(plain, low=low, high=high)


def _relative_width(clusters: Clusters, runs: Float[ndarray, " test"], confidence: float) -> Float[ndarray, " test"]:
    """Return the squared half-width over p (1 - p), which is t^2 / n for independent answers."""
    merged = clusters.by_group()
    count, share = merged.counts.sum(axis=0), merged.estimate
    largest = divide((merged.counts**2).sum(axis=0), count)
    groups = spread(jackknife(merged).groups)
    chance = share * (1 - share)
    rarer = count * np.minimum(share, 1 - share)
    seen = np.nan_to_num(divide(groups.variance * count, chance))
    effect = np.clip((rarer * seen + largest) / (rarer + 1), 1.0, np.maximum(largest, 1.0))
    square = t_quantile(confidence, groups.units) ** 2
    return divide(square * effect, count) + np.nan_to_num(divide(runs, chance))

"""Paired contrasts: estimate, interval, effect size and p values of many tests at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from xlprobe.statistics.clusters import Clusters, divide
from xlprobe.statistics.intervals import NEW_RUNS, intervals, runs_p
from xlprobe.statistics.jackknife import jackknife
from xlprobe.statistics.multiple import benjamini_hochberg
from xlprobe.statistics.options import Options, options_of
from xlprobe.statistics.permutation import sign_flip

__all__ = ["Contrast", "contrast", "contrast_clusters", "effect_size"]


@dataclass(frozen=True)
class Contrast:
    """Paired differences of many tests; every field but `exact` has one entry per test.

    `estimate`: mean difference over samples. `low`, `high`: its interval. `d_z`: standardised difference. `p`:
    two-sided p value, of sign flips of theories for these runs, of t over theories and runs for new runs; `q`: adjusted
    by Benjamini and Hochberg over all tests; `p_max_t`: family-wise, by sign flips (NaN for new runs). `n`, `n_groups`,
    `n_seeds`: samples, groups and training runs with numbers; `n_nan`: pairs where either side is undefined.
    `speaks_of`: "new runs" or "these runs"; `reason`: why there is no interval (else an empty text).
    """

    estimate: Float[ndarray, " test"]
    low: Float[ndarray, " test"]
    high: Float[ndarray, " test"]
    d_z: Float[ndarray, " test"]
    p: Float[ndarray, " test"]
    q: Float[ndarray, " test"]
    p_max_t: Float[ndarray, " test"]
    n: Int[ndarray, " test"]
    n_groups: Int[ndarray, " test"]
    n_seeds: Int[ndarray, " test"]
    n_nan: Int[ndarray, " test"]
    speaks_of: np.ndarray[tuple[int], np.dtype[np.object_]]
    reason: np.ndarray[tuple[int], np.dtype[np.object_]]
    exact: bool


def effect_size(clusters: Clusters) -> Float[ndarray, " test"]:
    """d_z: mean over standard deviation of the groups' mean differences (Cohen 1988, section 2.3.5).

    Range (-inf, inf), 0: no difference. NaN for fewer than two groups, and where all groups are equal.
    """
    merged = clusters.by_group()
    means = divide(merged.sums, merged.counts)
    present = ~np.isnan(means)
    count = present.sum(axis=0)
    filled = np.where(present, means, 0.0)
    average = divide(filled.sum(axis=0), count)
    squares = (np.where(present, means - average, 0.0) ** 2).sum(axis=0)
    deviation = np.sqrt(divide(squares, count - 1))
    # A spread that is rounding alone is none.
    flat = deviation <= 1e-12 * np.abs(filled).max(axis=0, initial=0.0)
    return divide(average, np.where(flat | (count < 2), 0.0, np.nan_to_num(deviation)))


def contrast_clusters(clusters: Clusters, options: Options | None = None) -> Contrast:
    """Contrast summed differences (see `contrast`)."""
    options = options or Options()
    ends = intervals(clusters, options)
    new_runs = ends.speaks_of == NEW_RUNS
    p, p_max_t = np.full((2, len(new_runs)), np.nan)
    exact = False
    if not new_runs.all():
        test = sign_flip(clusters, draws=options.draws, rng=options.seed)
        p, p_max_t, exact = test.p, np.where(new_runs, np.nan, test.p_max_t), test.exact
    if new_runs.any():
        p = np.where(new_runs, runs_p(jackknife(clusters)), p)
    return Contrast(
        estimate=clusters.estimate,
        low=ends.low,
        high=ends.high,
        d_z=effect_size(clusters),
        p=p,
        q=benjamini_hochberg(p),
        p_max_t=p_max_t,
        n=clusters.counts.sum(axis=0).astype(np.int64),
        n_groups=ends.n_groups,
        n_seeds=ends.n_seeds,
        n_nan=clusters.n_nan,
        speaks_of=ends.speaks_of,
        reason=ends.reason,
        exact=exact,
    )


def contrast(differences: Any, groups: Any = None, seeds: Any = None, **options: Any) -> Contrast:
    """Test whether mean paired differences are 0, for many tests at once.

    `differences` is (sample, test) or (sample,), NaN where undefined; `groups` labels the samples that belong together
    (theories); `seeds` the training runs, crossed with the groups: with several, interval and p speak of new runs,
    unless `unit="problems"` asks for these runs only. Options: see `Options`. With fewer than six groups there is no
    interval. With 144 heads the smallest Benjamini-Hochberg threshold is 3.5e-4: fewer than 9,999 draws cannot reach
    it.
    """
    return contrast_clusters(Clusters.from_array(differences, groups, seeds), options_of(options))

"""Paired contrasts: estimate, interval, effect size and p values of many tests at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from xlprobe.statistics.bootstrap import intervals
from xlprobe.statistics.clusters import Clusters, divide
from xlprobe.statistics.multiple import benjamini_hochberg
from xlprobe.statistics.permutation import sign_flip

__all__ = ["Contrast", "contrast", "contrast_clusters", "effect_size"]


@dataclass(frozen=True)
class Contrast:
    """Paired differences of many tests; every field has one entry per test.

    `estimate`: mean difference over samples. `low`, `high`: its interval. `d_z`: standardised difference. `p`:
    two-sided sign-flip p value, `q`: adjusted by Benjamini and Hochberg over all tests, `p_max_t`: family-wise. `n`,
    `n_groups`: samples and groups with numbers, `n_nan`: pairs where either side is undefined.
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
    n_nan: Int[ndarray, " test"]
    n_seeds: int
    exact: bool

    @property
    def significant(self) -> Bool[ndarray, " test"]:
        """Which tests are called at a false discovery rate of 5 %."""
        return self.q <= 0.05


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


def contrast_clusters(
    clusters: Clusters,
    *,
    draws: int = 9999,
    confidence: float = 0.95,
    method: str = "bca",
    unit: str = "group",
    seed: int = 0,
) -> Contrast:
    """Contrast summed differences (see `contrast`)."""
    streams = np.random.default_rng(seed).spawn(2)
    ends = intervals(clusters, draws=draws, confidence=confidence, method=method, rng=streams[0])
    test = sign_flip(clusters, draws=draws, unit=unit, rng=streams[1])
    return Contrast(
        estimate=clusters.estimate,
        low=ends.low,
        high=ends.high,
        d_z=effect_size(clusters),
        p=test.p,
        q=benjamini_hochberg(test.p),
        p_max_t=test.p_max_t,
        n=clusters.counts.sum(axis=0).astype(np.int64),
        n_groups=clusters.groups_with_data,
        n_nan=clusters.n_nan,
        n_seeds=clusters.num_seeds,
        exact=test.exact,
    )


def contrast(differences: Any, groups: Any = None, seeds: Any = None, **options: Any) -> Contrast:
    """Test whether mean paired differences are 0, for many tests at once.

    `differences` is (sample, test) or (sample,), NaN where undefined; `groups` labels the samples that are drawn and
    flipped together (theories); `seeds` the training seeds, resampled above the groups. Options: `draws` (9,999),
    `confidence` (.95), `method` ("bca" or "percentile"), `unit` of the sign flips ("group" or "seed"), `seed`.
    With 144 heads the smallest Benjamini-Hochberg threshold is 3.5e-4: fewer than 9,999 draws cannot reach it.
    """
    return contrast_clusters(Clusters.from_array(differences, groups, seeds), **options)

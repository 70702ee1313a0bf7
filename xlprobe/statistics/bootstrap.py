"""Bootstrap means over whole groups of samples, and their BCa interval."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from xlprobe.statistics.clusters import Clusters, divide
from xlprobe.statistics.jackknife import jackknife, spread
from xlprobe.statistics.options import Options

__all__ = ["bca", "bootstrap_means"]

_WEIGHTS_AT_A_TIME = 4_000_000
_MEANS_AT_A_TIME = 8_000_000


def bootstrap_means(clusters: Clusters, draws: int, rng: np.random.Generator) -> Float[ndarray, "test draw"]:
    """Return the means of all tests in each draw of cells, shared by the tests; NaN where a draw has no number."""
    means = np.empty((clusters.sums.shape[1], draws))
    balanced = bool((clusters.counts == clusters.counts[:, :1]).all())
    counts = clusters.counts[:, :1] if balanced else clusters.counts
    start = 0
    for weights in _weights(len(clusters.sums), draws, rng):
        stop = start + len(weights)
        means[:, start:stop] = divide(weights @ clusters.sums, weights @ counts).T
        start = stop
    return means


def _weights(size: int, draws: int, rng: np.random.Generator) -> Iterator[Float[ndarray, "draw cell"]]:
    step = max(_WEIGHTS_AT_A_TIME // size, 1)
    for start in range(0, draws, step):
        count = min(step, draws - start)
        picks = rng.integers(0, size, (count, size)) + np.arange(count)[:, None] * size
        yield np.bincount(picks.reshape(-1), minlength=count * size).reshape(count, size).astype(np.float64)


def bca(clusters: Clusters, options: Options) -> tuple[Float[ndarray, " test"], Float[ndarray, " test"]]:
    """Return the ends of bias-corrected and accelerated bootstrap intervals over groups; tests share the draws.

    Source: Efron 1987, Journal of the American Statistical Association 82(397).
    """
    tests = clusters.sums.shape[1]
    step = max(_MEANS_AT_A_TIME // options.draws, 1)
    low, high = np.empty(tests), np.empty(tests)
    for start in range(0, tests, step):
        part = slice(start, min(start + step, tests))
        some = clusters.only(part)
        # The same seed for every part: all tests then see the same draws, whatever the size of the parts.
        means = bootstrap_means(some, options.draws, np.random.default_rng(options.seed))
        low[part], high[part] = _ends(some, means, options.confidence)
    return low, high


def _ends(
    clusters: Clusters, means: Float[ndarray, "test draw"], confidence: float
) -> tuple[Float[ndarray, " test"], Float[ndarray, " test"]]:
    from scipy.special import ndtr, ndtri

    count = (~np.isnan(means)).sum(axis=1)
    ordered = np.sort(means, axis=1)  # NaN last
    estimate = clusters.estimate[:, None]
    with np.errstate(invalid="ignore"):
        # Ties count half, so that a coarse distribution is not taken for a biased one.
        near = np.isclose(means, estimate, rtol=1e-12, atol=0)
        below = ((means < estimate) & ~near).sum(axis=1) + 0.5 * near.sum(axis=1)
    share = np.clip(divide(below, count), 0.5 / np.maximum(count, 1), 1 - 0.5 / np.maximum(count, 1))
    bias, slope = ndtri(share), _acceleration(clusters)
    moved = bias + ndtri(np.array([(1 - confidence) / 2, (1 + confidence) / 2]))[:, None]
    levels = ndtr(bias + moved / (1 - slope * moved))
    place = np.nan_to_num(np.clip(levels * (count - 1), 0, np.maximum(count - 1, 0)))
    lower = np.floor(place).astype(np.int64)
    upper = np.minimum(lower + 1, np.maximum(count - 1, 0))
    rows = np.arange(len(means))
    ends = ordered[rows, lower] + (place - lower) * (ordered[rows, upper] - ordered[rows, lower])
    return ends[0], ends[1]


def _acceleration(clusters: Clusters) -> Float[ndarray, " test"]:
    groups = spread(jackknife(clusters).groups)
    return groups.skewness / (6 * np.sqrt(np.maximum(groups.units, 1)))

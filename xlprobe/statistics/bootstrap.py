"""Bootstrap intervals of means, resampling whole groups of samples, and training seeds above them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from xlprobe.errors import ResultsError
from xlprobe.statistics.clusters import Clusters, divide

__all__ = ["Intervals", "bootstrap_means", "intervals"]

_WEIGHTS_AT_A_TIME = 4_000_000
_MEANS_AT_A_TIME = 8_000_000


@dataclass(frozen=True)
class Intervals:
    """Lower and upper ends of each test's interval; NaN where fewer than two groups have numbers."""

    low: Float[ndarray, " test"]
    high: Float[ndarray, " test"]


def _weights(clusters: Clusters, draws: int, rng: np.random.Generator) -> Iterator[Float[ndarray, "draw cell"]]:
    """Yield how often each cell is drawn: the group's count times the seed's count.

    The same groups are measured under every seed, so one draw of groups serves all seeds (Owen 2007, Annals of Applied
    Statistics 1(2), the pigeonhole bootstrap).
    """
    groups, seeds = clusters.num_groups, clusters.num_seeds
    step = max(_WEIGHTS_AT_A_TIME // max(groups, len(clusters.group)), 1)
    for start in range(0, draws, step):
        count = min(step, draws - start)
        weights = _draw(groups, count, rng)[:, clusters.group]
        if seeds > 1:
            weights = weights * _draw(seeds, count, rng)[:, clusters.seed]
        yield weights


def _draw(size: int, draws: int, rng: np.random.Generator) -> Float[ndarray, "draw item"]:
    picks = rng.integers(0, size, (draws, size)) + np.arange(draws)[:, None] * size
    return np.bincount(picks.reshape(-1), minlength=draws * size).reshape(draws, size).astype(np.float64)


def bootstrap_means(clusters: Clusters, draws: int, rng: np.random.Generator) -> Float[ndarray, "test draw"]:
    """Return the means of all tests in each draw; all tests share the draws. NaN where a draw has no number."""
    tests = clusters.sums.shape[1]
    means = np.empty((tests, draws))
    balanced = bool((clusters.counts == clusters.counts[:, :1]).all())
    counts = clusters.counts[:, :1] if balanced else clusters.counts
    start = 0
    for weights in _weights(clusters, draws, rng):
        stop = start + len(weights)
        means[:, start:stop] = divide(weights @ clusters.sums, weights @ counts).T
        start = stop
    return means


def intervals(
    clusters: Clusters,
    *,
    draws: int = 9999,
    confidence: float = 0.95,
    method: str = "bca",
    rng: np.random.Generator | int = 0,
) -> Intervals:
    """Return bootstrap intervals of the means: bias-corrected and accelerated ("bca"), or "percentile".

    Groups are resampled, with seeds above them where there are several; tests share the draws. Where all numbers are
    equal the interval is that number. Source: Efron 1987, Journal of the American Statistical Association 82(397).
    """
    if method not in ("bca", "percentile"):
        raise ResultsError(f"got method={method!r}; expected 'bca' or 'percentile'")
    if not 0 < confidence < 1 or draws < 1:
        raise ResultsError(f"got confidence={confidence}, draws={draws}; expected 0 < confidence < 1 and draws >= 1")
    tests = clusters.sums.shape[1]
    step = max(_MEANS_AT_A_TIME // draws, 1)
    seed = int(np.random.default_rng(rng).integers(2**63))
    low, high = np.empty(tests), np.empty(tests)
    for start in range(0, tests, step):
        part = slice(start, min(start + step, tests))
        some = Clusters(
            clusters.sums[:, part], clusters.counts[:, part], clusters.group, clusters.seed, clusters.n_nan[part]
        )
        # The same seed for every part: all tests then see the same draws, whatever the size of the parts.
        means = bootstrap_means(some, draws, np.random.default_rng(seed))
        low[part], high[part] = _ends(some, means, confidence, method)
    few = clusters.groups_with_data < 2
    low[few], high[few] = np.nan, np.nan
    return Intervals(low, high)


def _ends(
    clusters: Clusters, means: Float[ndarray, "test draw"], confidence: float, method: str
) -> tuple[Float[ndarray, " test"], Float[ndarray, " test"]]:
    from scipy.special import ndtr, ndtri

    tails = np.array([(1 - confidence) / 2, (1 + confidence) / 2])
    known = ~np.isnan(means)
    count = known.sum(axis=1)
    ordered = np.sort(means, axis=1)  # NaN last
    levels = np.broadcast_to(tails[:, None], (2, len(means)))
    if method == "bca":
        estimate = clusters.estimate[:, None]
        with np.errstate(invalid="ignore"):
            # Ties count half, so that a coarse distribution is not taken for a biased one.
            near = np.isclose(means, estimate, rtol=1e-12, atol=0)
            below = ((means < estimate) & ~near).sum(axis=1) + 0.5 * near.sum(axis=1)
        share = np.clip(divide(below, count), 0.5 / np.maximum(count, 1), 1 - 0.5 / np.maximum(count, 1))
        bias, slope = ndtri(share), _acceleration(clusters)
        moved = bias + ndtri(tails)[:, None]
        levels = ndtr(bias + moved / (1 - slope * moved))
    place = np.clip(levels * (count - 1), 0, np.maximum(count - 1, 0))
    place = np.nan_to_num(place)
    lower = np.floor(place).astype(np.int64)
    upper = np.minimum(lower + 1, np.maximum(count - 1, 0))
    rows = np.arange(len(means))
    ends = ordered[rows, lower] + (place - lower) * (ordered[rows, upper] - ordered[rows, lower])
    ends[:, count == 0] = np.nan
    return ends[0], ends[1]


def _acceleration(clusters: Clusters) -> Float[ndarray, " test"]:
    """Skewness of the groups' influence, and of the seeds' where there are several, over 6; 0 if all are equal."""
    parts = [clusters.by_group()]
    if clusters.num_seeds > 1:
        parts.append(clusters.by_seed())
    top = bottom = np.zeros(clusters.sums.shape[1])
    for part in parts:
        without = divide(part.sums.sum(axis=0) - part.sums, part.counts.sum(axis=0) - part.counts)
        present = (part.counts > 0) & ~np.isnan(without)
        without = np.where(present, without, 0.0)
        size = np.maximum(present.sum(axis=0), 1)
        influence = np.where(present, without.sum(axis=0) / size - without, 0.0)
        # The change from leaving one out, scaled to a share of the mean's deviation, so that levels can be joined.
        influence = influence * (size - 1) / size
        top, bottom = top + (influence**3).sum(axis=0), bottom + (influence**2).sum(axis=0)
    return np.nan_to_num(divide(top, 6 * bottom**1.5))

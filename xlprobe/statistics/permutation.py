"""Sign-flip tests of paired differences: exact for few groups, else by random flips; and their joint maximum."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from xlprobe.statistics.clusters import Clusters, divide

__all__ = ["SignFlip", "sign_flip"]

_FLIPS_AT_A_TIME = 4_000_000
_CLOSE = 1e-9


@dataclass(frozen=True)
class SignFlip:
    """Two-sided p values per test, and those of the largest statistic of all tests together."""

    p: Float[ndarray, " test"]
    p_max_t: Float[ndarray, " test"]
    exact: bool


def sign_flip(clusters: Clusters, *, draws: int = 9999, rng: np.random.Generator | int = 0) -> SignFlip:
    """Test mean = 0 by flipping the signs of whole groups, the same flips for all tests.

    Two-sided. With no more than `draws` + 1 combinations all are tried and p is their share at least as extreme (the
    unflipped one among them); else p = (b + 1) / (draws + 1). `p_max_t` compares each |t| with the largest |t| of all
    tests in each flip, and so holds the family-wise error rate (Westfall and Young 1993). NaN for a test without
    numbers. Flips are joint over training runs, and so speak about the runs at hand.
    """
    merged = clusters.by_group()
    # Scaled so that the mean over units is the mean over samples.
    values = divide(merged.sums * len(merged.sums), merged.counts.sum(axis=0))
    empty = np.isnan(values).any(axis=0)
    values = np.nan_to_num(values)
    observed = np.abs(values.mean(axis=0))
    squares = (values**2).mean(axis=0)
    observed_t = _t(observed, squares)
    least, least_t = observed * (1 - _CLOSE), observed_t * (1 - _CLOSE)
    more, more_t, total = np.zeros(len(observed)), np.zeros(len(observed)), 0
    exact = len(values) < 63 and 2 ** len(values) <= draws + 1
    flips = _all_flips(len(values)) if exact else _random_flips(len(values), draws, np.random.default_rng(rng))
    for signs in flips:
        means = np.abs(signs @ values) / len(values)
        more += (means >= least).sum(axis=0)
        largest = _t(means, squares).max(axis=1) if means.shape[1] else np.zeros(len(means))
        more_t += len(largest) - np.searchsorted(np.sort(largest), least_t, side="left")
        total += len(signs)
    p, p_max_t = (more / total, more_t / total) if exact else ((more + 1) / (total + 1), (more_t + 1) / (total + 1))
    p[empty], p_max_t[empty] = np.nan, np.nan
    return SignFlip(p, p_max_t, exact)


def _t(means: Float[ndarray, "*draw test"], squares: Float[ndarray, " test"]) -> Float[ndarray, "*draw test"]:
    """Return |mean| / sqrt(mean square): grows with |t|, 1 where t is infinite. Flips leave the squares alone."""
    return np.divide(means, np.sqrt(squares), out=np.zeros_like(means), where=squares > 0)


def _all_flips(size: int) -> Iterator[Float[ndarray, "draw unit"]]:
    numbers = np.arange(2**size)
    yield 1.0 - 2.0 * ((numbers[:, None] >> np.arange(size)) & 1)


def _random_flips(size: int, draws: int, rng: np.random.Generator) -> Iterator[Float[ndarray, "draw unit"]]:
    step = max(_FLIPS_AT_A_TIME // size, 1)
    for start in range(0, draws, step):
        yield 1.0 - 2.0 * rng.integers(0, 2, (min(step, draws - start), size), dtype=np.int8)

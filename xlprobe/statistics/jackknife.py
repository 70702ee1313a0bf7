"""An estimate again without each theory and without each training run: what its uncertainty is computed from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from xlprobe.statistics.clusters import Clusters, divide

__all__ = ["Jackknife", "Spread", "jackknife", "spread"]


@dataclass(frozen=True)
class Jackknife:
    """Estimates of many tests: on all values, without each group, without each run, and in a run without each group.

    NaN where the left-out group or run has no number for a test, so that its row counts for nothing.
    """

    estimate: Float[ndarray, " test"]
    groups: Float[ndarray, "group test"]
    runs: Float[ndarray, "run test"]
    cells: Float[ndarray, "run group test"]

    def combined(self, function: Callable[..., Any], *others: Jackknife) -> Jackknife:
        """Return a function of several estimates, such as their ratio, left-one-out in the same way."""
        estimates = (self, *others)
        return Jackknife(
            *(
                np.asarray(function(*(getattr(one, name) for one in estimates)))
                for name in ("estimate", "groups", "runs", "cells")
            )
        )


@dataclass(frozen=True)
class Spread:
    """Variance of an estimate, the skewness of what its units add to it, and their number."""

    variance: Float[ndarray, "*batch test"]
    skewness: Float[ndarray, "*batch test"]
    units: Int[ndarray, "*batch test"]


def jackknife(clusters: Clusters) -> Jackknife:
    """Return the means over all values, and again with each group and each run left out."""
    groups, runs = clusters.num_groups, clusters.num_seeds
    tests = clusters.sums.shape[1]
    sums, counts = np.zeros((2, runs, groups, tests))
    sums[clusters.seed, clusters.group] = clusters.sums
    counts[clusters.seed, clusters.group] = clusters.counts
    return Jackknife(
        clusters.estimate,
        _without(sums.sum(axis=0), counts.sum(axis=0)),
        _without(sums.sum(axis=1), counts.sum(axis=1)),
        _without(sums, counts) if runs > 1 else np.full((1, groups, tests), np.nan),
    )


def _without(
    sums: Float[ndarray, "*run unit test"], counts: Float[ndarray, "*run unit test"]
) -> Float[ndarray, "*run unit test"]:
    """Return the mean without each unit of the last but one dimension; NaN for units without a number."""
    left = divide(sums.sum(axis=-2, keepdims=True) - sums, counts.sum(axis=-2, keepdims=True) - counts)
    return np.where(counts > 0, left, np.nan)


def spread(without: Float[ndarray, "*batch unit test"]) -> Spread:
    """Return the jackknife variance over the units of the last but one dimension.

    For units of equal size it is the squared standard error of the mean of their means; unequal sizes are allowed for.
    Source: Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapter 11.
    """
    known = ~np.isnan(without)
    units = known.sum(axis=-2)
    filled = np.where(known, without, 0.0)
    centre = divide(filled.sum(axis=-2), units)
    influence = np.where(known, (np.expand_dims(centre, -2) - filled) * (units[..., None, :] - 1), 0.0)
    # What is rounding alone is no spread.
    size = np.abs(filled).max(axis=-2, initial=0.0)[..., None, :] * units[..., None, :]
    influence = np.where(np.abs(influence) <= 1e-13 * size, 0.0, influence)
    squares = (influence**2).sum(axis=-2)
    variance = divide(squares, units * (units - 1.0))
    skewness = divide((influence**3).sum(axis=-2) / np.maximum(units, 1), (squares / np.maximum(units, 1)) ** 1.5)
    return Spread(variance, np.nan_to_num(skewness), units)

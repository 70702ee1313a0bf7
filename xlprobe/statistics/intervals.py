"""Intervals of means over theories, and over training runs crossed with them; simulated in docs/metrics.md."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from xlprobe.statistics.bootstrap import bca
from xlprobe.statistics.clusters import Clusters, divide
from xlprobe.statistics.jackknife import Jackknife, Spread, jackknife, spread
from xlprobe.statistics.options import MIN_GROUPS, Options

__all__ = ["NEW_RUNS", "THESE_RUNS", "Intervals", "intervals", "jackknife_intervals", "runs_p", "t_quantile"]

NEW_RUNS, THESE_RUNS = "new runs", "these runs"
FEW_GROUPS = f"fewer than {MIN_GROUPS} theories"
FEW_RUNS = "too few runs"
NO_NUMBER = "no number"

_SKEWNESS_USED = 0.5


@dataclass(frozen=True)
class Intervals:
    """Each test's interval, what it speaks of, and why it is NaN where it is (else an empty text).

    `speaks_of` is "new runs" (other theories and other training runs) or "these runs" (other theories only);
    `n_seeds`: in how many training runs a test has a number (one where runs have no seed).
    """

    low: Float[ndarray, " test"]
    high: Float[ndarray, " test"]
    n_groups: Int[ndarray, " test"]
    n_seeds: Int[ndarray, " test"]
    speaks_of: np.ndarray[tuple[int], np.dtype[np.object_]]
    reason: np.ndarray[tuple[int], np.dtype[np.object_]]


@dataclass(frozen=True)
class Variances:
    """The variance of an estimate that theories cause and that training runs cause, and how many of each there are."""

    groups: Float[ndarray, " test"]
    runs: Float[ndarray, " test"]
    n_groups: Int[ndarray, " test"]
    n_runs: Int[ndarray, " test"]

    def half_width(self, confidence: Float[ndarray, " test"] | float) -> Float[ndarray, " test"]:
        """Return the half-width of intervals about new runs: the two variances times the square of their own t.

        Covers at least as often as it says for normal effects of theories and of runs, whatever their sizes. Source:
        Banerjee 1960, Sankhya 22.
        """
        theories, runs = t_quantile(confidence, self.n_groups), t_quantile(confidence, self.n_runs)
        return np.sqrt(theories**2 * self.groups + runs**2 * self.runs)


def intervals(clusters: Clusters, options: Options | None = None) -> Intervals:
    """Return intervals of the means.

    One run: a t interval over theories, its jackknife variance allowing for unequal sizes, corrected for half the
    skewness (`jackknife_intervals`). Several runs: see `Variances`. NaN, with the reason, for fewer than six
    theories. Where all numbers are equal the interval is that number.
    """
    options = options or Options()
    bounds = jackknife_intervals(jackknife(clusters), options)
    if options.method == "bca":
        # The bootstrap over theories knows no runs: with several it is left to those who ask for these runs only.
        low, high = bca(clusters.by_group(), options)
        plain = (bounds.speaks_of == THESE_RUNS) & (bounds.reason == "")
        bounds = replace(bounds, low=np.where(plain, low, bounds.low), high=np.where(plain, high, bounds.high))
    return bounds


def jackknife_intervals(estimates: Jackknife, options: Options | None = None) -> Intervals:
    """Return intervals of any estimate from its values without each theory and each run.

    For one run: est + se t, where t solves Hall's cubic for half the skewness; the whole of it would cost coverage
    where tails are heavy. Source: Hall 1992, Journal of the Royal Statistical Society B 54(1).
    """
    options = options or Options()
    groups, seeds = spread(estimates.groups), spread(estimates.runs).units
    new_runs = speaks_of_new_runs(seeds, options.unit)
    t = t_quantile(options.confidence, groups.units)
    below, above = _skewed(groups, -t), _skewed(groups, t)
    error = np.sqrt(groups.variance)
    wide = variances(estimates).half_width(options.confidence)
    reason = reasons(estimates.estimate, groups.units, seeds, new_runs)
    low = estimates.estimate + np.where(new_runs, -wide, below * error)
    high = estimates.estimate + np.where(new_runs, wide, above * error)
    absent = reason != ""
    low[absent], high[absent] = np.nan, np.nan
    names = np.where(new_runs, NEW_RUNS, THESE_RUNS).astype(object)
    return Intervals(low, high, groups.units, np.maximum(seeds, 1), names, reason)


def speaks_of_new_runs(seeds: Int[ndarray, " test"], unit: str | None) -> Bool[ndarray, " test"]:
    """Say which tests speak of new runs: those with several, unless one unit is asked for."""
    return np.full(len(seeds), unit == "runs") if unit is not None else seeds > 1


def reasons(
    estimate: Float[ndarray, " test"],
    groups: Int[ndarray, " test"],
    seeds: Int[ndarray, " test"],
    new_runs: Bool[ndarray, " test"],
) -> np.ndarray[tuple[int], np.dtype[np.object_]]:
    """Say why a test can have no interval; an empty text where it can."""
    texts = np.full(len(estimate), "", dtype=object)
    texts[new_runs & (seeds < 2)] = FEW_RUNS
    texts[groups < MIN_GROUPS] = FEW_GROUPS
    texts[np.isnan(estimate)] = NO_NUMBER
    return texts


def variances(estimates: Jackknife) -> Variances:
    """Return the variances of an estimate from its values without each theory and each run.

    Runs also differ by what theories do in single runs. Of that share (S - 2) / (S - 1) is taken off the variance of
    runs, S being their number: nothing with two, whose variance is known too badly, most of it with many.
    """
    groups, outer = spread(estimates.groups), spread(estimates.runs)
    count = outer.units
    inner = spread(estimates.cells - estimates.groups)
    noise = divide(np.nansum(inner.variance, axis=0), count * (count - 1.0))
    share = divide(count - 2.0, count - 1.0)
    runs = np.maximum(outer.variance - np.nan_to_num(share * noise), 0.0)
    return Variances(groups.variance, runs, groups.units, count)


def runs_p(estimates: Jackknife) -> Float[ndarray, " test"]:
    """Return two-sided p values about new runs: 1 - the confidence at which the interval reaches 0."""
    known = variances(estimates)
    size = np.nan_to_num(np.abs(estimates.estimate))
    low, high = np.zeros(len(size)), np.ones(len(size))
    for _ in range(50):
        middle = (low + high) / 2
        inside = np.nan_to_num(known.half_width(middle), nan=np.inf) >= size
        low, high = np.where(inside, low, middle), np.where(inside, middle, high)
    everywhere = np.ones(len(size), dtype=bool)
    absent = reasons(estimates.estimate, known.n_groups, known.n_runs, everywhere) != ""
    return np.where(absent, np.nan, np.where(size == 0, 1.0, 1 - low))


def t_quantile(confidence: Float[ndarray, " test"] | float, units: Int[ndarray, " test"]) -> Float[ndarray, " test"]:
    """Return Student's t that holds this much in its middle, for a variance of so many units."""
    from scipy.special import stdtrit

    return np.asarray(stdtrit(np.maximum(units - 1, 1).astype(np.float64), (1 + np.asarray(confidence)) / 2))


def _skewed(groups: Spread, t: Float[ndarray, " test"]) -> Float[ndarray, " test"]:
    """Return how many standard errors from the estimate an end of the interval lies."""
    slope = -_SKEWNESS_USED * groups.skewness / np.sqrt(np.maximum(groups.units, 1))
    flat = np.abs(slope) < 1e-6
    safe = np.where(flat, 1.0, slope)
    return np.where(flat, t, 3 / safe * (np.cbrt(1 + safe * (t - safe / 6)) - 1))

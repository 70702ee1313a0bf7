"""Do intervals hold the truth as often as they say, and do tests reject a true null as rarely as they say?

`python -m pytest -m slow tests/statistics/test_coverage.py -rP` prints the tables of docs/metrics.md.
"""

import itertools

import numpy as np
import pytest

from xlprobe.statistics import (
    MIN_GROUPS,
    Clusters,
    Options,
    contrast_clusters,
    intervals,
)
from xlprobe.statistics.bootstrap import bca
from xlprobe.statistics.proportions import proportion_intervals

GROUPS = (2, 3, 4, 6, 8, 12, 16, 30)
KINDS = ("normal", "unequal", "exponential", "heavy tails")


def one_run(kind, groups, repetitions, rng):
    """Theories of two questions (or of one to four) that share their theory's effect; the true mean is 0."""
    sizes = rng.integers(1, 5, groups) if kind == "unequal" else np.full(groups, 2)
    draw = {
        "exponential": lambda: rng.exponential(size=(groups, repetitions)) - 1,
        "heavy tails": lambda: rng.standard_t(3, size=(groups, repetitions)),
    }.get(kind, lambda: rng.normal(size=(groups, repetitions)))
    theories = np.repeat(draw(), sizes, axis=0)
    noise = 0 if kind == "exponential" else rng.normal(size=theories.shape)
    return Clusters.from_array(theories + noise, np.repeat(np.arange(groups), sizes))


def several_runs(kind, groups, runs, spread, repetitions, rng):
    """Theories crossed with training runs whose effects have the given standard deviation; the true mean is 0."""
    shape = (runs, groups, repetitions)
    theories = rng.exponential(size=shape[1:]) - 1 if kind == "exponential" else rng.normal(size=shape[1:])
    effects = spread * rng.normal(size=(runs, 1, repetitions))
    values = (theories[None] + effects + rng.normal(size=shape)).reshape(runs * groups, repetitions)
    return Clusters.from_array(values, np.tile(np.arange(groups), runs), np.repeat(np.arange(runs), groups))


def proportions(share, alike, groups, repetitions, rng):
    """Two questions a theory, right with a chance that differs by theory (beta, with the given correlation)."""
    chance = np.full((groups, repetitions), share)
    if alike:
        total = 1 / alike - 1
        chance = rng.beta(share * total, (1 - share) * total, size=(groups, repetitions))
    right = rng.random((2, groups, repetitions)) < chance
    return Clusters.from_array(right.reshape(2 * groups, repetitions).astype(float), np.tile(np.arange(groups), 2))


def covered(clusters, truth=0.0, options=None):
    """The share of intervals that hold the truth."""
    found = intervals(clusters, options or Options())
    return share_holding(found, truth)


def share_holding(found, truth):
    return float(((found.low <= truth + 1e-12) & (truth - 1e-12 <= found.high)).mean())


def rejected(clusters, options=None):
    """The share of true null hypotheses that are rejected at 5 %."""
    found = contrast_clusters(clusters, options or Options(draws=999))
    return float((found.p < 0.05).mean())


LEAST = {"normal": 0.935, "unequal": 0.93, "exponential": 0.89, "heavy tails": 0.93}
RUNS, SPREADS = (2, 3, 4, 5), (0.0, 0.3, 1.0, 3.0)


def check_one_run(groups, repetitions, noise):
    rng = np.random.default_rng(groups)
    shares = {kind: covered(one_run(kind, groups, repetitions, rng)) for kind in KINDS}
    for kind, least in LEAST.items():
        assert least - noise <= shares[kind] <= 0.97 + noise, (kind, groups, shares)
    return shares


@pytest.mark.parametrize("groups", [6, 12, 30])
def test_intervals_hold_the_truth(groups):
    check_one_run(groups, 4000, noise=0.008)


@pytest.mark.parametrize("groups", [1, 2, 5])
@pytest.mark.parametrize("options", [{}, {"method": "bca"}, {"unit": "problems"}])
def test_below_six_theories_there_is_no_interval(groups, options):
    found = contrast_clusters(one_run("normal", groups, 20, np.random.default_rng(0)), Options(draws=99, **options))
    assert np.isnan(found.low).all()
    assert np.isnan(found.high).all()
    assert set(found.reason) == {f"fewer than {MIN_GROUPS} theories"}


def check_runs(kind, groups, runs, spread, repetitions, noise):
    clusters = several_runs(kind, groups, runs, spread, repetitions, np.random.default_rng(groups))
    share, size = covered(clusters), rejected(clusters)
    assert share >= 0.94 - noise, (kind, groups, runs, spread, share)
    assert size <= 0.06 + noise, (kind, groups, runs, spread, size)
    # The interval and p are two readings of one distribution.
    assert share + size == pytest.approx(1, abs=1e-9)
    return share


@pytest.mark.parametrize(("runs", "groups"), [(2, 12), (3, 6), (3, 30), (5, 12)])
@pytest.mark.parametrize("spread", [0.0, 1.0])
def test_intervals_of_new_runs_hold_the_truth(runs, groups, spread):
    check_runs("normal", groups, runs, spread, 3000, noise=0.012)


def test_tests_of_new_runs_have_power():
    """Three runs find a difference of one standard deviation of theories where they differ little, else rarely."""
    rng = np.random.default_rng(0)
    clear, unclear = (several_runs("normal", 30, 3, spread, 1000, rng) for spread in (0.1, 3.0))
    for clusters in (clear, unclear):
        clusters.sums[:] += clusters.counts
    assert rejected(clear) > 0.9
    assert rejected(unclear) < 0.3


def test_flipping_theories_alone_speaks_of_these_runs_only():
    """With runs that differ, `unit="problems"` rejects a true null about new runs far too often: it must say so."""
    clusters = several_runs("normal", 30, 3, 1.0, 300, np.random.default_rng(1))
    found = contrast_clusters(clusters, Options(draws=999, unit="problems"))
    assert set(found.speaks_of) == {"these runs"}
    assert (found.p < 0.05).mean() > 0.4
    assert set(contrast_clusters(clusters, Options(draws=99)).speaks_of) == {"new runs"}


@pytest.mark.parametrize("groups", [6, 30])
@pytest.mark.parametrize("share", [0.5, 0.9, 0.98])
def test_intervals_of_proportions_hold_the_truth(groups, share):
    for alike in (0.0, 0.5):
        clusters = proportions(share, alike, groups, 3000, np.random.default_rng(2))
        assert share_holding(proportion_intervals(clusters), share) >= 0.91, alike


@pytest.mark.slow
def test_coverage_of_one_run():
    print("| theories | normal | unequal sizes | exponential | heavy tails | BCa, normal | BCa, exponential |")
    print("|--:|--:|--:|--:|--:|--:|--:|")
    for groups in GROUPS:
        rng = np.random.default_rng(groups)
        if groups < MIN_GROUPS:
            cells = ["none"] * len(KINDS)
        else:
            cells = [f"{share:.3f}".removeprefix("0") for share in check_one_run(groups, 20_000, noise=0.003).values()]
        for kind in ("normal", "exponential"):
            low, high = bca(one_run(kind, groups, 2000, rng), Options(draws=999))
            cells.append(f"{((low <= 0) & (high >= 0)).mean():.3f}".removeprefix("0"))
        print(f"| {groups} | {' | '.join(cells)} |")


@pytest.mark.slow
def test_coverage_of_new_runs():
    print("| runs | theories | " + " | ".join(f"spread {spread:g}" for spread in SPREADS) + " |")
    print("|--:|--:|" + "--:|" * len(SPREADS))
    for runs, groups in itertools.product(RUNS, (6, 12, 30)):
        shares = [check_runs("normal", groups, runs, spread, 20_000, noise=0.004) for spread in SPREADS]
        for spread in SPREADS:
            check_runs("exponential", groups, runs, spread, 5000, noise=0.012)
        print(f"| {runs} | {groups} | " + " | ".join(f"{share:.3f}".removeprefix("0") for share in shares) + " |")


@pytest.mark.slow
def test_coverage_of_proportions():
    print("| share | alike | " + " | ".join(f"{groups} theories" for groups in (6, 12, 30, 75)) + " |")
    print("|--:|--:|--:|--:|--:|--:|")
    for share, alike in itertools.product((0.5, 0.9, 0.98), (0.0, 0.3, 0.9)):
        rng = np.random.default_rng(3)
        found = [proportion_intervals(proportions(share, alike, groups, 20_000, rng)) for groups in (6, 12, 30, 75)]
        shares = [share_holding(one, share) for one in found]
        assert min(shares) > 0.91
        print(f"| {share} | {alike} | " + " | ".join(f"{one:.3f}".removeprefix("0") for one in shares) + " |")


@pytest.mark.slow
def test_size_of_sign_flips():
    for kind, groups in itertools.product(("normal", "heavy tails"), (6, 12, 30)):
        size = rejected(one_run(kind, groups, 20_000, np.random.default_rng(groups)))
        print(f"{kind}, {groups} theories: {size:.3f} of true nulls are rejected at 5 %")
        assert size <= 0.055


def test_equal_sizes_give_the_classic_t_interval():
    from scipy.stats import ttest_1samp

    values = np.array([1.0, 2.0, 3.0, 5.0, 6.0, 7.0])  # symmetric: nothing to correct for skewness
    found = intervals(Clusters.from_array(values))
    expected = ttest_1samp(values, 0).confidence_interval(0.95)
    assert (found.low[0], found.high[0]) == pytest.approx((expected.low, expected.high))

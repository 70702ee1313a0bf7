"""Known answers and calibration of paired contrasts."""

import numpy as np
import pytest
from scipy.stats import bootstrap, kstest, permutation_test, t, wilcoxon

from xlprobe.errors import ResultsError
from xlprobe.statistics import Clusters, benjamini_hochberg, bootstrap_means, contrast, sign_flip


@pytest.mark.parametrize(
    ("differences", "p", "d_z"), [((1, 2, 3, 4), 0.125, 1.936492), ((1, 2, -1, 3), 0.375, 0.731925)]
)
def test_known_answers(differences, p, d_z):
    result = contrast(np.array(differences, dtype=float))
    assert result.exact
    assert result.p[0] == p
    assert result.p_max_t[0] == p
    assert result.d_z[0] == pytest.approx(d_z, abs=1e-6)


def test_benjamini_hochberg():
    p = (0.001, 0.008, 0.039, 0.041, 0.042, 0.06, 0.074, 0.205, 0.212, 0.216)
    q = (0.01, 0.04, 0.084, 0.084, 0.084, 0.1, 0.105714, 0.216, 0.216, 0.216)
    assert np.allclose(benjamini_hochberg(p), q, atol=1e-6)
    with_nan = benjamini_hochberg((np.nan, *p))
    assert np.isnan(with_nan[0])
    assert np.allclose(with_nan[1:], q, atol=1e-6)


def test_sign_flip_agrees_with_scipy():
    values = np.random.default_rng(0).normal(0.4, 1, 11)
    expected = permutation_test((values,), np.mean, permutation_type="samples", n_resamples=np.inf)
    assert sign_flip(Clusters.from_array(values)).p[0] == pytest.approx(expected.pvalue)


def test_random_flips_never_give_zero():
    result = sign_flip(Clusters.from_array(np.full(100, 1.0)), draws=999)
    assert not result.exact
    assert result.p[0] == pytest.approx(1 / 1000)


def test_groups_flip_as_one():
    # Two theories of fifty equal questions each are two observations: p can only be .5 or 1.
    result = contrast(np.ones(100), groups=np.repeat(["a", "b"], 50))
    assert result.exact
    assert result.p[0] == 0.5
    assert result.n_groups[0] == 2
    assert result.n[0] == 100


def test_max_t_corrects_for_all_tests():
    rng = np.random.default_rng(1)
    values = rng.normal(size=(60, 40))
    values[:, 3] += 1.0
    result = contrast(values, draws=1999)
    assert result.p_max_t[3] < 0.01
    assert (result.p_max_t >= result.p).all()
    best = int(np.argmin(np.delete(result.p, 3)))
    assert np.delete(result.p_max_t, 3)[best] > 5 * np.delete(result.p, 3)[best]


def test_bca_agrees_with_scipy():
    values = np.random.default_rng(0).exponential(size=40)
    own = contrast(values, draws=40_000, method="bca")
    theirs = bootstrap((values,), np.mean, method="BCa", n_resamples=40_000, rng=1).confidence_interval
    assert own.low[0] == pytest.approx(theirs.low, abs=0.01)
    assert own.high[0] == pytest.approx(theirs.high, abs=0.01)


def test_resampling_by_group_widens_the_interval():
    rng = np.random.default_rng(2)
    groups = np.repeat(np.arange(20), 10)
    values = np.repeat(rng.normal(size=20), 10) + 0.1 * rng.normal(size=200)
    grouped, alone = contrast(values, groups), contrast(values)
    assert (grouped.high - grouped.low)[0] > 2 * (alone.high - alone.low)[0]


def test_seeds_widen_the_interval():
    rng = np.random.default_rng(3)
    seeds = np.repeat(np.arange(5), 100)
    groups = np.tile(np.arange(100), 5)
    values = np.repeat(rng.normal(size=5), 100) + 0.1 * rng.normal(size=500)
    with_seeds, without = contrast(values, groups, seeds), contrast(values, groups)
    assert with_seeds.n_seeds[0] == 5
    assert with_seeds.speaks_of[0] == "new runs"
    assert (with_seeds.high - with_seeds.low)[0] > 5 * (without.high - without.low)[0]
    assert without.speaks_of[0] == "these runs"


def test_an_answer_says_what_it_speaks_of():
    rng = np.random.default_rng(8)
    groups, seeds = np.tile(np.arange(12), 3), np.repeat([3, 5, 9], 12)
    values = rng.normal(size=(36, 2))
    values[12:, 1] = np.nan  # the second test was measured in one run
    found = contrast(values, groups, seeds, draws=99)
    assert found.n_seeds.tolist() == [3, 1]
    assert found.speaks_of.tolist() == ["new runs", "these runs"]
    assert np.isnan(found.p_max_t[0])
    asked = contrast(values, groups, seeds, draws=99, unit="runs")
    assert asked.reason.tolist() == ["", "too few runs"]
    assert np.isnan(asked.low[1])
    assert np.isnan(asked.p[1])
    these = contrast(values, groups, seeds, draws=99, unit="problems")
    assert these.n_seeds.tolist() == [3, 1]
    assert these.speaks_of.tolist() == ["these runs", "these runs"]
    alone = contrast(values.reshape(3, 12, 2).mean(axis=0), np.arange(12), draws=99)
    assert these.low[0] == pytest.approx(alone.low[0])


def test_the_interval_of_new_runs_by_hand():
    """Three runs of six theories: the variance of theories' means, and of runs' means less half their noise."""
    rng = np.random.default_rng(9)
    cells = rng.normal(size=(3, 6)) + 2 * rng.normal(size=(3, 1))
    found = contrast(cells.reshape(-1), np.tile(np.arange(6), 3), np.repeat(np.arange(3), 6), draws=9)
    theories, runs = cells.mean(axis=0).var(ddof=1) / 6, cells.mean(axis=1).var(ddof=1) / 3
    residual = cells - cells.mean(axis=0) - cells.mean(axis=1, keepdims=True) + cells.mean()
    noise = (residual**2).sum() / 10 / 18
    half = np.sqrt(t.ppf(0.975, 5) ** 2 * theories + t.ppf(0.975, 2) ** 2 * (runs - noise / 2))
    assert found.high[0] - found.estimate[0] == pytest.approx(half)
    assert found.estimate[0] - found.low[0] == pytest.approx(half)


def test_bootstrap_means_follow_group_sizes():
    clusters = Clusters.from_array([1.0, 1.0, 1.0, 5.0], ["a", "a", "a", "b"])
    means = np.unique(bootstrap_means(clusters, 200, np.random.default_rng(0)))
    assert means.tolist() == [1.0, 2.0, 5.0]


def test_nan_is_counted_and_left_out():
    values = np.array([[1.0, np.nan], [2.0, np.nan], [np.nan, np.nan], [4.0, np.nan]])
    result = contrast(values)
    assert result.n.tolist() == [3, 0]
    assert result.n_nan.tolist() == [1, 4]
    assert result.estimate[0] == pytest.approx(7 / 3)
    assert result.p[0] == contrast(np.array([1.0, 2, 4])).p[0]
    assert all(np.isnan(getattr(result, name)[1]) for name in ("estimate", "low", "high", "d_z", "p", "q", "p_max_t"))


def test_equal_differences_have_an_interval_of_one_point():
    result = contrast(np.full(6, 0.25))
    assert result.low[0] == result.high[0] == 0.25
    assert np.isnan(result.d_z[0])
    nothing = contrast(np.zeros(6))
    assert nothing.p[0] == 1
    assert nothing.estimate[0] == 0


def test_one_group_has_no_interval():
    result = contrast(np.array([1.0, 2.0]), ["a", "a"])
    assert np.isnan(result.low[0])
    assert np.isnan(result.high[0])


def test_tests_share_their_draws():
    values = np.random.default_rng(4).normal(size=(30, 1))
    result = contrast(np.repeat(values, 3, axis=1), draws=999)
    assert len(set(result.low)) == 1
    assert len(set(result.p)) == 1


def test_order_of_samples_changes_nothing_and_seed_repeats():
    rng = np.random.default_rng(5)
    values, groups = rng.normal(size=(40, 2)), np.repeat(np.arange(20), 2)
    order = rng.permutation(40)
    first, second = contrast(values, groups, draws=999), contrast(values[order], groups[order], draws=999)
    for name in ("estimate", "low", "high", "d_z", "p", "q"):
        assert np.allclose(getattr(first, name), getattr(second, name)), name


def test_the_null_is_uniform():
    """p values of two hundred null data sets, with dependent samples in groups, are uniform."""
    values = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        theories = rng.normal(size=30)
        data = np.repeat(theories, 3) + rng.standard_t(4, size=90)
        values.append(contrast(data, np.repeat(np.arange(30), 3), draws=499, seed=seed).p[0])
    assert kstest(values, "uniform").pvalue > 0.01
    # Treating dependent questions as independent is what the grouping is for: it must fail the same check.
    wrong = [
        contrast(np.repeat(np.random.default_rng(seed).normal(size=30), 3), draws=499, seed=seed).p[0]
        for seed in range(200)
    ]
    assert kstest(wrong, "uniform").pvalue < 1e-6


def test_a_random_labelling_of_real_pairs_is_uniform():
    """Swapping which side is a and which is b at random is a null: so are its p values."""
    rng = np.random.default_rng(6)
    pairs = rng.beta(5, 2, size=(80, 2)) + np.array([0.0, 0.3])
    values = []
    for seed in range(200):
        swap = np.random.default_rng(seed).integers(0, 2, 80).astype(bool)
        labelled = np.where(swap[:, None], pairs[:, ::-1], pairs)
        values.append(contrast(labelled[:, 0] - labelled[:, 1], draws=499, seed=seed).p[0])
    assert kstest(values, "uniform").pvalue > 0.01


def test_false_discovery_rate_is_nominal():
    shares, powers = [], []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        data = rng.normal(size=(50, 60))
        data[:, :12] += 0.8
        called = contrast(data, draws=1999, seed=seed).q <= 0.1
        shares.append(called[12:].sum() / max(called.sum(), 1))
        powers.append(called[:12].mean())
    assert np.mean(shares) < 0.1 + 3 * np.std(shares) / np.sqrt(60)
    assert np.mean(shares) > 0.03
    assert np.mean(powers) > 0.8


def test_power_is_near_that_of_wilcoxon():
    own, theirs = 0, 0
    for seed in range(50):
        data = np.random.default_rng(seed).normal(0.5, 1, 25)
        own += contrast(data, draws=999, seed=seed).p[0] < 0.05
        theirs += wilcoxon(data).pvalue < 0.05
    assert abs(int(own) - int(theirs)) <= 8


def test_many_heads_and_languages_reach_the_smallest_threshold():
    """144 heads by 7 languages at once, with draws enough that p can pass the first Benjamini-Hochberg step."""
    data = np.random.default_rng(7).normal(size=(600, 1008))
    data[:, 0] += 1
    result = contrast(data, np.repeat(np.arange(150), 4))
    assert result.p.min() == pytest.approx(1e-4)
    assert result.q[0] > 0.05 >= result.p_max_t[0]
    assert contrast(data[:, :144], np.repeat(np.arange(150), 4)).q[0] <= 0.05


def test_bad_input_is_named():
    with pytest.raises(ResultsError, match="3 groups for 4 samples"):
        contrast(np.zeros(4), ["a", "b", "c"])
    with pytest.raises(ResultsError, match="method='normal'"):
        contrast(np.zeros(4), method="normal")
    with pytest.raises(ResultsError, match=r"\['rng'\]; expected some of draws"):
        contrast(np.zeros(4), rng=3)
    with pytest.raises(ResultsError, match="unit='language'"):
        contrast(np.zeros(4), unit="language")
    with pytest.raises(ResultsError, match="at least one sample"):
        contrast(np.zeros((0, 3)))

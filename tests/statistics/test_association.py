"""Rank correlation over few languages."""

import math
from itertools import permutations

import numpy as np
import pytest
from scipy.stats import spearmanr

from xlprobe.errors import ResultsError
from xlprobe.statistics import associate, spearman

NAMES = ("fr", "de", "es", "ru", "ar", "fa", "zh")


def smallest_significant(n):
    """The smallest |rho| with exact two-sided p <= .05."""
    centred = np.arange(n) - (n - 1) / 2
    rhos = np.abs(centred[np.array(list(permutations(range(n))))] @ centred) / (centred @ centred)
    values = np.unique(rhos.round(9))
    return min(value for value in values if (rhos >= value - 1e-9).mean() <= 0.05)


@pytest.mark.parametrize(("n", "rho"), [(7, 0.786), (8, 0.738)])
def test_smallest_significant_correlation(n, rho):
    assert smallest_significant(n) == pytest.approx(rho, abs=5e-4)
    x = np.arange(n)
    for order in ([1, 0, 2, 3, 4, 5, 6, 7][:n], [1, 0, 3, 2, 5, 4, 6, 7][:n], [2, 1, 0, 5, 4, 3, 6, 7][:n]):
        value, p, exact = spearman(x, np.array(order))
        assert exact
        assert (p <= 0.05) == (value >= rho - 1e-3)
        assert value == pytest.approx(spearmanr(x, order).statistic)


def test_random_orders_beyond_nine_points():
    rng = np.random.default_rng(0)
    x = rng.normal(size=12)
    rho, p, exact = spearman(x, x + rng.normal(size=12), draws=9999)
    assert not exact
    assert p == pytest.approx(spearmanr(x, x).pvalue + p)
    assert 0 < p < 1
    assert -1 <= rho <= 1


def test_ties_and_constants():
    x, y = [1, 2, 2, 3, 4], [2, 1, 3, 3, 5]
    assert spearman(x, y)[0] == pytest.approx(spearmanr(x, y).statistic)
    assert math.isnan(spearman(x, [1] * 5)[0])


def test_one_factor_for_seven_languages():
    outcome = dict(zip(NAMES, (0.9, 0.88, 0.91, 0.8, 0.7, 0.69, 0.75), strict=True))
    distance = dict(zip(NAMES, (0.18, 0.1, 0.17, 0.2, 0.35, 0.48, 0.3), strict=True))
    (found,) = associate(outcome, {"syntax": distance})
    assert found.rho < -0.7
    assert found.n == 7
    assert found.exact
    assert set(found.without) == set(NAMES)
    assert found.without["fa"] == pytest.approx(
        spearmanr([v for k, v in distance.items() if k != "fa"], [v for k, v in outcome.items() if k != "fa"]).statistic
    )
    with pytest.raises(ResultsError, match="2 factors for 7 languages"):
        associate(outcome, {"syntax": distance, "geography": distance})
    with pytest.raises(ResultsError, match="no value for zh"):
        associate(outcome, {"syntax": {k: v for k, v in distance.items() if k != "zh"}})
    with pytest.raises(ResultsError, match="at least five"):
        associate({k: outcome[k] for k in NAMES[:4]}, {"syntax": distance})


def test_bad_points_are_refused():
    with pytest.raises(ResultsError, match="NaN"):
        spearman([1, 2, float("nan")], [1, 2, 3])
    with pytest.raises(ResultsError, match="same length"):
        spearman([1, 2, 3], [1, 2])

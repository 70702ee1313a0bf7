"""Known answers of retrieval, eta squared and language removal, and planted representations."""

import math

import numpy as np
import pytest
import torch

from xlprobe.errors import DataError
from xlprobe.metrics import (
    cka,
    halves,
    language_eta_squared,
    language_subspace,
    remove_subspace,
    retrieval,
    retrieval_rates,
)

E = np.array([[2.0, 0], [0, 1], [-1, 0]])
F = E + 4


def planted(kind, items=120, width=24, noise=0.3, seed=0):
    """English and another language: neutral, shifted by a constant, or rotated."""
    rng = np.random.default_rng(seed)
    meaning = rng.normal(size=(items, width))
    first, second = (meaning + noise * rng.normal(size=meaning.shape) for _ in range(2))
    if kind == "offset":
        second = second + 12 * rng.normal(size=width)
    if kind == "rotation":
        second = second @ np.linalg.qr(rng.normal(size=(width, width)))[0]
    return first, second


def test_retrieval_known_answers():
    assert retrieval(E, F) == pytest.approx(2 / 3)
    assert retrieval(E, F, distance="euclidean") == pytest.approx(1 / 3)
    assert retrieval(E - E.mean(0), F - F.mean(0)) == 1


def test_equal_representations_retrieve_at_chance():
    assert retrieval(np.ones((8, 3)), np.ones((8, 3))) == pytest.approx(1 / 8)
    assert retrieval(np.ones((8, 3)), np.ones((8, 3)), distance="euclidean") == pytest.approx(1 / 8)


def test_eta_squared_known_answer():
    assert language_eta_squared({"en": [[0, 0], [2, 0]], "fr": [[0, 4], [2, 4]]}) == pytest.approx(0.8)
    assert math.isnan(language_eta_squared({"en": [[1.0, 1.0]], "fr": [[1.0, 1.0]]}))
    with pytest.raises(DataError, match="1 languages"):
        language_eta_squared({"en": E})


def test_neutral_representations():
    rates, gap = _rates("neutral")
    assert rates["retrieval_raw"] == rates["retrieval_centred"] == 1
    assert gap == 0
    x, y = planted("neutral")
    assert cka(x, y) > 0.8
    assert language_eta_squared({"en": x, "fr": y}) < 0.01


def test_a_language_offset_is_seen_by_gap_and_eta_and_not_by_cka():
    rates, gap = _rates("offset")
    # From the shifted language all neighbours look alike; towards it the shift is the same for all and does no harm.
    assert rates["retrieval_raw"] < 0.55
    assert gap > 0.45
    assert rates["retrieval_centred"] > 0.95
    assert rates["retrieval_offset"] > 0.95
    assert rates["retrieval_language_removed"] > 0.9
    x, y = planted("offset")
    assert cka(x, y) == pytest.approx(cka(*planted("neutral")), abs=1e-9)
    assert language_eta_squared({"en": x, "fr": y}) > 0.7


def test_a_rotation_is_seen_by_retrieval_and_not_by_cka_or_eta():
    rates, gap = _rates("rotation")
    assert rates["retrieval_raw"] < 0.2
    assert rates["retrieval_centred"] < 0.2
    assert abs(gap) < 0.1
    x, y = planted("rotation")
    assert cka(x, y) == pytest.approx(cka(*planted("neutral")), abs=1e-9)
    assert language_eta_squared({"en": x, "fr": y}) < 0.01


def _rates(kind):
    rates = retrieval_rates(*planted(kind))
    return rates, rates["neutrality_gap"]


def test_means_never_come_from_the_items_that_are_retrieved():
    # With the halves' own means, centring two items always separates them; from other items it cannot.
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 3)), rng.normal(size=(40, 3))
    assert retrieval_rates(x, y)["retrieval_centred"] < 0.3


def test_groups_are_kept_together_and_halves_are_even():
    groups = np.repeat(np.arange(11), 3)
    first = halves(groups.tolist(), seed=4)
    assert all(len(set(first[groups == group].tolist())) == 1 for group in range(11))
    assert int(first.sum()) == 15
    assert torch.equal(first, halves(groups.tolist(), seed=4))
    assert not torch.equal(first, halves(groups.tolist(), seed=5))


def test_swapping_languages_changes_nothing():
    x, y = planted("offset", noise=1.0)
    first, second = retrieval_rates(x, y), retrieval_rates(y, x)
    assert first == pytest.approx(second)


def test_removal_takes_the_language_and_leaves_the_rest():
    rng = np.random.default_rng(1)
    means = torch.tensor(rng.normal(size=(3, 10)))
    basis = language_subspace(means)
    assert basis.shape == (2, 10)
    assert torch.allclose(basis @ basis.T, torch.eye(2, dtype=torch.float64))
    removed = remove_subspace(means, basis)
    assert torch.allclose(removed, removed.mean(dim=0).expand(3, 10))
    x = rng.normal(size=(5, 10))
    away = np.asarray(remove_subspace(x, basis))
    assert np.allclose(remove_subspace(away, basis), away)
    assert np.abs(away @ basis.numpy().T).max() < 1e-12
    assert language_subspace(torch.ones(3, 10)).shape[0] == 0


def test_undefined_and_refused():
    assert math.isnan(retrieval_rates(E, F)["retrieval_raw"])
    assert math.isnan(retrieval(E[:0], F[:0]))
    with pytest.raises(DataError, match="same items"):
        retrieval(E, F[:2])
    with pytest.raises(DataError, match="distance='manhattan'"):
        retrieval(E, F, distance="manhattan")
    with pytest.raises(DataError, match="2 groups for 3 items"):
        retrieval_rates(E, F, groups=["a", "b"])

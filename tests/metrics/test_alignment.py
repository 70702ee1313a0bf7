"""Known answers and invariances of CKA."""

import math

import numpy as np
import pytest

from xlprobe.errors import DataError
from xlprobe.metrics import AlignmentSums, cka

X = np.array([[0, 0], [1, 0], [0, 1], [1, 1], [2, 1]], dtype=float)
Y = np.array([[0, 1], [1, 0], [0, 2], [2, 1], [1, 1]], dtype=float)


def test_known_answers():
    assert cka(X, Y, debiased=False) == pytest.approx(0.476014, abs=1e-6)
    assert cka(X, Y) == pytest.approx(0.577350, abs=1e-6)


def test_invariances():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(30, 5)), rng.normal(size=(30, 7))
    y[:, :5] += x
    rotation = np.linalg.qr(rng.normal(size=(7, 7)))[0]
    for debiased in (True, False):
        value = cka(x, y, debiased=debiased)
        assert cka(x, 3 * y @ rotation + 10, debiased=debiased) == pytest.approx(value)
        assert cka(y, x, debiased=debiased) == pytest.approx(value)
        assert cka(x, 2 * x - 5, debiased=debiased) == pytest.approx(1)


def test_biased_is_unusable_and_debiased_is_not():
    rng = np.random.default_rng(1)
    biased, debiased = [], []
    for _ in range(10):
        x, y = rng.normal(size=(25, 768)), rng.normal(size=(25, 768))
        biased.append(cka(x, y, debiased=False))
        debiased.append(cka(x, y))
    assert np.mean(biased) == pytest.approx(0.966, abs=0.01)
    assert abs(np.mean(debiased)) < 0.03


def test_by_items_equals_by_dimensions():
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(20, 12)), rng.normal(size=(20, 9))
    wide_x, wide_y = np.hstack([x, np.zeros((20, 30))]), np.hstack([y, np.zeros((20, 30))])
    assert cka(x, y) == pytest.approx(cka(wide_x, wide_y))


def test_pieces_add_up_to_the_whole():
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(50, 6)) + 2, rng.normal(size=(50, 4)) - 1
    whole = AlignmentSums.of(x, y)
    pieces = [AlignmentSums.of(x[part], y[part]) for part in np.array_split(rng.permutation(50), 7)]
    total = pieces[0]
    for piece in pieces[1:]:
        total = total + piece
    assert total.hsic == pytest.approx(whole.hsic)
    assert total.count == 50
    value = total.hsic / math.sqrt(AlignmentSums.of(x, x).hsic * AlignmentSums.of(y, y).hsic)
    assert value == pytest.approx(cka(x, y))


def test_undefined_and_refused():
    assert math.isnan(cka(X[:3], Y[:3]))
    assert math.isnan(cka(X, np.ones((5, 2))))
    with pytest.raises(DataError, match="same items"):
        cka(X, Y[:4])

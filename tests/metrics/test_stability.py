"""Known answers of the similarity measures on rows of attention."""

import math

import numpy as np
import pytest
import torch
from scipy.spatial.distance import jensenshannon
from scipy.stats import pearsonr

from xlprobe.metrics import (
    argmax_agreement,
    cosine,
    hellinger,
    js_divergence,
    js_stability,
    pearson,
    total_variation,
)

P, Q = np.array([0.5, 0.3, 0.2]), np.array([0.2, 0.3, 0.5])


@pytest.mark.parametrize(
    ("p", "q", "bits"),
    [
        (P, Q, 0.0958156),
        ([0.7, 0.2, 0.1], [0.1, 0.2, 0.7], 0.365148),
        ([1.0, 0, 0], [0, 0, 1.0], 1.0),
        ([1.0, 0, 0], [1 / 3] * 3, 0.459148),
        (P, P, 0.0),
    ],
)
def test_divergence_in_bits(p, q, bits):
    assert js_divergence(np.array(p), np.array(q)).item() == pytest.approx(bits, abs=1e-6)


def test_divergence_agrees_with_scipy():
    rng = np.random.default_rng(0)
    p, q = rng.dirichlet(np.ones(7), 50), rng.dirichlet(np.ones(7), 50)
    assert np.allclose(js_divergence(p, q), jensenshannon(p, q, base=2, axis=1) ** 2)


def test_divergence_of_equal_rows_is_exactly_zero_in_half_and_single_precision():
    rows = torch.rand(100, 30, generator=torch.Generator().manual_seed(0)).softmax(-1)
    for dtype in (torch.float16, torch.bfloat16, torch.float32):
        assert js_divergence(rows.to(dtype), rows.to(dtype)).max() == 0


def test_robustness_set():
    assert total_variation(P, Q).item() == pytest.approx(0.3)
    assert cosine(P, Q).item() == pytest.approx(0.763158, abs=1e-6)
    assert hellinger(P, Q).item() == pytest.approx(0.259893, abs=1e-6)
    assert pearson(P, Q).item() == pytest.approx(-0.928571, abs=1e-6)
    assert argmax_agreement(P, Q).item() == 0


def test_pearson_counts_only_existing_cells():
    padded = [np.array([*row, 0.0, 0.0]) for row in (P, Q)]
    assert pearson(*padded, num_cells=3).item() == pytest.approx(pearsonr(P, Q).statistic)
    assert math.isnan(pearson(P, np.full(3, 1 / 3)).item())


def test_argmax_agreement_follows_numpy_and_shares_ties():
    rng = np.random.default_rng(1)
    p, q = rng.dirichlet(np.ones(4), 200), rng.dirichlet(np.ones(4), 200)
    assert np.array_equal(argmax_agreement(p, q), p.argmax(1) == q.argmax(1))
    assert argmax_agreement(torch.tensor([0.4, 0.4, 0.2]), torch.tensor([0.0, 1.0, 0.0])).item() == 1
    assert math.isnan(argmax_agreement(torch.zeros(3), torch.tensor(P)).item())


def test_stability_weighs_rows_by_the_smaller_residual():
    p, q = np.array([P, P]), np.array([P, Q])
    value = js_stability(p, q, np.array([1.0, 0.5]), np.array([0.75, 1.0])).item()
    assert value == pytest.approx(1 - 0.5 * 0.0958156 / 1.25, abs=1e-6)
    assert js_stability(p, q).item() == pytest.approx(1 - 0.0958156 / 2, abs=1e-6)


def test_stability_without_weight_is_undefined():
    assert math.isnan(js_stability(P[None], Q[None], np.zeros(1), np.ones(1)).item())

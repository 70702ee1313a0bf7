"""Known answers of head structure and rollout."""

import math

import numpy as np
import pytest
import torch

from xlprobe.errors import DataError
from xlprobe.metrics import attention_rollout, head_divergences, head_rsa, js_divergence, profile, top_heads_jaccard


def test_rsa_known_answer():
    assert head_rsa((1, 2, 3, 4, 5, 6), (1, 3, 2, 4, 6, 5)) == pytest.approx(0.885714, abs=1e-6)


def test_rsa_reads_the_upper_triangle():
    first, second = np.zeros((4, 4)), np.zeros((4, 4))
    upper = np.triu_indices(4, 1)
    first[upper], second[upper] = (1, 2, 3, 4, 5, 6), (1, 3, 2, 4, 6, 5)
    second[np.tril_indices(4)] = 99
    assert head_rsa(first, second) == pytest.approx(0.885714, abs=1e-6)


def test_rsa_undefined_and_refused():
    assert math.isnan(head_rsa([1.0, 1, 1], [1.0, 2, 3]))
    assert math.isnan(head_rsa([1.0, math.nan, 2], [1.0, 2, 3]))
    assert math.isnan(head_rsa(np.eye(2), np.eye(2)))
    with pytest.raises(DataError, match="3 and 6 pairs"):
        head_rsa(np.zeros((3, 3)), np.zeros((4, 4)))


def test_divergences_between_heads(make_batch):
    batch = make_batch(((2, 3), 2), ((4, 1), 3))
    part = profile(batch.pattern(heads=4), *batch.ids, pooling="mass")
    matrix = head_divergences(part)
    weights = torch.minimum(part.weights[1, 0], part.weights[1, 2])
    rows = js_divergence(part.values[1, 0], part.values[1, 2])
    assert matrix[1, 0, 2].item() == pytest.approx(((rows * weights).sum() / weights.sum()).item())
    assert torch.equal(matrix, matrix.transpose(1, 2))
    assert matrix.diagonal(dim1=1, dim2=2).abs().max() == 0


def test_top_heads():
    first, second = np.arange(12).reshape(3, 4), np.arange(12).reshape(3, 4).copy()
    assert top_heads_jaccard(first, second, 3) == 1
    second[2, 3] = -1
    assert top_heads_jaccard(first, second, 3) == pytest.approx(2 / 4)
    assert top_heads_jaccard([1.0, 2, 3, 4], [4.0, 3, 2, 1], 2) == 0
    assert math.isnan(top_heads_jaccard([1.0, math.nan], [1.0, 2.0], 2))
    with pytest.raises(DataError, match="k=0"):
        top_heads_jaccard([1.0], [1.0], 0)


def test_rollout():
    layers = torch.tensor([[[0.5, 0.5], [0, 1]], [[1, 0], [0.6, 0.4]]])
    assert torch.allclose(attention_rollout(layers), torch.tensor([[0.75, 0.25], [0.225, 0.775]]))

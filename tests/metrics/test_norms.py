"""Known answers of norm-weighted attention."""

import numpy as np
import pytest
import torch

from xlprobe.errors import DataError
from xlprobe.metrics import norm_weighted, value_norms


def test_known_answer():
    pattern, norms = np.array([[0.8, 0.2], [0.5, 0.5]]), np.array([1.0, 10.0])
    assert np.allclose(norm_weighted(pattern, norms), [[0.285714, 0.714286], [0.0909091, 0.9090909]], atol=1e-6)
    assert np.allclose(norm_weighted(pattern, norms, normalise=False), [[0.8, 2], [0.5, 5]])


def test_norms_equal_those_of_the_projected_vectors():
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(2, 5, 3, 4, generator=generator, dtype=torch.float64)
    projection = torch.nn.Linear(12, 7, dtype=torch.float64)
    norms = value_norms(values, projection.weight.detach())
    for head in range(3):
        alone = torch.zeros_like(values)
        alone[:, :, head] = values[:, :, head]
        projected = projection(alone.flatten(2)) - projection.bias
        assert torch.allclose(norms[:, head], projected.norm(dim=-1))


def test_a_weight_of_another_shape_is_refused():
    with pytest.raises(DataError, match="expected \\(width, 12\\)"):
        value_norms(torch.zeros(1, 2, 3, 4), torch.zeros(12, 7))

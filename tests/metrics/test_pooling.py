"""Known answers of unit pooling and of sink excision."""

import numpy as np
import pytest
import torch

from xlprobe.errors import DataError
from xlprobe.metrics import excise, unit_pool

PATTERN = [[0.1, 0.2, 0.3, 0.4], [0.25] * 4, [0, 0.5, 0.5, 0], [0.4, 0.1, 0.1, 0.4]]
UNITS = [0, 1, 1, 2]
MASS = [[0.1, 0.5, 0.4], [0.125, 0.75, 0.125], [0.4, 0.2, 0.4]]


def test_mass_sums_over_keys_and_averages_over_queries():
    assert np.allclose(unit_pool(np.array(PATTERN), np.array(UNITS), "mass"), MASS)


def test_density_averages_over_keys_and_renormalises():
    expected = [[0.13333333, 0.33333333, 0.53333333], [0.2, 0.6, 0.2], [0.44444444, 0.11111111, 0.44444444]]
    assert np.allclose(unit_pool(np.array(PATTERN), np.array(UNITS), "density"), expected)


def test_density_ignores_how_many_pieces_a_unit_has():
    # The second unit's token is split in two halves with the same attention each: mass doubles, density stays.
    short = torch.tensor([[0.5, 0.5], [0.5, 0.5]])
    long = torch.tensor([[0.5, 0.5, 0.5]] * 3) / 1.5
    assert torch.allclose(unit_pool(short, [0, 1], "density"), unit_pool(long, [0, 1, 1], "density"))
    assert not torch.allclose(unit_pool(short, [0, 1], "mass"), unit_pool(long, [0, 1, 1], "mass"))


def test_batched_equals_one_by_one():
    generator = torch.Generator().manual_seed(1)
    pattern = torch.rand(2, 3, 5, 5, generator=generator).softmax(dim=-1)
    ids = torch.tensor([[-1, 0, 0, 1, 2], [-1, 0, 1, 1, 2]])
    for pooling in ("mass", "density"):
        whole = unit_pool(pattern, ids, pooling)
        for sample in range(2):
            for head in range(3):
                assert torch.allclose(whole[sample, head], unit_pool(pattern[sample, head], ids[sample], pooling))


def test_excision_renormalises_and_keeps_the_residual():
    values, residual, sink = excise(np.array(MASS), np.array([True, False, False]))
    assert np.allclose(values[:, 1:], [[0.5555556, 0.4444444], [0.8571429, 0.1428571], [0.3333333, 0.6666667]])
    assert np.allclose(sink, [0.1, 0.125, 0.4])
    assert np.allclose(residual, [0.9, 0.875, 0.6])


def test_a_row_all_on_the_sink_weighs_nothing():
    values, residual, sink = excise(torch.tensor([[1.0, 0.0]]), torch.tensor([True, False]))
    assert values.tolist() == [[0.0, 0.0]]
    assert residual.item() == 0
    assert sink.item() == 1


def test_bad_input_is_named():
    with pytest.raises(DataError, match="pooling='sum'"):
        unit_pool(torch.eye(2), torch.tensor([0, 1]), "sum")
    with pytest.raises(DataError, match="4 keys and units over 3"):
        unit_pool(torch.eye(4), torch.tensor([0, 1, 1]))

"""Rounded weights: small, exact to say, and refused where they do not fit."""

from __future__ import annotations

import pytest
import torch

from xlprobe.checkpoints.rounding import restored, rounded
from xlprobe.errors import CheckpointError

QUERY, CROSS = "e.self.query.weight", "e.self.cross_lingual_query.weight"


@pytest.fixture
def tensors():
    generator = torch.Generator().manual_seed(0)
    base = {QUERY: torch.randn(64, 32, generator=generator)}
    changed = {
        QUERY: base[QUERY] + 0.01 * torch.randn(64, 32, generator=generator),
        CROSS: base[QUERY] + 0.02 * torch.randn(64, 32, generator=generator),
        "classifier.weight": torch.randn(2, 64, generator=generator),
        "e.self.query.bias": torch.randn(64, generator=generator),
    }
    return base, changed


@pytest.mark.parametrize(("bits", "error"), [(2, 0.6), (3, 0.4), (4, 0.25), (8, 0.005)])
def test_round_trip(tensors, bits, error):
    base, changed = tensors
    stored = rounded(changed, base, bits)
    got = restored(stored, base)
    assert set(got) == set(changed)
    for name in (QUERY, CROSS):
        difference = changed[name] - base[QUERY]
        assert (got[name] - changed[name]).abs().max() <= error * difference.abs().max() * 1.05
    assert torch.equal(got["classifier.weight"], changed["classifier.weight"])
    # What was rounded once stays as it is.
    again = restored(rounded(got, base, bits), base)
    assert all(torch.equal(again[name], got[name]) for name in got)


def test_four_bits_take_half_a_byte(tensors):
    base, changed = tensors
    stored = rounded(changed, base, 4)
    assert stored[f"{QUERY}|4"].numel() == 64 * 32 // 2
    assert stored[f"{QUERY}|4"].dtype == torch.uint8


def test_another_base_is_refused(tensors):
    base, changed = tensors
    with pytest.raises(CheckpointError, match="counterpart"):
        restored(rounded(changed, base, 4), {QUERY: torch.zeros(8, 8)})
    with pytest.raises(CheckpointError, match="bits"):
        rounded(changed, base, 1)

from __future__ import annotations

import pytest
import torch

from xlprobe.metrics import MASS_BLOCKS, PooledPattern, Roles, block_mass, norm_weighted


@pytest.fixture(scope="module")
def sides():
    generator = torch.Generator().manual_seed(0)
    pattern = torch.softmax(torch.randn(3, 4, 20, 20, generator=generator) * 2, dim=-1)
    norms = torch.rand(3, 4, 20, generator=generator)
    segments = (torch.arange(20) >= 13).long().repeat(3, 1)
    units = (torch.arange(20) // 4).clamp(max=3).repeat(3, 1)
    special = torch.zeros(3, 20, dtype=torch.bool)
    special[:, [0, 13, 19]] = True
    # One sample is shorter than the others.
    special[2, 17:] = True
    segments[2, 18:] = -1
    roles = Roles.from_ids(segments, units.masked_fill(special, -1), special)
    return PooledPattern(norm_weighted(pattern, norms), roles), PooledPattern(pattern, roles, norms)


@pytest.mark.parametrize("pooling", ["token", "mass", "density"])
@pytest.mark.parametrize("block", ["context->context", "cls->context", "question->context"])
def test_norms_brought_in_late_give_the_profile_of_the_weighted_pattern(sides, block, pooling):
    whole, late = (side.profile(block, pooling) for side in sides)
    for name in ("values", "weights", "sink"):
        torch.testing.assert_close(getattr(late, name), getattr(whole, name), atol=2e-6, rtol=0, check_dtype=False)


@pytest.mark.parametrize("block", MASS_BLOCKS)
def test_norms_brought_in_late_give_the_mass_of_the_weighted_pattern(sides, block):
    whole, late = (block_mass(side, block) for side in sides)
    torch.testing.assert_close(late.observed, whole.observed, atol=2e-6, rtol=0)
    torch.testing.assert_close(late.lift, whole.lift, atol=1e-5, rtol=0)

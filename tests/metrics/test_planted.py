"""Planted attention: each metric moves as its direction says, and the others stay put."""

import numpy as np
import pytest
import torch

from xlprobe.metrics import (
    SIMILARITIES,
    PooledPattern,
    Roles,
    block_mass,
    compare,
    norm_weighted,
    pattern_distance,
    profile_entropy,
)
from xlprobe.statistics import instability_index

SAMPLES = (((5, 4, 6), 4), ((3, 7), 5), ((4, 4, 4, 4), 3), ((8, 2, 5), 4))


@pytest.fixture
def batch(make_batch):
    return make_batch(*SAMPLES)


def measure(batch, pattern, reference=None):
    """Everything that is said of a pattern, as means over heads and samples."""
    roles = Roles.from_ids(*batch.ids)
    pooled = PooledPattern(pattern, roles)
    part = pooled.profile()
    found = {
        "entropy": profile_entropy(part),
        "sink": part.sink_mass,
        "distance": pattern_distance(pooled),
        "lift": block_mass(pooled, "question->context").lift,
    }
    if reference is not None:
        found |= compare(PooledPattern(reference, roles).profile(), part)
    return {name: value.nanmean().item() for name, value in found.items()}


def mix(pattern, other, share):
    return (1 - share) * pattern + share * other


def uniform(batch):
    real = (batch.segment_ids >= 0)[:, None, None, :].double()
    return (real / real.sum(-1, keepdim=True)).expand_as(batch.pattern())


def sink_heavy(batch, pattern, share=0.9):
    first = torch.zeros_like(pattern)
    first[..., 0] = 1.0
    return mix(pattern, first, share)


def test_stability_falls_step_by_step_from_stable_to_unstable(batch):
    reference, other = batch.pattern(seed=0), batch.pattern(seed=1)
    steps = [measure(batch, mix(reference, other, share), reference) for share in (0, 0.25, 0.5, 0.75, 1)]
    for name in SIMILARITIES:
        values = [step[name] for step in steps]
        rising = name in ("total_variation", "hellinger")
        assert values == sorted(values, reverse=not rising), name
    assert steps[0]["js_stability"] == pytest.approx(1)
    assert steps[-1]["js_stability"] < 0.7


def test_a_sink_moves_sink_mass_and_nothing_else(batch):
    pattern, reference = batch.pattern(seed=0), batch.pattern(seed=1)
    before, after = measure(batch, pattern, reference), measure(batch, sink_heavy(batch, pattern), reference)
    assert after["sink"] > 0.9 > before["sink"]
    for name in before:
        if name != "sink":
            assert after[name] == pytest.approx(before[name], abs=0.02), name


def test_a_uniform_head_is_perfectly_stable_and_its_entropy_says_so(batch):
    same = uniform(batch)
    found = measure(batch, same, same)
    assert found["js_stability"] == pytest.approx(1)
    assert found["entropy"] == pytest.approx(1)
    assert found["lift"] == pytest.approx(0, abs=1e-9)
    random = measure(batch, batch.pattern(), batch.pattern())
    assert random["js_stability"] == pytest.approx(1)
    assert random["entropy"] < 0.9


def test_a_border_moves_lift_and_leaves_stability_of_the_context(batch):
    """Half of the attention across the border goes to the first token; within each segment nothing changes."""
    pattern = batch.pattern()
    context, question = (
        (batch.segment_ids == 0) & (batch.unit_ids >= 0),
        (batch.segment_ids == 1) & (batch.unit_ids >= 0),
    )
    border = question[:, None, :, None] & context[:, None, None, :]
    weaker = torch.where(border, pattern * 0.5, pattern)
    weaker[..., 0] += 1 - weaker.sum(dim=-1)
    before, after = measure(batch, pattern, pattern), measure(batch, weaker, pattern)
    assert after["lift"] == pytest.approx(before["lift"] - np.log(2), abs=1e-9)
    assert after["js_stability"] == pytest.approx(1)
    assert after["entropy"] == pytest.approx(before["entropy"])


def test_looking_near_or_far_moves_distance(batch):
    positions = torch.arange(batch.unit_ids.shape[1], dtype=torch.float64)
    steps = (positions[:, None] - positions).abs()
    closed = (batch.segment_ids < 0)[:, None, None, :]
    near, far = (
        (sign * steps).expand_as(batch.pattern()).masked_fill(closed, -torch.inf).softmax(dim=-1)
        for sign in (-3.0, 3.0)
    )
    assert measure(batch, near)["distance"] < 0.05 < 0.3 < measure(batch, far)["distance"]


def test_instability_lies_between_floor_and_chance(batch):
    reference, unrelated = batch.pattern(seed=0), batch.pattern(seed=1)
    roles = Roles.from_ids(*batch.ids)
    base = PooledPattern(reference, roles).profile()

    def distance(share):
        other = PooledPattern(mix(reference, unrelated, share), roles).profile()
        return 1 - compare(base, other, ["js_stability"])["js_stability"].mean()

    index = [instability_index(distance(share), distance(0.1), distance(1.0)).item() for share in (0.1, 0.5, 1.0)]
    assert index[0] == 0
    assert index[2] == 1
    assert 0 < index[1] < 1
    assert np.isnan(instability_index(distance(0.5), distance(1.0), distance(0.1)))


def test_norms_move_the_norm_weighted_profile_alone(batch):
    pattern, roles = batch.pattern(), Roles.from_ids(*batch.ids)
    even, uneven = torch.ones(4, 3, pattern.shape[-1]).double(), torch.ones(4, 3, pattern.shape[-1]).double()
    uneven[..., 3] = 20.0
    base = PooledPattern(pattern, roles).profile()
    same = PooledPattern(norm_weighted(pattern, even), roles).profile()
    other = PooledPattern(norm_weighted(pattern, uneven), roles).profile()
    assert torch.allclose(compare(base, same)["js_stability"], torch.ones(4, 3).double())
    assert compare(base, other)["js_stability"].max() < 0.95


@pytest.mark.parametrize("seed", range(3))
def test_streamed_equals_whole(batch, make_batch, seed):
    """Means over samples do not depend on how the samples are split into batches."""
    rng = np.random.default_rng(seed)
    pattern, reference = batch.pattern(seed=2 * seed), batch.pattern(seed=2 * seed + 1)
    whole = measure(batch, pattern, reference)
    order = rng.permutation(4)
    cuts = np.split(order, sorted(rng.choice([1, 2, 3], size=rng.integers(1, 4), replace=False)))
    totals, count = dict.fromkeys(whole, 0.0), 0
    for part in cuts:
        small = make_batch(*(SAMPLES[number] for number in part))
        length = small.unit_ids.shape[1]
        pieces = [array[part][:, :, :length, :length] for array in (pattern, reference)]
        for name, value in measure(small, *pieces).items():
            totals[name] += value * len(part)
        count += len(part)
    for name, value in whole.items():
        assert totals[name] / count == pytest.approx(value, rel=1e-12), name


def test_long_sums_are_kept_in_double_precision(make_batch):
    batch = make_batch(((150, 150, 150), 40))
    single, double = (batch.pattern(heads=1).to(dtype) for dtype in (torch.float32, torch.float64))
    reference = batch.pattern(heads=1, seed=1)
    first, second = measure(batch, single, reference.float()), measure(batch, double, reference)
    for name, value in second.items():
        assert first[name] == pytest.approx(value, abs=3e-6), name

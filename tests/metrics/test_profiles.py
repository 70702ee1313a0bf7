"""Profiles and their comparison: the right cells, no sinks, and nothing that depends on the batch."""

import math

import pytest
import torch

from xlprobe.errors import DataError
from xlprobe.metrics import (
    BLOCKS,
    SIMILARITIES,
    PooledPattern,
    Roles,
    align,
    argmax_agreement,
    compare,
    cosine,
    excise,
    hellinger,
    js_stability,
    norm_weighted,
    pearson,
    profile,
    total_variation,
    unit_pool,
)

SAMPLES = (((2, 3), 2), ((1, 1, 2), 3), ((4,), 1))


def test_token_profile_is_the_block_renormalised(make_batch):
    batch = make_batch(*SAMPLES)
    pattern = batch.pattern()
    part = profile(pattern, *batch.ids)
    a = pattern[0, 1][1:6, 1:6]
    assert torch.allclose(part.values[0, 1], a / a.sum(1, keepdim=True))
    assert torch.allclose(part.weights[0, 1], a.sum(1))
    sinks = pattern[0, 1][1:6][:, [0, 6, 9]].sum(1)
    assert torch.allclose(part.sink[0, 1], sinks)
    assert part.cells.sum(1).tolist() == [5, 4, 4]
    assert part.values[1, :, :, 4].abs().max() == 0
    assert part.weights[1, :, 4].abs().max() == 0


def test_samples_are_picked_in_the_order_asked_for_with_what_is_known_of_them(make_batch):
    batch = make_batch(*SAMPLES)
    whole = profile(batch.pattern(), *batch.ids)
    entropy = whole.entropy
    for picked in (whole.select([2, 0]), whole.select(torch.tensor([2, 0]))):
        assert torch.equal(picked.values, whole.values[[2, 0]])
        assert torch.equal(picked.weights, whole.weights[[2, 0]])
        assert torch.equal(picked.entropy, entropy[[2, 0]])


def test_pooled_question_row_is_the_mean_of_its_tokens(make_batch):
    batch = make_batch(*SAMPLES)
    pattern = batch.pattern()
    part = profile(pattern, *batch.ids, block="question->context")
    row = pattern[1, 2][6:9, 1:5].mean(0)
    assert part.values.shape[2] == 1
    assert torch.allclose(part.values[1, 2, 0, :4], row / row.sum())
    assert part.weights[1, 2, 0].item() == pytest.approx(row.sum().item())


def test_question_cells_are_found_though_they_start_elsewhere_in_each_sample(make_batch):
    batch = make_batch(*SAMPLES)
    pattern = batch.pattern()
    part = profile(pattern, *batch.ids, block="cls->question")
    for sample, places in enumerate(([7, 8], [6, 7, 8], [6])):
        row = pattern[sample, 0][0, places]
        assert torch.allclose(part.values[sample, 0, 0, : len(places)], row / row.sum())
        assert part.cells[sample].sum() == len(places)


def test_unit_profiles_are_pooled_then_excised(make_batch):
    batch = make_batch(((2, 3), 2))
    pattern = batch.pattern()
    text = batch.unit_ids[0] >= 0
    for pooling in ("mass", "density"):
        part = profile(pattern, *batch.ids, block="", pooling=pooling)
        for head in range(3):
            expected = unit_pool(pattern[0, head], batch.unit_ids[0], pooling)
            rows, _, _ = excise(expected, torch.zeros(3, dtype=torch.bool))
            assert torch.allclose(part.values[0, head], rows)
    residual = pattern[0, 0][:, text].sum(1)
    assert part.weights[0, 0].tolist() == pytest.approx(
        [residual[1:3].mean().item(), residual[3:6].mean().item(), residual[7:9].mean().item()]
    )
    assert torch.allclose(part.sink + part.weights, torch.ones_like(part.sink))


@pytest.mark.parametrize("block", list(BLOCKS))
@pytest.mark.parametrize("pooling", ["token", "mass", "density"])
def test_padding_and_batch_order_change_nothing(make_batch, block, pooling):
    batch = make_batch(*SAMPLES)
    first, second = batch.pattern(seed=0), batch.pattern(seed=1)
    roles = Roles.from_ids(*batch.ids)
    whole = compare(
        PooledPattern(first, roles).profile(block, pooling), PooledPattern(second, roles).profile(block, pooling)
    )
    for number, sample in enumerate(SAMPLES):
        alone = make_batch(sample)
        length = alone.unit_ids.shape[1]
        own = [pattern[number : number + 1, :, :length, :length] for pattern in (first, second)]
        single = compare(*(profile(pattern, *alone.ids, block=block, pooling=pooling) for pattern in own))
        for name in SIMILARITIES:
            assert torch.allclose(whole[name][number], single[name][0], equal_nan=True), name


@pytest.mark.parametrize("block", list(BLOCKS))
@pytest.mark.parametrize("pooling", ["token", "mass", "density"])
def test_norms_act_as_on_the_weighted_pattern(make_batch, block, pooling):
    batch = make_batch(*SAMPLES)
    pattern, roles = batch.pattern(), Roles.from_ids(*batch.ids)
    norms = torch.rand(3, 3, pattern.shape[-1], generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    direct = PooledPattern(pattern, roles, norms).profile(block, pooling)
    weighted = PooledPattern(norm_weighted(pattern, norms), roles).profile(block, pooling)
    for name in ("values", "weights", "sink", "rows", "cells"):
        assert torch.allclose(getattr(direct, name), getattr(weighted, name)), name


def test_compare_equals_the_functions_on_rows(make_batch):
    batch = make_batch(((2, 3), 2))
    p, q = (profile(batch.pattern(seed=seed), *batch.ids) for seed in (0, 1))
    result = compare(p, q)
    weights = torch.minimum(p.weights, q.weights)
    assert torch.allclose(result["js_stability"], js_stability(p.values, q.values, p.weights, q.weights))
    functions = {
        "total_variation": total_variation,
        "cosine": cosine,
        "hellinger": hellinger,
        "pearson": pearson,
        "argmax_agreement": argmax_agreement,
    }
    for name, function in functions.items():
        expected = (function(p.values, q.values) * weights).sum(-1) / weights.sum(-1)
        assert torch.allclose(result[name], expected), name


def test_single_precision_is_close_to_double(make_batch):
    batch = make_batch(((20, 30, 25), 12))
    results = []
    for dtype in (torch.float32, torch.float64):
        profiles = [profile(batch.pattern(seed=seed).to(dtype), *batch.ids) for seed in (0, 1)]
        results.append(compare(*profiles))
    for name in SIMILARITIES:
        assert torch.allclose(results[0][name], results[1][name], atol=2e-6), name


def test_a_profile_equals_itself(make_batch):
    batch = make_batch(*SAMPLES)
    part = profile(batch.pattern(dtype=torch.float32), *batch.ids)
    result = compare(part, part)
    assert result["js_stability"].min() == 1
    assert result["total_variation"].max() == 0
    assert result["argmax_agreement"].min() == 1


def test_one_cell_is_undefined(make_batch):
    batch = make_batch(((2, 3), 2))
    part = profile(batch.pattern(), *batch.ids, block="cls->question", pooling="mass")
    assert all(math.isnan(value[0, 0]) for value in compare(part, part).values())


def test_rows_all_on_the_sink_are_undefined(make_batch):
    batch = make_batch(((2, 3), 2))
    pattern = torch.zeros_like(batch.pattern())
    pattern[..., 0] = 1.0
    part = profile(pattern, *batch.ids)
    assert compare(part, part)["js_stability"].isnan().all()
    assert torch.allclose(part.sink_mass, torch.ones(1, 3, dtype=torch.float64))


def test_align_cuts_to_what_both_have(make_batch):
    long, short = make_batch(((2, 3, 2), 2)), make_batch(((2, 1), 2))
    p = profile(long.pattern(), *long.ids, pooling="mass")
    q = profile(short.pattern(), *short.ids, pooling="mass")
    cut, other = align(p, q)
    expected = p.values[:, :, :2, :2] / p.values[:, :, :2, :2].sum(-1, keepdim=True)
    assert torch.allclose(cut.values, expected)
    assert torch.allclose(other.values, q.values)
    assert torch.allclose(cut.weights, p.weights[:, :, :2] * p.values[:, :, :2, :2].sum(-1))
    assert torch.allclose(compare(p, q)["js_stability"], compare(cut, other)["js_stability"])


def test_select_reorders_samples(make_batch):
    batch = make_batch(((2, 3), 2), ((3, 2), 2))
    part = profile(batch.pattern(), *batch.ids)
    swapped = part.select(torch.tensor([1, 0]))
    assert torch.equal(swapped.values[0], part.values[1])
    assert torch.equal(swapped.weights[1], part.weights[0])


def test_a_prefix_is_neither_text_nor_sink():
    segments, units = torch.tensor([[0] * 5 + [1] * 2]), torch.tensor([[-1, -1, 0, 1, -1, 2, -1]])
    special = torch.tensor([[True, False, False, False, True, False, True]])
    pattern = torch.full((1, 1, 7, 7), 1 / 7)
    part = profile(pattern, segments, units, special)
    assert part.values.shape == (1, 1, 2, 2)
    assert torch.allclose(part.sink, torch.tensor(3 / 7))
    assert torch.allclose(part.weights, torch.tensor(2 / 7))


def test_bad_names_and_shapes_are_refused(make_batch):
    batch = make_batch(((2, 3), 2))
    pattern = batch.pattern()
    with pytest.raises(DataError, match="block='c->c'"):
        profile(pattern, *batch.ids, block="c->c")
    with pytest.raises(DataError, match="pooling='sum'"):
        profile(pattern, *batch.ids, pooling="sum")
    part = profile(pattern, *batch.ids)
    with pytest.raises(DataError, match="same samples and heads"):
        compare(part, profile(batch.pattern(heads=2), *batch.ids))
    with pytest.raises(DataError, match="'euclid'"):
        compare(part, part, ["euclid"])
    with pytest.raises(DataError, match="expected all three"):
        Roles.from_ids(batch.segment_ids[0], *batch.ids[1:])
    with pytest.raises(DataError, match="num_units=1"):
        Roles.from_ids(*batch.ids, num_units=1)

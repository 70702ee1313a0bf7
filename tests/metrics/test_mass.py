"""Known answers of cross-lingual attention mass and of the split between the two queries."""

import math

import pytest
import torch

from xlprobe.errors import DataError
from xlprobe.metrics import (
    PooledPattern,
    Roles,
    block_mass,
    cross_lingual_mass,
    mass_expectation,
    mass_lift,
    query_shares,
)


def test_known_answers():
    assert cross_lingual_mass(0.3, 0.3).item() == pytest.approx(0.5)
    assert mass_expectation(6, 2).item() == pytest.approx(0.75)
    assert mass_lift(0.3, 0.3, 6, 2).item() == pytest.approx(-1.098612, abs=1e-6)
    assert mass_lift(0.1, 0.1, 2, 1).item() == pytest.approx(-0.693147, abs=1e-6)


def test_undefined_is_nan():
    assert math.isnan(cross_lingual_mass(0.0, 0.0).item())
    assert math.isnan(mass_lift(0.0, 0.5, 2, 2).item())
    assert math.isnan(mass_lift(0.5, 0.5, 0, 2).item())


def test_uniform_attention_has_no_lift(make_batch):
    batch = make_batch(((2, 3), 2), ((1, 4, 2), 3))
    real = (batch.segment_ids >= 0)[:, None, None, :].double()
    pattern = (real / real.sum(-1, keepdim=True)).expand(2, 3, batch.unit_ids.shape[1], -1)
    pooled = PooledPattern(pattern, Roles.from_ids(*batch.ids))
    for block in ("question->context", "context->question", "cls->context", "cls->question"):
        mass = block_mass(pooled, block)
        assert torch.allclose(mass.lift, torch.zeros(2, 3, dtype=torch.float64), atol=1e-12)
        assert torch.allclose(mass.observed, mass.expected[:, None].expand(2, 3))
    assert block_mass(pooled, "question->context").expected.tolist() == pytest.approx([5 / 7, 7 / 10])


def test_mass_is_read_from_the_right_rows_and_columns(make_batch):
    batch = make_batch(((2, 1), 2))
    pattern = batch.pattern()
    a = pattern[0, 0]
    pooled = PooledPattern(pattern, Roles.from_ids(*batch.ids))
    context, question = [1, 2, 3], [5, 6]
    to_context, to_question = a[question][:, context].sum(), a[question][:, question].sum()
    assert block_mass(pooled, "question->context").observed[0, 0].item() == pytest.approx(
        (to_context / (to_context + to_question)).item()
    )
    to_context, to_question = a[context][:, context].sum(), a[context][:, question].sum()
    assert block_mass(pooled, "context->question").observed[0, 0].item() == pytest.approx(
        (to_question / (to_context + to_question)).item()
    )
    assert block_mass(pooled, "cls->context").observed[0, 0].item() == pytest.approx(
        (a[0, context].sum() / a[0, context + question].sum()).item()
    )


def test_plain_sentences_have_no_cross_lingual_mass(make_batch):
    batch = make_batch(((2, 1), 0))
    pooled = PooledPattern(batch.pattern(), Roles.from_ids(*batch.ids))
    assert block_mass(pooled, "question->context").observed.isnan().all()
    assert block_mass(pooled, "cls->context").lift.isnan().all()


def test_shares_sum_to_one_and_follow_the_mass(make_batch):
    batch = make_batch(((2, 1), 2), ((3, 1), 1))
    total = batch.pattern()
    roles = Roles.from_ids(*batch.ids)
    whole = PooledPattern(total, roles)
    for block in ("question->context", "context->context", "cls->question", ""):
        mono, cross = query_shares(whole, PooledPattern(total * 0.25, roles), block)
        assert torch.allclose(mono + cross, torch.ones_like(mono))
        assert torch.allclose(cross, torch.full_like(cross, 0.25))
    only = torch.zeros_like(total)
    only[0, :, 5:7, 1:4] = total[0, :, 5:7, 1:4]
    part = PooledPattern(only, roles)
    assert torch.allclose(query_shares(whole, part, "question->context")[1][0], torch.ones(3, dtype=torch.float64))
    assert query_shares(whole, part, "context->context")[1].max() == 0
    a = total[0]
    expected = only[0].sum((1, 2)) / a[:, [1, 2, 3, 5, 6]][:, :, [1, 2, 3, 5, 6]].sum((1, 2))
    assert torch.allclose(query_shares(whole, part, "")[1][0], expected)


def test_unknown_blocks_are_refused(make_batch):
    batch = make_batch(((1,), 1))
    pooled = PooledPattern(batch.pattern(), Roles.from_ids(*batch.ids))
    with pytest.raises(DataError, match="context->context"):
        block_mass(pooled, "context->context")

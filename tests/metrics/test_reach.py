"""Under a causal mask a later token sees more keys: all is measured against uniform attention over them."""

from __future__ import annotations

import math

import pytest
import torch

from xlprobe.metrics import PooledPattern, Roles, block_mass, compare
from xlprobe.metrics.reach import Reach
from xlprobe.metrics.shape import profile_entropy

# One special token, units of 3, 1 and 2 tokens, a word of the template, a question of 3 tokens, the template again.
UNITS = torch.tensor([[-1, 0, 0, 0, 1, 2, 2, -1, 3, 3, 3, -1], [-1, 0, 0, 1, 1, 2, -1, 3, 3, -1, -1, -1]])
SEGMENTS = torch.tensor([[0] * 7 + [1] * 5, [0] * 6 + [1] * 4 + [-1] * 2])
SPECIAL = UNITS < 0
ROLES = Roles.from_ids(SEGMENTS, UNITS, SPECIAL)
VALID = SEGMENTS >= 0


def pooled(pattern, window=None):
    return PooledPattern(pattern.float(), ROLES, reach=Reach.causal(VALID, ROLES, window))


def uniform(window=None, heads=2):
    opened = Reach.causal(VALID, ROLES, window).opened.double()
    return (opened / opened.sum(dim=-1, keepdim=True))[:, None].expand(-1, heads, -1, -1)


def random_pattern(seed=0, window=None, heads=2):
    scores = torch.randn(2, heads, 12, 12, generator=torch.Generator().manual_seed(seed))
    opened = Reach.causal(VALID, ROLES, window).opened[:, None]
    return scores.masked_fill(~opened, -math.inf).softmax(dim=-1)


@pytest.mark.parametrize("window", [None, 6])
def test_uniform_attention_over_open_keys_has_no_lift_and_full_entropy(window):
    pattern = pooled(uniform(window), window)
    mass = block_mass(pattern, "question->context")
    torch.testing.assert_close(mass.lift, torch.zeros_like(mass.lift), atol=1e-6, rtol=0)
    torch.testing.assert_close(mass.observed[:, 0], mass.expected, atol=1e-6, rtol=0)
    for block in ("context->context", "question->context"):
        entropy = profile_entropy(pattern.profile(block, "token"))
        if window is None:
            torch.testing.assert_close(entropy, torch.ones_like(entropy), atol=1e-6, rtol=0)
        density = pattern.profile(block, "density")
        open_cells = density.values > 0
        even = open_cells / open_cells.sum(dim=-1, keepdim=True).clamp_min(1)
        torch.testing.assert_close(density.values.double(), even.double(), atol=1e-6, rtol=0)


def test_expected_mass_counts_the_keys_that_each_query_sees():
    # The question's tokens stand at 8, 9, 10 and see 9, 10, 11 keys: 6 of the context, and 1, 2, 3 of the question.
    context = sum(6 / seen for seen in (9, 10, 11))
    question = sum(own / seen for own, seen in zip((1, 2, 3), (9, 10, 11), strict=True))
    expected = block_mass(pooled(random_pattern()), "question->context").expected
    assert expected[0] == pytest.approx(context / (context + question))
    assert expected[0] != pytest.approx(6 / 9, abs=0.05), "as if all keys were open"


@pytest.mark.parametrize("block", ["context->question", "cls->context", "cls->question"])
def test_what_no_query_can_see_is_undefined_and_not_zero(block):
    mass = block_mass(pooled(random_pattern()), block)
    assert mass.observed.isnan().all()
    assert mass.expected.isnan().all()
    assert mass.lift.isnan().all()


def test_stability_by_nested_loops_over_open_cells():
    left, right = random_pattern(1), random_pattern(2)
    own = compare(pooled(left).profile(), pooled(right).profile(), ["js_stability", "pearson"])
    for sample, head in ((0, 0), (0, 1), (1, 0)):
        context = [place for place in range(12) if VALID[sample, place] and SEGMENTS[sample, place] == 0 and place]
        divergences, weights, correlations = [], [], []
        for query in context:
            keys = [key for key in context if key <= query]
            if len(keys) < 2:
                continue
            rows = [[float(pattern[sample, head, query, key]) for key in keys] for pattern in (left, right)]
            mass = [sum(row) for row in rows]
            p, q = ([value / total for value in row] for row, total in zip(rows, mass, strict=True))
            divergences.append(
                sum(
                    0.5 * (a * math.log2(2 * a / (a + b)) + b * math.log2(2 * b / (a + b)))
                    for a, b in zip(p, q, strict=True)
                )
            )
            weights.append(min(mass))
            if len(keys) > 2:
                correlations.append(float(torch.corrcoef(torch.tensor([p, q], dtype=torch.float64))[0, 1]))
            else:
                correlations.append(math.copysign(1.0, (p[0] - p[1]) * (q[0] - q[1])))
        for name, values in (("js_stability", [1 - one for one in divergences]), ("pearson", correlations)):
            mean = sum(w * one for w, one in zip(weights, values, strict=True)) / sum(weights)
            assert float(own[name][sample, head]) == pytest.approx(mean, abs=1e-5), name


def test_layers_with_their_own_windows_keep_their_own_expectations():
    from xlprobe.metrics import UnitPattern

    near, far = pooled(uniform(4), 4), pooled(uniform())
    joined = block_mass(UnitPattern.side_by_side([near.units, far.units]), "question->context").lift
    torch.testing.assert_close(joined[0], torch.zeros(4, dtype=joined.dtype), atol=1e-6, rtol=0)
    assert block_mass(pooled(uniform(4)), "question->context").lift.abs().min() > 0.1, "the wrong window shows"

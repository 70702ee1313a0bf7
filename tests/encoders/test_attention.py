from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from xlprobe.encoders.attention import cross_query_attention
from xlprobe.encoders.masks import language_masks


def draw(batch=2, heads=2, length=5, d=3, dtype=torch.float64, seed=0, scale=1.0):
    generator = torch.Generator().manual_seed(seed)
    shape = (batch, heads, length, d)
    return [(torch.randn(shape, generator=generator, dtype=torch.float64) * scale).to(dtype) for _ in range(4)]


def nested_loops(q, q_cross, k, v, m1, m2):
    """The formula of the paper, one number at a time; differentiable."""
    output = torch.zeros_like(q)
    mono = q.new_zeros(*q.shape[:3], q.shape[2])
    cross = mono.clone()
    for b in range(q.shape[0]):
        for h in range(q.shape[1]):
            for i in range(q.shape[2]):
                e1, e2 = [], []
                for j in range(k.shape[2]):
                    s1 = (q[b, h, i] * k[b, h, j]).sum() / math.sqrt(q.shape[-1])
                    s2 = (q_cross[b, h, i] * k[b, h, j]).sum() / math.sqrt(q.shape[-1])
                    e1.append(s1.exp() * m1[b, i, j])
                    e2.append(s2.exp() * m2[b, i, j])
                total = sum(e1) + sum(e2)
                for j in range(k.shape[2]):
                    if total > 0:
                        mono[b, h, i, j] = e1[j] / total
                        cross[b, h, i, j] = e2[j] / total
                        output[b, h, i] = output[b, h, i] + (e1[j] + e2[j]) / total * v[b, h, j]
    return output, mono, cross


def random_masks(batch, length, seed):
    generator = torch.Generator().manual_seed(seed)
    m1 = torch.rand(batch, length, length, generator=generator) < 0.5
    m2 = torch.rand(batch, length, length, generator=generator) < 0.5
    return m1, m2


@pytest.mark.parametrize("seed", range(3))
def test_equals_nested_loops(seed):
    tensors = draw(seed=seed)
    masks = random_masks(2, 5, seed)
    masks[0][0, 1] = False  # one term closed in a whole row
    masks[0][1, 2], masks[1][1, 2] = False, False  # both closed
    output, (mono, cross) = cross_query_attention(*tensors, *masks, return_pattern=True)
    expected = nested_loops(*tensors, *masks)
    for got, want in zip((output, mono, cross), expected, strict=True):
        torch.testing.assert_close(got, want, atol=1e-12, rtol=0)
    assert (mono[~masks[0][:, None].expand_as(mono)] == 0).all()
    assert (output[1, :, 2] == 0).all()


def test_gradients_are_exact():
    tensors = [tensor.requires_grad_() for tensor in draw(batch=1, heads=1, length=4, d=2)]
    masks = random_masks(1, 4, 5)
    masks[0][0, 0], masks[1][0, 0] = False, False
    assert torch.autograd.gradcheck(lambda *t: cross_query_attention(*t, *masks), tensors)
    weights = torch.randn(1, 1, 4, 2, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    mine = torch.autograd.grad((cross_query_attention(*tensors, *masks) * weights).sum(), tensors)
    loops = torch.autograd.grad((nested_loops(*tensors, *masks)[0] * weights).sum(), tensors)
    for got, want in zip(mine, loops, strict=True):
        torch.testing.assert_close(got, want, atol=1e-10, rtol=0)


def test_first_column_counts_twice():
    """All scores 0, tokens CLS c c SEP | q SEP: METHOD's 1/6 in row 0, 2/7 on CLS and 1/7 elsewhere."""
    ids = torch.tensor([[1, 1, 1, 1, 2, 2]])
    zeros = torch.zeros(1, 1, 6, 4)
    values = torch.eye(6)[None, None]
    output, (mono, cross) = cross_query_attention(
        zeros, zeros, zeros, values, *language_masks(ids), return_pattern=True
    )
    pattern = (mono + cross)[0, 0]
    torch.testing.assert_close(pattern[0], torch.full((6,), 1 / 6))
    torch.testing.assert_close(pattern[1:, 0], torch.full((5,), 2 / 7))
    torch.testing.assert_close(pattern[1:, 1:], torch.full((5, 5), 1 / 7))
    torch.testing.assert_close(output[0, 0], pattern)


def test_one_language_is_plain_attention():
    q, q_cross, k, v = draw(length=7)
    masks = language_masks(torch.ones(2, 7, dtype=torch.long))
    plain = torch.nn.functional.scaled_dot_product_attention(q, k, v)
    torch.testing.assert_close(cross_query_attention(q, q_cross * 1e3, k, v, *masks), plain)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_safe_in_short_formats_with_closed_terms_and_large_scores(dtype):
    ids = torch.tensor([[1, 1, 1, 2, 2], [1, 1, 1, 1, 1]])
    tensors = [tensor.requires_grad_() for tensor in draw(dtype=dtype, scale=12.0)]
    output = cross_query_attention(*tensors, *language_masks(ids))
    output.float().sum().backward()
    assert output.dtype == dtype
    assert output.isfinite().all()
    assert all(tensor.grad.isfinite().all() for tensor in tensors)
    reference = cross_query_attention(*(t.detach().double() for t in tensors), *language_masks(ids))
    tolerance = {torch.float32: 1e-4, torch.bfloat16: 0.5, torch.float16: 0.1}[dtype]
    torch.testing.assert_close(output.double(), reference, atol=tolerance, rtol=0.05)


@given(
    st.lists(st.lists(st.integers(1, 3), min_size=1, max_size=8), min_size=1, max_size=3),
    st.integers(0, 99),
    st.sampled_from([1.0, 0.5]),
)
@settings(max_examples=50, deadline=None)
def test_rows_sum_to_one_and_samples_do_not_meet(rows, seed, p):
    width = max(map(len, rows)) + 1
    ids = torch.tensor([row + [0] * (width - len(row)) for row in rows])
    tensors = draw(len(rows), 2, width, 4, torch.float32, seed)
    m1, m2 = language_masks(ids, ids > 0, p, p, torch.Generator().manual_seed(seed))
    output, (mono, cross) = cross_query_attention(*tensors, m1, m2, return_pattern=True)
    torch.testing.assert_close((mono + cross).sum(-1), torch.ones(len(rows), 2, width))
    assert (mono.masked_select(~m1[:, None]) == 0).all()
    assert (cross.masked_select(~m2[:, None]) == 0).all()
    order = torch.arange(len(rows)).flip(0)
    shuffled = cross_query_attention(*(tensor[order] for tensor in tensors), m1[order], m2[order])
    torch.testing.assert_close(shuffled, output[order], atol=1e-6, rtol=0)


def test_dropout_acts_on_the_sum_of_the_terms():
    torch.manual_seed(0)
    q, q_cross, k, _ = draw(1, 1, 64, 4, torch.float32)
    ids = torch.ones(1, 64, dtype=torch.long)
    ids[:, 30:] = 2
    dropped = cross_query_attention(q, q_cross, k, torch.eye(64)[None, None], *language_masks(ids), dropout_p=0.25)
    assert (dropped == 0).float().mean().item() == pytest.approx(0.25, abs=0.03)

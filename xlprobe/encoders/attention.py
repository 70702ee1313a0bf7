"""The attention with two queries and one set of keys and values (arXiv 2310.15258, section 3)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, overload

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

__all__ = ["bias_of", "cross_query_attention", "for_each_head", "in_parts", "joint_softmax", "scores_of"]

Heads = Float[Tensor, "batch head position d"]
Pattern = Float[Tensor, "batch head query key"]
Mask = Bool[Tensor, "batch query key"]
SCORES_AT_ONCE = 2**18
"""How many scores are computed at a time on a processor: a megabyte in single precision, which its cache holds."""


@overload
def cross_query_attention(
    q: Heads, q_cross: Heads, k: Heads, v: Heads, m1: Mask, m2: Mask, scale: float | None = None,
    dropout_p: float = 0.0, *, return_pattern: Literal[False] = False,
) -> Tensor: ...  # fmt: skip
@overload
def cross_query_attention(
    q: Heads, q_cross: Heads, k: Heads, v: Heads, m1: Mask, m2: Mask, scale: float | None = None,
    dropout_p: float = 0.0, *, return_pattern: Literal[True],
) -> tuple[Tensor, tuple[Tensor, Tensor]]: ...  # fmt: skip
def cross_query_attention(
    q: Heads,
    q_cross: Heads,
    k: Heads,
    v: Heads,
    m1: Mask,
    m2: Mask,
    scale: float | None = None,
    dropout_p: float = 0.0,
    *,
    return_pattern: bool = False,
) -> Tensor | tuple[Tensor, tuple[Tensor, Tensor]]:
    """Attend with Q where `m1` is open and with Q_cross where `m2` is, under one denominator.

    s1 = q k^T scale, s2 = q_cross k^T scale, P = (exp(s1) m1 + exp(s2) m2) / row sums, output P v: (batch, head,
    query, d). With `return_pattern` also (pattern_mono, pattern_cross), (batch, head, query, key) each: the two
    terms, whose sum is P; closed cells are exactly 0. A term may be closed in a whole row; a row closed in both
    gives zeros. `scale` defaults to 1/sqrt(d). `dropout_p` acts on P. This is the explicit form, differentiable and
    the measure of the fused one. Source: arXiv 2310.15258, section 3.
    """
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    empty = ~(m1 | m2).any(dim=-1)
    # Softmax over nothing is NaN, in the gradient too: such rows are opened here and zeroed below.
    some_empty = not torch.compiler.is_compiling() and bool(empty.any())
    open1 = m1 | empty[..., None] if some_empty else m1
    bias1, bias2 = (bias_of(opened[:, None], q.dtype) for opened in (open1, m2))
    mono, cross = joint_softmax(scores_of(q, k, scale, bias1), scores_of(q_cross, k, scale, bias2))
    if some_empty:
        closed = empty[:, None, :, None]
        mono, cross = mono.masked_fill(closed, 0.0), cross.masked_fill(closed, 0.0)
    output = torch.matmul(nn.functional.dropout(mono + cross, p=dropout_p, training=dropout_p > 0), v)
    return (output, (mono, cross)) if return_pattern else output


def scores_of(q: Heads, k: Heads, scale: float, bias: Float[Tensor, "batch 1 query key"]) -> Pattern:
    """Return q k^T scale + bias; see `bias_of`, which heads share."""
    # Adding is six times as fast as filling.
    return torch.matmul(q * scale, k.transpose(-1, -2)) + bias


def in_parts(q: Heads, k: Heads) -> Iterator[tuple[slice, list[slice]]]:
    """Cut a batch into parts of `SCORES_AT_ONCE`.

    Yields samples, and their heads in one part or, where the text is long, in several.
    """
    batch, heads = q.shape[:2]
    at_once = max(1, SCORES_AT_ONCE // (q.shape[2] * k.shape[2]))  # heads, of one or of several samples
    samples, some = max(1, at_once // heads), min(at_once, heads)
    for start in range(0, batch, samples):
        yield slice(start, start + samples), [slice(first, first + some) for first in range(0, heads, some)]


def for_each_head(tensor: Float[Tensor, "batch group key d"], heads: int) -> Float[Tensor, "batch head key d"]:
    """Repeat the keys or values that several heads share."""
    groups = tensor.shape[1]
    return tensor if groups == heads else tensor.repeat_interleave(heads // groups, dim=1)


def bias_of(opened: Bool[Tensor, "*shape"], dtype: torch.dtype) -> Float[Tensor, "*shape"]:
    """Return a mask as numbers to add to scores: 0 where open, -inf where closed."""
    return torch.zeros(opened.shape, dtype=dtype, device=opened.device).masked_fill_(~opened, float("-inf"))


def joint_softmax(s1: Pattern, s2: Pattern) -> tuple[Pattern, Pattern]:
    """Return the two terms of softmax(logaddexp(s1, s2)); together their rows sum to 1.

    One softmax over both scores side by side, so a term may be -inf in a whole row; rows closed in both give NaN.
    """
    mono, cross = torch.softmax(torch.cat([s1, s2], dim=-1), dim=-1).split(s1.shape[-1], dim=-1)
    return mono, cross

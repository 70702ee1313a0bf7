"""Attention for training on a processor: each pattern is made once, a few samples at a time, and kept as it is.

The ordinary explicit form leaves scores, their sum with the mask, a softmax (in autocast: in float32) and a copy of it
behind for the backward pass. Here only the pattern stays, in the type that is computed in; scores and their
gradients never leave the cache. Equal to the explicit form up to rounding; without dropout on the pattern.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from xlprobe.encoders.attention import Heads, bias_of, for_each_head, in_parts
from xlprobe.encoders.plan import AttentionPlan

__all__ = ["TRAINED", "keeping_patterns", "register"]

TRAINED = "xlprobe-trained"
"""The name under which transformers knows this attention: `model.set_attn_implementation(TRAINED)`."""


def keeping_patterns(
    q: Heads, q_cross: Heads, k: Heads, v: Heads, plan: AttentionPlan, scale: float
) -> Float[Tensor, "batch head query d"]:
    """Attend with two queries, as `cross_query_attention` does; samples in one language take Q alone.

    No row may be closed in both masks.
    """
    return _Attention.apply(k, v, scale, plan.mixed.tolist(), plan.biases(q.dtype), q, q_cross)


class _Attention(torch.autograd.Function):
    """Forward and backward pass with one or two queries; `biases` (batch, 1, query, key) of each query, or None."""

    @staticmethod
    def forward(
        ctx: Any, k: Tensor, v: Tensor, scale: float, mixed: list[bool], biases: tuple[Tensor | None, ...], *qs: Tensor
    ) -> Tensor:
        queries = [(q * scale).contiguous() for q in qs]
        k, v = k.contiguous(), v.contiguous()
        output, patterns = torch.empty_like(queries[0]), []
        for samples, count in _slices(queries[0], k, mixed):
            scores = [torch.matmul(query[samples], k[samples].transpose(-1, -2)) for query in queries[:count]]
            for score, bias in zip(scores, biases[:count], strict=True):
                if bias is not None:
                    score += bias[samples]
            side_by_side = scores[0] if count == 1 else torch.cat(scores, dim=-1)
            pattern = torch.softmax(side_by_side, dim=-1)
            patterns.append(pattern)
            output[samples] = torch.matmul(_sum(pattern, count), v[samples])
        ctx.save_for_backward(k, v, output, *queries, *patterns)
        ctx.scale, ctx.mixed, ctx.count = scale, mixed, len(qs)
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        k, v, output, *rest = ctx.saved_tensors
        queries, patterns = rest[: ctx.count], rest[ctx.count :]
        grad = grad.contiguous()
        d_k, d_v, d_queries = torch.empty_like(k), torch.empty_like(v), [torch.zeros_like(q) for q in queries]
        through = (grad * output).sum(dim=-1, keepdim=True)
        for (samples, count), pattern in zip(_slices(queries[0], k, ctx.mixed), patterns, strict=True):
            d_v[samples] = torch.matmul(_sum(pattern, count).transpose(-1, -2), grad[samples])
            d_pattern = torch.matmul(grad[samples], v[samples].transpose(-1, -2)).sub_(through[samples])
            terms = pattern.chunk(count, dim=-1)
            d_scores = [d_pattern.mul_(terms[0])] if count == 1 else [d_pattern * term for term in terms]
            for number, d_score in enumerate(d_scores):
                d_queries[number][samples] = torch.matmul(d_score, k[samples])
            pairs = zip(d_scores, queries[:count], strict=True)
            d_keys = [torch.matmul(d_score.transpose(-1, -2), query[samples]) for d_score, query in pairs]
            d_k[samples] = d_keys[0] if count == 1 else d_keys[0].add_(d_keys[1])
        return d_k, d_v, None, None, None, *(d_query.mul_(ctx.scale) for d_query in d_queries)


def _slices(q: Heads, k: Heads, mixed: list[bool]) -> Iterator[tuple[slice, int]]:
    """Cut a batch into parts that the cache holds, each with the number of queries that its samples need."""
    for samples, _ in in_parts(q, k):
        yield samples, 2 if any(mixed[samples]) else 1


def _sum(pattern: Tensor, count: int) -> Tensor:
    if count == 1:
        return pattern
    mono, cross = pattern.chunk(2, dim=-1)
    return mono + cross


def _attention(
    module: nn.Module,
    query: Heads,
    key: Heads,
    value: Heads,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """One query, as transformers' attention interface expects it; with dropout transformers' own explicit form."""
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    bias = None if attention_mask is None else _bias(attention_mask, query.dtype)
    key, value = (for_each_head(tensor, query.shape[1]) for tensor in (key, value))
    if dropout > 0 and module.training:
        scores = torch.matmul(query * scale, key.transpose(-1, -2))
        pattern = torch.softmax(scores if bias is None else scores + bias, dim=-1)
        output = torch.matmul(nn.functional.dropout(pattern, dropout), value)
    else:
        output = _Attention.apply(key, value, scale, [False] * len(query), (bias,), query)
    return output.transpose(1, 2).contiguous(), None


def _bias(mask: Tensor, dtype: torch.dtype) -> Float[Tensor, "batch 1 query key"]:
    """Return a mask, boolean (True = open) or already numbers, as numbers to add to scores."""
    return bias_of(mask, dtype) if mask.dtype == torch.bool else mask.to(dtype)


def register() -> None:
    """Make the attention known to transformers by its name."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import eager_mask

    AttentionInterface.register(TRAINED, _attention)
    AttentionMaskInterface.register(TRAINED, eager_mask)

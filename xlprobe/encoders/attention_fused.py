"""Faster forms of the attention with two queries, all equal to `cross_query_attention` up to rounding.

- `merged`: a flash kernel for each query; the two outputs are merged by their log-sum-exps, and in the backward pass
  each kernel is given the joint output and log-sum-exp (as ring attention does). Memory is linear in the length.
- `keeping_patterns` (in `attention_trained`): explicit, a few samples at a time; for training in half precision.
- `joined`: for disjoint masks and two languages. Queries and keys get twice the width, [q, q_cross] and [k, 0] or
  [0, k] by language, so that one ordinary scaled_dot_product_attention does the work of two; the first token's key
  stands twice, because its column is open in both terms.

The explicit form is the fallback, and what the CPU takes while attention dropout is on (its flash kernel has none).
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from xlprobe.encoders.attention import Heads, cross_query_attention
from xlprobe.encoders.attention_trained import keeping_patterns
from xlprobe.encoders.plan import AttentionPlan

__all__ = ["attend", "joined", "merged"]

_CPU_TYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)


def attend(
    q: Heads, q_cross: Heads, k: Heads, v: Heads, plan: AttentionPlan, scale: float, dropout_p: float = 0.0
) -> Heads:
    """Return the output (batch, head, query, d) by the fastest form that this device, dtype and plan allow."""
    if not torch.compiler.is_compiling():
        # The CPU kernel's backward pass in half precision is some thirty times slower than matrix products.
        slow = q.requires_grad and q.dtype in (torch.bfloat16, torch.float16)
        if q.device.type == "cpu" and dropout_p == 0 and q.dtype in _CPU_TYPES:
            if not slow:
                return merged(q, q_cross, k, v, plan, scale)
            if not plan.has_closed_rows:
                return keeping_patterns(q, q_cross, k, v, plan, scale)
        if plan.disjoint and plan.two_languages and plan.any_pairs and q.device.type == "cuda":
            return joined(q, q_cross, k, v, plan, scale, dropout_p)
    return cross_query_attention(q, q_cross, k, v, *plan.masks, scale, dropout_p)


def merged(q: Heads, q_cross: Heads, k: Heads, v: Heads, plan: AttentionPlan, scale: float) -> Heads:
    """Two flash kernels on the CPU, merged by log-sum-exp; any masks, no dropout."""
    return _Merged.apply(q, q_cross, k, v, *plan.biases(q.dtype), *plan.closed_rows, scale)


class _Merged(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        q: Tensor,
        q_cross: Tensor,
        k: Tensor,
        v: Tensor,
        bias1: Float[Tensor, "batch 1 query key"],
        bias2: Float[Tensor, "batch 1 query key"],
        closed1: Bool[Tensor, "batch 1 query"] | None,
        closed2: Bool[Tensor, "batch 1 query"] | None,
        scale: float,
    ) -> Tensor:
        flash = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
        out1, lse1 = flash(q, k, v, 0.0, False, attn_mask=bias1, scale=scale)
        out2, lse2 = flash(q_cross, k, v, 0.0, False, attn_mask=bias2, scale=scale)
        # The kernel gives a row without open keys the output 0 and the log-sum-exp 0, where -inf is meant. A finite
        # stand-in keeps rows that are closed in both at weight 1/2 of twice 0.
        lowest = torch.finfo(lse1.dtype).min / 4
        if closed1 is not None:
            lse1 = lse1.masked_fill(closed1, lowest)
        if closed2 is not None:
            lse2 = lse2.masked_fill(closed2, lowest)
        output = torch.lerp(out2, out1, torch.sigmoid(lse1 - lse2).to(out1.dtype).unsqueeze(-1))
        if any(ctx.needs_input_grad[:4]):
            lse = torch.logaddexp(lse1, lse2)
            ctx.save_for_backward(q, q_cross, k, v, bias1, bias2, output, lse.clamp(min=-1e30))
            ctx.scale = scale
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        q, q_cross, k, v, bias1, bias2, output, lse = ctx.saved_tensors
        backward = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward
        dq, dk, dv = backward(grad, q, k, v, output, lse, 0.0, False, attn_mask=bias1, scale=ctx.scale)
        dq_cross, dk2, dv2 = backward(grad, q_cross, k, v, output, lse, 0.0, False, attn_mask=bias2, scale=ctx.scale)
        return dq, dq_cross, dk.add_(dk2), dv.add_(dv2), None, None, None, None, None


def joined(
    q: Heads, q_cross: Heads, k: Heads, v: Heads, plan: AttentionPlan, scale: float, dropout_p: float = 0.0
) -> Heads:
    """One scaled_dot_product_attention of twice the width; disjoint masks and at most two languages a sample."""
    width = q.shape[-1]
    is_first = (plan.language_ids == plan.language_ids[:, :1])[:, None, :, None]
    queries = torch.cat([torch.where(is_first, q, q_cross), torch.where(is_first, q_cross, q)], dim=-1)
    longer = torch.cat([k, k[:, :, :1]], dim=2)
    # The copy of the first key pretends to be of the other language and so meets the other query.
    of_first = torch.cat([is_first, torch.zeros_like(is_first[:, :, :1])], dim=2)
    keys = torch.cat([longer.masked_fill(~of_first, 0.0), longer.masked_fill(of_first, 0.0)], dim=-1)
    values = nn.functional.pad(torch.cat([v, v[:, :, :1]], dim=2), (0, width))
    opened = torch.cat([plan.valid, plan.mixed[:, None]], dim=1)[:, None, None, :]
    rest = nn.functional.scaled_dot_product_attention(
        queries[:, :, 1:], keys, values, attn_mask=opened, dropout_p=dropout_p, scale=scale
    )[..., :width]
    # The first row is open in both terms everywhere: one query, twice the keys.
    both = torch.cat([plan.valid, plan.valid & plan.mixed[:, None]], dim=1)[:, None, None, :]
    first = nn.functional.scaled_dot_product_attention(
        torch.cat([q[:, :, :1], q_cross[:, :, :1]], dim=-1),
        torch.cat([nn.functional.pad(k, (0, width)), nn.functional.pad(k, (width, 0))], dim=2),
        nn.functional.pad(torch.cat([v, v], dim=2), (0, width)),
        attn_mask=both,
        dropout_p=dropout_p,
        scale=scale,
    )[..., :width]
    return torch.cat([first, rest], dim=2)

"""The two-query attention against plain attention: forward, and forward with backward."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.timing import Section, ratios
from xlprobe.encoders.attention import cross_query_attention
from xlprobe.encoders.attention_fused import attend
from xlprobe.encoders.configuration import CrossQueryBertConfig
from xlprobe.encoders.plan import AttentionPlan, make_plan

BATCH, HEADS, WIDTH = 32, 12, 64
FORWARD, BACKWARD = 2.2, 2.4
EN, FR = 149, 180
Form = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


def inputs(length: int, batch: int, device: str = "cpu", dtype: torch.dtype = torch.float32) -> tuple[Tensor, ...]:
    """q, q_cross, k, v: (batch, head, position, d), transposed views as in an encoder."""
    generator = torch.Generator().manual_seed(0)
    shape = (batch, length, HEADS, WIDTH)
    made = (torch.randn(shape, generator=generator) for _ in range(4))
    return tuple(tensor.to(device, dtype).transpose(1, 2) for tensor in made)


def plan_of(length: int, batch: int, p_mask: float, device: str = "cpu") -> AttentionPlan:
    """Every sample code-switched: two thirds context, one third question, no padding."""
    ids = torch.full((batch, length), EN)
    ids[:, 2 * length // 3 :] = FR
    config = CrossQueryBertConfig(q_p_mask=p_mask, cross_p_mask=p_mask)
    generator = torch.Generator().manual_seed(0)
    return make_plan(config, ids.to(device), None, None, True, generator)


def logaddexp_form(plan: AttentionPlan) -> Form:
    """softmax(logaddexp(s1, s2)) v, the obvious way to write it."""

    def form(q: Tensor, q_cross: Tensor, k: Tensor, v: Tensor) -> Tensor:
        m1, m2 = (mask[:, None] for mask in plan.masks)
        keys, scale = k.transpose(-1, -2), q.shape[-1] ** -0.5
        lowest = torch.finfo(q.dtype).min
        s1 = (q @ keys * scale).masked_fill(~m1, lowest)
        s2 = (q_cross @ keys * scale).masked_fill(~m2, lowest)
        return torch.softmax(torch.logaddexp(s1, s2), dim=-1) @ v

    return form


def released_form(plan: AttentionPlan) -> Form:
    """The order of steps in the released code: exponentials, masks of numbers, one sum, and a division."""

    def form(q: Tensor, q_cross: Tensor, k: Tensor, v: Tensor) -> Tensor:
        m1, m2 = (mask[:, None].to(q.dtype) for mask in plan.masks)
        keys, scale = k.transpose(-1, -2), q.shape[-1] ** -0.5
        s1 = torch.matmul(q, keys) * scale + (1 - m1) * -10000.0
        s2 = torch.matmul(q_cross, keys) * scale + (1 - m2) * -10000.0
        shift = torch.maximum(s1.amax(-1, keepdim=True), s2.amax(-1, keepdim=True)).detach()
        e1, e2 = torch.exp(s1 - shift) * m1, torch.exp(s2 - shift) * m2
        return torch.matmul((e1 + e2) / (e1 + e2).sum(-1, keepdim=True), v)

    return form


def forms(plan: AttentionPlan, dtype: torch.dtype) -> dict[str, Form]:
    """Return every way to attend, the plain attention first."""
    scale = WIDTH**-0.5
    # Masks are made once per forward pass of an encoder, not per layer: before the clock starts.
    _ = plan.masks, plan.biases(dtype), plan.closed_rows
    return {
        "plain attention": lambda q, q_cross, k, v: nn.functional.scaled_dot_product_attention(q, k, v),
        "two queries": lambda q, q_cross, k, v: attend(q, q_cross, k, v, plan, scale),
        "two plain attentions": lambda q, q_cross, k, v: (
            nn.functional.scaled_dot_product_attention(q, k, v)
            + nn.functional.scaled_dot_product_attention(q_cross, k, v)
        ),
        "side by side": lambda q, q_cross, k, v: cross_query_attention(q, q_cross, k, v, *plan.masks),
        "logaddexp": logaddexp_form(plan),
        "released form": released_form(plan),
    }


def calls(plan: AttentionPlan, given: tuple[Tensor, ...], backward: bool) -> dict[str, Callable[[], Any]]:
    """Return calls to be timed."""
    found: dict[str, Callable[[], Any]] = {}
    leaves = [tensor.detach().requires_grad_(backward) for tensor in given]
    weights = torch.ones_like(given[0])
    for name, form in forms(plan, given[0].dtype).items():

        def forward(form: Form = form) -> Any:
            with torch.inference_mode():
                return form(*given)

        def both(form: Form = form) -> Any:
            return torch.autograd.grad(form(*leaves), leaves, weights, allow_unused=True)

        found[name] = both if backward else forward
    return found


def run(quick: bool = False) -> Section:
    """Measure both directions at lengths 128 and 512, masks disjoint and drawn."""
    section = Section(
        "Attention with two queries",
        f"Against one plain scaled_dot_product_attention without masks; {HEADS} heads of {WIDTH}, fp32. The limit is "
        "the row *two plain attentions*. Disjoint masks are those of evaluation, drawn ones those of training.",
    )
    for length, batch in ((128, 4 if quick else BATCH), (512, 1 if quick else 8)):
        given = inputs(length, batch)
        for p_mask, kind in ((1.0, "disjoint"), (0.5, "drawn")):
            plan = plan_of(length, batch, p_mask)
            for backward, target in ((False, FORWARD), (True, BACKWARD)):
                what = "forward and backward" if backward else "forward"
                section.rows += ratios(
                    calls(plan, given, backward),
                    targets={"two queries": target},
                    prefix=f"length {length}, {kind} masks, {what}: ",
                    repeats=5 if quick else 7,
                    at_least=0.02 if quick else 0.05,
                )
    return section

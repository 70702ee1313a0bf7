"""The self-attention module with Q_cross, to be mixed into an encoder's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from xlprobe.encoders.attention import bias_of, in_parts, joint_softmax, scores_of
from xlprobe.encoders.attention_fused import attend
from xlprobe.encoders.attention_hooked import asked_for
from xlprobe.encoders.pairs import canonical_pair
from xlprobe.encoders.plan import AttentionPlan
from xlprobe.encoders.points import (
    CROSS_POINTS,
    Points,
    by_parts,
    fire,
    fire_by_position,
    is_hooked,
    points_of,
    wants_probabilities,
)
from xlprobe.errors import CaptureError

__all__ = ["CrossQuerySelfAttention"]


class CrossQuerySelfAttention(nn.Module):
    """Self-attention with two queries and one set of keys and values; goes before the encoder's class in the bases.

    A batch without code-switched samples runs the encoder's own attention: Q alone, Q_cross never touched.
    """

    if TYPE_CHECKING:
        query: nn.Linear
        key: nn.Linear
        value: nn.Linear
        dropout: nn.Dropout
        scaling: float
        attention_head_size: int
        config: Any

    def __init__(self, config: Any, is_causal: bool = False, layer_idx: int | None = None) -> None:
        super().__init__(config, is_causal=is_causal, layer_idx=layer_idx)  # type: ignore[call-arg]
        width = self.query.in_features, self.query.out_features
        if config.pairs is None:
            self.cross_lingual_query = nn.Linear(*width)
        else:
            names = sorted({canonical_pair(pair) for pair in config.pairs})
            self.cross_lingual_queries = nn.ModuleDict({name: nn.Linear(*width) for name in names})

    def cross_queries(self) -> dict[str, nn.Linear]:
        """Return the Q_cross by language pair; the shared one has the name "shared"."""
        if hasattr(self, "cross_lingual_query"):
            return {"shared": self.cross_lingual_query}
        return dict(self.cross_lingual_queries.items())  # type: ignore[arg-type]

    def forward(
        self,
        hidden_states: Float[Tensor, "batch position width"],
        attention_mask: Tensor | None = None,
        past_key_values: Any = None,
        cross_query_plan: AttentionPlan | None = None,
        **kwargs: Any,
    ) -> tuple[Tensor, Tensor | None]:
        """Return the heads' joined outputs (batch, position, width), and P where it was asked for."""
        plan = cross_query_plan
        if plan is None:
            raise CaptureError(
                "a cross-query attention layer was run on its own; run the whole encoder, which tells its layers the "
                "language of every token"
            )
        points = points_of(self)
        asked = asked_for(self, kwargs)
        if not plan.any_mixed and not _watches_cross(points) and not asked:
            return super().forward(hidden_states, attention_mask, past_key_values, **kwargs)  # type: ignore[misc]
        q, k, v = (self._heads(linear(hidden_states)) for linear in (self.query, self.key, self.value))
        q, k, v = (
            fire_by_position(points, name, tensor) for name, tensor in (("hook_q", q), ("hook_k", k), ("hook_v", v))
        )
        q_cross = fire_by_position(points, "hook_q_cross", self._heads(self._project_cross(hidden_states, plan)))
        dropout_p = self.dropout.p if self.training else 0.0
        pattern = None
        if wants_probabilities(points) or asked:
            pattern = self._pattern(q, q_cross, k, plan, points)
            output = torch.matmul(nn.functional.dropout(pattern, p=dropout_p, training=self.training), v)
        else:
            output = attend(q, q_cross, k, v, plan, self.scaling, dropout_p)
        output = fire(points, "hook_z", output.transpose(1, 2))
        return output.reshape(*hidden_states.shape[:-1], -1), pattern

    def _heads(self, projected: Tensor) -> Tensor:
        return projected.unflatten(-1, (-1, self.attention_head_size)).transpose(1, 2)

    def _project_cross(self, hidden_states: Tensor, plan: AttentionPlan) -> Tensor:
        if hasattr(self, "cross_lingual_query"):
            return self.cross_lingual_query(hidden_states)
        if len(plan.pair_rows) == 1:
            name, rows = next(iter(plan.pair_rows.items()))
            if len(rows) == len(hidden_states):
                return self.cross_lingual_queries[name](hidden_states)
        parts = [(rows, self.cross_lingual_queries[name](hidden_states[rows])) for name, rows in plan.pair_rows.items()]
        dtype = parts[0][1].dtype if parts else hidden_states.dtype
        projected = torch.zeros(
            (*hidden_states.shape[:-1], self.query.out_features), dtype=dtype, device=hidden_states.device
        )
        for rows, part in parts:
            projected = projected.index_copy(0, rows, part)
        return projected

    def _pattern(
        self, q: Tensor, q_cross: Tensor, k: Tensor, plan: AttentionPlan, points: Points | None
    ) -> Float[Tensor, "batch head query key"]:
        """Compute P explicitly, every step through its hook point."""
        if by_parts(points, q):
            terms = self._terms_by_parts(q, q_cross, k, plan, points)
        else:
            bias1, bias2 = (bias_of(mask[:, None], q.dtype) for mask in plan.masks)
            s1 = fire(points, "hook_attn_scores", scores_of(q, k, self.scaling, bias1))
            s2 = fire(points, "hook_attn_scores_cross", scores_of(q_cross, k, self.scaling, bias2))
            terms = joint_softmax(s1, s2)
        if len(terms) == 2:
            mono = fire(points, "hook_pattern_mono", terms[0])
            cross = fire(points, "hook_pattern_cross", terms[1])
            # Where nobody looks at the first term, the sum takes its place in memory.
            watched = points is not None and is_hooked(points["hook_pattern_mono"])
            pattern = mono + cross if watched or torch.is_grad_enabled() else mono.add_(cross)
            return fire(points, "hook_pattern", pattern)
        return fire(points, "hook_pattern", terms[0])

    def _terms_by_parts(
        self, q: Tensor, q_cross: Tensor, k: Tensor, plan: AttentionPlan, points: Points | None
    ) -> tuple[Tensor, ...]:
        """Compute both terms of P, or, where nobody looks at them, P alone; a few samples at a time."""
        apart = points is not None and any(is_hooked(points[f"hook_pattern_{term}"]) for term in ("mono", "cross"))
        found = tuple(q.new_empty(*q.shape[:3], k.shape[2]) for _ in range(2 if apart else 1))
        for samples, parts in in_parts(q, k):
            bias1, bias2 = (bias_of(mask[samples, None], q.dtype) for mask in plan.masks)
            for heads in parts:
                some = samples, heads
                s1 = scores_of(q[some], k[some], self.scaling, bias1)
                s2 = scores_of(q_cross[some], k[some], self.scaling, bias2)
                mono, cross = joint_softmax(s1, s2)
                if apart:
                    found[0][some], found[1][some] = mono, cross
                else:
                    torch.add(mono, cross, out=found[0][some])
        return found


def _watches_cross(points: Points | None) -> bool:
    return points is not None and any(is_hooked(points[name]) for name in CROSS_POINTS)

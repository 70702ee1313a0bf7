"""The self-attention with Q_cross, its hook points included, and the module that BERT and XLM-R have it in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from xlprobe.encoders.attention import bias_of, for_each_head, in_parts, joint_softmax, scores_of
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

__all__ = ["CrossQueries", "CrossQuerySelfAttention", "needs_both", "two_query_attention"]


class CrossQueries(nn.Module):
    """What has cross-lingual queries: a shared one, or one for each pair of languages."""

    def add_cross_queries(self, query: nn.Linear, width: int, pairs: list[str] | None) -> None:
        """Add untrained ones that read what `query` reads, `width` features each."""
        like: dict[str, Any] = {"bias": query.bias is not None, "device": query.weight.device}
        like["dtype"] = query.weight.dtype
        if pairs is None:
            self.cross_lingual_query = nn.Linear(query.in_features, width, **like)
        else:
            names = sorted({canonical_pair(pair) for pair in pairs})
            made = {name: nn.Linear(query.in_features, width, **like) for name in names}
            self.cross_lingual_queries = nn.ModuleDict(made)

    def cross_queries(self) -> dict[str, nn.Linear]:
        """Return the Q_cross by language pair; the shared one has the name "shared"."""
        if hasattr(self, "cross_lingual_query"):
            return {"shared": self.cross_lingual_query}
        return dict(self.cross_lingual_queries.items())  # type: ignore[arg-type]

    def query_tensors(self) -> dict[str, Tensor]:
        """Return the weight, and the bias where there is one, of the query that Q_cross starts as a copy of."""
        raise NotImplementedError

    def project_cross(
        self, hidden_states: Float[Tensor, "batch position width"], plan: AttentionPlan
    ) -> Float[Tensor, "batch position features"]:
        """Project each sample by the Q_cross of its languages; zeros for samples that need none of those of pairs."""
        queries = self.cross_queries()
        if "shared" in queries:
            return queries["shared"](hidden_states)  # type: ignore[no-any-return]
        if len(plan.pair_rows) == 1:
            name, rows = next(iter(plan.pair_rows.items()))
            if len(rows) == len(hidden_states):
                return queries[name](hidden_states)  # type: ignore[no-any-return]
        projections = [(rows, queries[name](hidden_states[rows])) for name, rows in plan.pair_rows.items()]
        dtype = projections[0][1].dtype if projections else hidden_states.dtype
        width = next(iter(queries.values())).out_features
        projected = torch.zeros((*hidden_states.shape[:-1], width), dtype=dtype, device=hidden_states.device)
        for rows, projection in projections:
            projected = projected.index_copy(0, rows, projection)
        return projected


class CrossQuerySelfAttention(CrossQueries):
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
        self.add_cross_queries(self.query, self.query.out_features, config.pairs)

    def query_tensors(self) -> dict[str, Tensor]:
        """Return the weight and the bias of the query."""
        return dict(self.query.named_parameters())

    def forward(
        self,
        hidden_states: Float[Tensor, "batch position width"],
        attention_mask: Tensor | None = None,
        past_key_values: Any = None,
        cross_query_plan: AttentionPlan | None = None,
        **kwargs: Any,
    ) -> tuple[Tensor, Tensor | None]:
        """Return the heads' joined outputs (batch, position, width), and P where it was asked for."""
        asked = asked_for(self, kwargs)
        if not needs_both(self, cross_query_plan) and not asked:
            return super().forward(hidden_states, attention_mask, past_key_values, **kwargs)  # type: ignore[misc]
        plan: Any = cross_query_plan
        q, k, v = (self._heads(linear(hidden_states)) for linear in (self.query, self.key, self.value))
        q_cross = self._heads(self.project_cross(hidden_states, plan))
        dropout_p = self.dropout.p if self.training else 0.0
        output, pattern = two_query_attention(self, q, q_cross, k, v, plan, self.scaling, dropout_p, asked)
        return output.reshape(*hidden_states.shape[:-1], -1), pattern

    def _heads(self, projected: Tensor) -> Tensor:
        return projected.unflatten(-1, (-1, self.attention_head_size)).transpose(1, 2)


def needs_both(module: nn.Module, plan: AttentionPlan | None) -> bool:
    """Whether a pass takes both queries: text is code-switched, or somebody looks at what Q_cross does."""
    if plan is None:
        raise CaptureError(
            "a cross-query attention layer was run on its own; run the whole encoder, which tells its layers the "
            "language of every token"
        )
    points = points_of(module)
    return plan.any_mixed or (points is not None and any(is_hooked(points[name]) for name in CROSS_POINTS))


def two_query_attention(
    module: nn.Module,
    q: Float[Tensor, "batch head position d"],
    q_cross: Float[Tensor, "batch head position d"],
    k: Float[Tensor, "batch group position d"],
    v: Float[Tensor, "batch group position d"],
    plan: AttentionPlan,
    scale: float,
    dropout_p: float,
    asked: bool = False,
) -> tuple[Float[Tensor, "batch position head d"], Float[Tensor, "batch head position position"] | None]:
    """Attend with two queries, every step through the module's hook points; return the output, and P where `asked`.

    Several heads may share a group's key and value.
    """
    points = points_of(module)
    q, k, v, q_cross = (
        fire_by_position(points, name, tensor)
        for name, tensor in (("hook_q", q), ("hook_k", k), ("hook_v", v), ("hook_q_cross", q_cross))
    )
    k, v = (for_each_head(tensor, q.shape[1]) for tensor in (k, v))
    pattern = None
    if wants_probabilities(points) or asked:
        pattern = _pattern(points, q, q_cross, k, plan, scale)
        output = torch.matmul(nn.functional.dropout(pattern, p=dropout_p, training=dropout_p > 0), v)
    else:
        output = attend(q, q_cross, k, v, plan, scale, dropout_p)
    return fire(points, "hook_z", output.transpose(1, 2)), pattern


def _pattern(
    points: Points | None, q: Tensor, q_cross: Tensor, k: Tensor, plan: AttentionPlan, scale: float
) -> Float[Tensor, "batch head query key"]:
    """Compute P explicitly, every step through its hook point."""
    if by_parts(points, q):
        terms = _terms_by_parts(points, q, q_cross, k, plan, scale)
    else:
        bias1, bias2 = (bias_of(mask[:, None], q.dtype) for mask in plan.openable_masks)
        s1 = fire(points, "hook_attn_scores", scores_of(q, k, scale, bias1))
        s2 = fire(points, "hook_attn_scores_cross", scores_of(q_cross, k, scale, bias2))
        terms = joint_softmax(s1, s2)
    if plan.has_closed_rows:
        closed = plan.rows_closed_in_both[:, :, :, None]
        terms = tuple(term.masked_fill(closed, 0.0) for term in terms)
    if len(terms) == 2:
        mono = fire(points, "hook_pattern_mono", terms[0])
        cross = fire(points, "hook_pattern_cross", terms[1])
        # Where nobody looks at the first term, the sum takes its place in memory.
        watched = points is not None and is_hooked(points["hook_pattern_mono"])
        pattern = mono + cross if watched or torch.is_grad_enabled() else mono.add_(cross)
        return fire(points, "hook_pattern", pattern)
    return fire(points, "hook_pattern", terms[0])


def _terms_by_parts(
    points: Points | None, q: Tensor, q_cross: Tensor, k: Tensor, plan: AttentionPlan, scale: float
) -> tuple[Tensor, ...]:
    """Compute both terms of P, or, where nobody looks at them, P alone; a few samples at a time."""
    apart = points is not None and any(is_hooked(points[f"hook_pattern_{term}"]) for term in ("mono", "cross"))
    terms = tuple(q.new_empty(*q.shape[:3], k.shape[2]) for _ in range(2 if apart else 1))
    for samples, slices in in_parts(q, k):
        bias1, bias2 = (bias_of(mask[samples, None], q.dtype) for mask in plan.openable_masks)
        for heads in slices:
            some = samples, heads
            s1 = scores_of(q[some], k[some], scale, bias1)
            s2 = scores_of(q_cross[some], k[some], scale, bias2)
            mono, cross = joint_softmax(s1, s2)
            if apart:
                terms[0][some], terms[1][some] = mono, cross
            else:
                torch.add(mono, cross, out=terms[0][some])
    return terms

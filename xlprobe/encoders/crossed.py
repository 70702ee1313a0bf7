"""Q_cross in an attention module that keeps its own forward pass, whatever it does to its query.

The query's projection hands on twice as many heads: those of Q, then those of Q_cross. So the module itself gives both
the same norms and rotary positions, and the attention function that it calls finds them side by side.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from xlprobe.encoders.attention_hooked import asked_for, is_causal
from xlprobe.encoders.cross_attention import CrossQueries, needs_both, two_query_attention
from xlprobe.encoders.modules import attention_modules
from xlprobe.encoders.plan import AttentionPlan
from xlprobe.errors import CaptureError, CheckpointError

__all__ = ["CrossQueryAttention", "add_cross_queries"]

_CROSSED = "xlprobe_crossed"
"""The name of the attention function in transformers' attention interface."""
_UNKNOWN = {"softcap": "a cap on scores", "s_aux": "attention sinks", "position_bias": "a bias by position"}
"""What models hand to their attention function that changes the pattern, and that has no second term here."""


class _TwoQueries(CrossQueries, nn.Linear):
    """A projection of the query, alone or with keys and values after it, that can give Q_cross too."""

    rows: int
    """How many of the output's features are the query's."""
    plan: AttentionPlan | None = None
    """That of the pass in which both are wanted."""

    def query_tensors(self) -> dict[str, Tensor]:
        """Return the weight and the bias of the query."""
        return {name: tensor[: self.rows] for name, tensor in nn.Module.named_parameters(self, recurse=False)}

    def forward(self, hidden_states: Tensor) -> Tensor:
        """Project; with a plan, Q_cross's heads follow those of Q, and keys and values have as many."""
        projected = super().forward(hidden_states)
        if self.plan is None:
            return projected
        cross = self.project_cross(hidden_states, self.plan)
        if self.rows == self.out_features:
            return torch.cat([projected, cross], dim=-1)
        q, k, v = projected.chunk(3, dim=-1)
        return torch.cat([q, cross, k, k, v, v], dim=-1)


class CrossQueryAttention(nn.Module):
    """Self-attention with two queries and one set of keys and values; goes before a model's own class in the bases.

    A batch without code-switched samples runs the model's own attention: Q alone, Q_cross never touched.
    """

    if TYPE_CHECKING:
        config: Any

    @property
    def projection(self) -> _TwoQueries:
        """The projection that both queries come from."""
        return getattr(self, self.config.query_projection)  # type: ignore[no-any-return]

    def cross_queries(self) -> dict[str, nn.Linear]:
        """Return the Q_cross by language pair; the shared one has the name "shared"."""
        return self.projection.cross_queries()

    def query_tensors(self) -> dict[str, Tensor]:
        """Return the weight, and the bias where there is one, of the query."""
        return self.projection.query_tensors()

    def forward(self, *args: Any, cross_query_plan: AttentionPlan | None = None, **kwargs: Any) -> Any:
        """As the model's own."""
        if not needs_both(self, cross_query_plan):
            return super().forward(*args, **kwargs)  # type: ignore[misc]
        with self._both(cross_query_plan):
            return super().forward(*args, cross_query_plan=cross_query_plan, **kwargs)  # type: ignore[misc]

    @contextmanager
    def _both(self, plan: AttentionPlan | None) -> Iterator[None]:
        projection, config = self.projection, self.config
        crossed = copy.copy(config)
        crossed._attn_implementation_internal = _CROSSED  # the module's alone: other layers go on as they were
        projection.plan, self.config = plan, crossed
        try:
            yield
        finally:
            projection.plan, self.config = None, config


def add_cross_queries(encoder: Any, layers: list[int]) -> None:
    """Give the attention modules of these layers an untrained Q_cross each, in place.

    The configuration's `query_projection` names the linear layer of each module that makes its query. Raises
    `CheckpointError` where there is none.
    """
    name = encoder.config.query_projection
    if name is None:
        raise CheckpointError(
            f"got a {type(encoder).__name__} whose configuration does not say which layer makes its query; make it by "
            "xlprobe.encoders.to_cross_query(model), which finds out"
        )
    modules: list[Any] = list(attention_modules(encoder))
    for module in (modules[layer] for layer in layers):
        projection: Any = getattr(module, name, None)
        rows = encoder.config.num_attention_heads * int(getattr(module, "head_dim", 0) or _head_dim(encoder.config))
        if not isinstance(projection, nn.Linear) or projection.out_features not in (rows, 3 * rows):
            raise CheckpointError(
                f"got query_projection={name!r} for a {type(module).__name__}; expected its linear layer that makes "
                f"{rows} features of the query, or {3 * rows} of query, key and value"
            )
        both: Any = projection
        both.__class__ = _TwoQueries
        both.rows = rows
        both.add_cross_queries(both, rows, encoder.config.pairs)
        own: Any = type(module)
        module.__class__ = _crossed_class(own)


def _head_dim(config: Any) -> int:
    return int(getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads)


@cache
def _crossed_class(own: Any) -> type:
    return type(f"CrossQuery{own.__name__}", (CrossQueryAttention, own), {"__doc__": own.__doc__})


def _crossed_attention(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    cross_query_plan: AttentionPlan | None = None,
    **kwargs: Any,
) -> tuple[Tensor, Tensor | None]:
    """Attend with two queries, as transformers' attention interface expects it; `query` has the heads of both."""
    if unknown := [what for name, what in _UNKNOWN.items() if kwargs.get(name) is not None]:
        raise CaptureError(
            f"a {type(module).__name__} has {', '.join(unknown)}, which attention with two queries does not have here"
        )
    plan: Any = cross_query_plan
    if key.shape[2] != plan.valid.shape[1]:
        raise CaptureError("got keys of earlier passes; expected a whole text at once. Use use_cache=False")
    q, q_cross = query.chunk(2, dim=1)
    if module.projection.rows != module.projection.out_features:
        key, value = (tensor[:, : q.shape[1]] for tensor in (key, value))
    plan = plan.within(attention_mask, is_causal(module, kwargs.pop("is_causal", None)))
    scale = q.shape[-1] ** -0.5 if scaling is None else scaling
    return two_query_attention(module, q, q_cross, key, value, plan, scale, dropout, asked_for(module, kwargs))


def register() -> None:
    """Make transformers know the attention function."""
    from transformers import AttentionInterface

    AttentionInterface.register(_CROSSED, _crossed_attention)

"""Attention that a module computes by code of its own, run from the module's projections while somebody looks."""

from __future__ import annotations

from functools import partial
from typing import Any

from torch import Tensor, nn

from xlprobe.encoders.attention_hooked import hooked_attention
from xlprobe.errors import CaptureError

__all__ = ["has_projections", "run_from_projections"]

_PROJECTIONS = ("q_proj", "k_proj", "v_proj", "out_proj")


def has_projections(module: nn.Module) -> bool:
    """Whether a module has all that multi-head attention is made of: four linear layers, heads, and a scale."""
    linear = all(isinstance(getattr(module, name, None), nn.Linear) for name in _PROJECTIONS)
    return linear and all(hasattr(module, name) for name in ("num_heads", "head_dim", "scaling"))


def run_from_projections(module: nn.Module) -> Any:
    """Let a module attend with hook points; return what `modules.restore_forward` needs to undo it."""
    before = module.__dict__.get("forward")  # accelerate puts one there
    module.forward = partial(_attend, module)
    return before


def _attend(
    module: Any,
    hidden_states: Tensor,
    key_value_states: Tensor | None = None,
    past_key_values: Any = None,
    attention_mask: Tensor | None = None,
    **kwargs: Any,
) -> tuple[Tensor, Tensor | None]:
    if key_value_states is not None:
        raise CaptureError(f"got a {type(module).__name__} that attends to another text; expected self-attention")
    shape = (*hidden_states.shape[:2], module.num_heads, module.head_dim)
    query, key, value = (getattr(module, name)(hidden_states).view(shape).transpose(1, 2) for name in _PROJECTIONS[:3])
    if past_key_values is not None:
        key, value = past_key_values.update(key, value, module.layer_idx)
    output, pattern = hooked_attention(
        module, query, key, value, attention_mask, dropout=module.dropout if module.training else 0.0,
        scaling=module.scaling, **kwargs,
    )  # fmt: skip
    return module.out_proj(output.flatten(2)), pattern

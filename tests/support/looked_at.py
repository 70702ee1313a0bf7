"""A model that is looked at by hooks, and what transformers' eager attention shows of it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from xlprobe.encoders.hooks import observe


def patterns(model: Any, inputs: dict[str, Tensor], layers: int = 3) -> tuple[Any, list[Tensor]]:
    """Return a model's output while hooks look at the patterns of its layers, and the patterns."""
    seen: dict[str, Tensor] = {}
    names = [f"blocks.{layer}.attn.hook_pattern" for layer in range(layers)]
    with torch.no_grad(), observe(model, dict.fromkeys(names, lambda t, hook: seen.update({hook.name: t}))):
        output = model(**inputs)
    return output, [seen[name] for name in names]


def eager(model: Any, inputs: dict[str, Tensor]) -> Any:
    """Return the output of a copy with eager attention: with its patterns and hidden states."""
    twin = type(model)(model.config).eval()
    twin.load_state_dict(model.state_dict())
    twin.set_attn_implementation("eager")
    with torch.no_grad():
        return twin(**inputs, output_attentions=True, output_hidden_states=True)

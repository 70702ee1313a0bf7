"""Where the parts of an encoder are, found by what its modules can do, not by the model's name."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from xlprobe.encoders.modules import attention_modules, network_of, unwrapped
from xlprobe.encoders.probe import output_of, probe_inputs, probing
from xlprobe.encoders.switch import hook_points

__all__ = ["Layout", "layout_of", "output_weight", "position_limit", "token_type_count"]

_UNLIMITED = 10**9
"""For models that say no limit: relative positions without a table."""
_LONG = 160
"""Tokens of a text that is longer than the windows of today's encoders (128)."""


@dataclass(frozen=True)
class Layout:
    """What the attention of an encoder is made of, layer by layer.

    `heads` and `groups`: query heads, and the keys and values that they share (as many for most encoders). `outputs`:
    the projection after the heads, None where no linear layer takes their joined outputs. `causal`: whether no token
    attends to a later one. `windows`: the farthest distance attended to, None where every token sees every other.
    """

    heads: int
    groups: int
    outputs: tuple[nn.Module | None, ...]
    causal: bool
    windows: tuple[int | None, ...]


_LAYOUTS: WeakKeyDictionary[nn.Module, Layout] = WeakKeyDictionary()


def layout_of(model: nn.Module) -> Layout:
    """Return the layout of an encoder; found by one pass over a made-up text, and kept.

    Raises `CaptureError` as `attention_modules`.
    """
    encoder = network_of(model)
    if encoder not in _LAYOUTS:
        _LAYOUTS[encoder] = _traced(model)
    return _LAYOUTS[encoder]


def output_weight(module: nn.Module | None) -> Float[Tensor, "width heads_width"] | None:
    """Return the weight of a projection, output features first; None without one."""
    if module is None:
        return None
    weight: Any = module.weight
    return weight.detach() if isinstance(module, nn.Linear) else weight.detach().T


def position_limit(model: nn.Module) -> int:
    """Return how many tokens a model can read at a time, special tokens included.

    A table of positions that has a padding row is numbered from the row after it (RoBERTa, XLM-R, CamemBERT: 514 rows,
    512 tokens). Models that rotate their positions have no table; theirs is what the configuration says.
    """
    config: Any = unwrapped(model).config
    positions = int(getattr(config, "max_position_embeddings", None) or _UNLIMITED)
    for name, module in model.named_modules():
        if name.rsplit(".", 1)[-1] == "position_embeddings" and isinstance(module, nn.Embedding):
            used_up = 0 if module.padding_idx is None else module.padding_idx + 1
            return min(positions, module.num_embeddings) - used_up
    return positions


def token_type_count(model: nn.Module) -> int:
    """Return how many token types a model knows; 0 where it takes none."""
    model = unwrapped(model)
    if "token_type_ids" not in inspect.signature(type(model).forward).parameters:
        return 0
    config: Any = model.config
    return int(getattr(config, "type_vocab_size", 0) or 0)


def _traced(model: nn.Module) -> Layout:
    layers = range(len(attention_modules(model)))
    points = hook_points(model)
    seen: dict[str, list[Tensor]] = {name: [] for name in ("hook_q", "hook_k", "hook_pattern", "hook_z")}
    outputs: list[nn.Module | None] = [None for _ in layers]
    waiting: list[tuple[int, Tensor]] = []

    def keep(name: str, layer: int) -> Any:
        def hook(tensor: Tensor, hook: Any = None) -> None:
            seen[name].append(tensor)
            if name == "hook_z":
                waiting[:] = [(layer, tensor.flatten(-2))]

        return hook

    def projected(module: nn.Module, args: tuple[Any, ...]) -> None:
        if waiting and args and args[0].shape == waiting[0][1].shape and torch.equal(args[0], waiting[0][1]):
            outputs[waiting.pop()[0]] = module

    handles: list[Any] = []
    try:
        for layer in layers:
            for name in seen:
                point = points[f"blocks.{layer}.attn.{name}"]
                handles.append(point.register_forward_hook(_as_hook(keep(name, layer))))
        for module in model.modules():
            if isinstance(module, (nn.Linear, Conv1D)):
                handles.append(module.register_forward_pre_hook(projected))
        with probing(model):
            output_of(model, probe_inputs(model, [min(_LONG, position_limit(model))]))
    finally:
        for handle in handles:
            handle.remove()
    modules = attention_modules(model)
    windows = [_farthest(one, module) for one, module in zip(seen["hook_pattern"], modules, strict=True)]
    causal = all(bool((pattern.triu(1) == 0).all()) for pattern in seen["hook_pattern"])
    heads, groups = seen["hook_q"][0].shape[2], seen["hook_k"][0].shape[2]
    return Layout(heads, groups, tuple(outputs), causal, tuple(windows))


def _as_hook(take: Any) -> Any:
    return lambda module, args, output: take(output)


def _farthest(pattern: Tensor, module: nn.Module) -> int | None:
    """Return how far back the last token looks; None if to the first, and the module has no longer window."""
    reached = int((pattern[0, :, -1] > 0).any(dim=0).nonzero()[0])
    declared = getattr(module, "sliding_window", None)
    if reached == 0:
        return declared - 1 if isinstance(declared, int) and declared > pattern.shape[-1] else None
    return pattern.shape[-1] - 1 - reached

"""Hook points: where an activation passes by, and who listens there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from transformer_lens.hook_points import HookPoint

__all__ = [
    "CROSS_POINTS",
    "EXPLICIT_POINTS",
    "PLAIN_POINTS",
    "ByRows",
    "Points",
    "by_parts",
    "by_rows",
    "fire",
    "fire_by_position",
    "is_hooked",
    "make_points",
    "next_layer",
    "points_of",
    "start_over",
    "taking_rows",
    "wants_probabilities",
]

PLAIN_POINTS = ("hook_q", "hook_k", "hook_v", "hook_z", "hook_attn_scores", "hook_pattern")
CROSS_POINTS = ("hook_q_cross", "hook_attn_scores_cross", "hook_pattern_mono", "hook_pattern_cross")
EXPLICIT_POINTS = frozenset(
    {"hook_attn_scores", "hook_pattern", "hook_attn_scores_cross", "hook_pattern_mono", "hook_pattern_cross"}
)
"""Points that exist only when the probabilities are computed explicitly."""

Points = dict[str, "HookPoint"]
_POINTS: WeakKeyDictionary[nn.Module, list[Points]] = WeakKeyDictionary()
"""The points of each attention module: one set, or several where layers share the module."""
_TURNS: WeakKeyDictionary[nn.Module, int] = WeakKeyDictionary()
"""For shared modules, how often each was called in this forward pass."""


def make_points(modules: list[nn.Module]) -> list[Points]:
    """Return the points of each layer's attention module, made where there were none."""
    from transformer_lens.hook_points import HookPoint

    points: list[Points] = []
    seen: dict[int, int] = {}
    for module in modules:
        turn = seen[id(module)] = seen.get(id(module), -1) + 1
        layers = _POINTS.setdefault(module, [])
        if turn == len(layers):
            crossed = hasattr(module, "cross_queries")
            layers.append({name: HookPoint() for name in PLAIN_POINTS + (CROSS_POINTS if crossed else ())})
        points.append(layers[turn])
    return points


def points_of(module: nn.Module) -> Points | None:
    """Return the hook points of an attention module in its present layer, if any of them has a hook; else None."""
    layers = _POINTS.get(module)
    if layers is None:
        return None
    points = layers[_TURNS.get(module, 0) % len(layers)]
    return points if any(map(is_hooked, points.values())) else None


def next_layer(module: nn.Module) -> None:
    """Note that a module was called; where layers share it, the next call is the next layer's."""
    if len(_POINTS.get(module, ())) > 1:
        _TURNS[module] = _TURNS.get(module, 0) + 1


def start_over(modules: list[nn.Module]) -> None:
    """Note that a forward pass begins."""
    for module in modules:
        _TURNS.pop(module, None)


def is_hooked(point: HookPoint) -> bool:
    """Whether a point has a forward or backward hook at this moment."""
    return bool(point._forward_hooks or point._backward_hooks)


def wants_probabilities(points: Points | None) -> bool:
    """Whether any hook of a module needs scores or pattern, so that the fused kernel cannot be used."""
    return points is not None and any(is_hooked(points[name]) for name in EXPLICIT_POINTS & points.keys())


def by_parts(points: Points | None, query: Tensor) -> bool:
    """Whether patterns may be computed a few samples at a time: on the CPU, and nobody asks for scores or gradients."""
    scores = [] if points is None else [points[name] for name in points if name.startswith("hook_attn_scores")]
    return query.device.type == "cpu" and not torch.is_grad_enabled() and not any(map(is_hooked, scores))


RowsTaken = Callable[[int, Tensor], None]
"""Takes the pattern of some queries: the number of the first, and (batch, head, query, key)."""


@dataclass(frozen=True)
class ByRows:
    """Asks a layer for its pattern some queries at a time: none is ever whole in memory."""

    queries: int
    take: RowsTaken


_BY_ROWS: WeakKeyDictionary[nn.Module, list[ByRows]] = WeakKeyDictionary()


def by_rows(module: nn.Module) -> ByRows | None:
    """Return what the present layer of an attention module was asked for, if it was."""
    asked = _BY_ROWS.get(module)
    return asked[_TURNS.get(module, 0) % len(asked)] if asked else None


@contextmanager
def taking_rows(modules: Sequence[nn.Module], asked: Sequence[ByRows]) -> Iterator[None]:
    """Ask each layer's attention module for its pattern by rows, for the length of a `with` block."""
    try:
        for module, one in zip(modules, asked, strict=True):
            _BY_ROWS.setdefault(module, []).append(one)
        yield
    finally:
        for module in modules:
            _BY_ROWS.pop(module, None)


def fire(points: Points | None, name: str, tensor: Tensor) -> Tensor:
    """Pass an activation through its hook point; untouched where nobody listens."""
    if points is None or not is_hooked(points[name]):
        return tensor
    return points[name](tensor)


def fire_by_position(points: Points | None, name: str, tensor: Tensor) -> Tensor:
    """As `fire`, for a (batch, head, position, d_head) tensor that hooks see as (batch, position, head, d_head)."""
    if points is None or not is_hooked(points[name]):
        return tensor
    return points[name](tensor.transpose(1, 2)).transpose(1, 2)

"""Checks of the layers and heads that an intervention names."""

from __future__ import annotations

from collections.abc import Iterable

from torch import nn

from xlprobe.encoders.hooks import attention_modules
from xlprobe.encoders.layout import layout_of
from xlprobe.errors import CaptureError

__all__ = ["checked_heads", "checked_layers", "heads_by_layer"]


def checked_layers(model: nn.Module, layers: Iterable[int] | None) -> tuple[int, ...]:
    """Return the layers to act on (None: all); raises `CaptureError` on one that the model does not have."""
    count = len(attention_modules(model))
    chosen = tuple(range(count)) if layers is None else tuple(dict.fromkeys(int(layer) for layer in layers))
    wrong = [layer for layer in chosen if not 0 <= layer < count]
    if wrong:
        raise CaptureError(f"got the layers {wrong}; expected 0 to {count - 1}, counted from 0")
    return chosen


def checked_heads(model: nn.Module, heads: Iterable[int] | None) -> tuple[int, ...] | None:
    """Return the heads to act on in each layer (None: all); raises `CaptureError` on one that does not exist."""
    if heads is None:
        return None
    count = layout_of(model).heads
    chosen = tuple(dict.fromkeys(int(head) for head in heads))
    wrong = [head for head in chosen if not 0 <= head < count]
    if wrong:
        raise CaptureError(f"got the heads {wrong}; expected 0 to {count - 1}, counted from 0")
    return chosen


def heads_by_layer(model: nn.Module, heads: Iterable[tuple[int, int]]) -> dict[int, list[int]]:
    """Group (layer, head) pairs by layer; raises `CaptureError` on one that does not exist."""
    grouped: dict[int, list[int]] = {}
    for layer, head in heads:
        checked_layers(model, [layer])
        checked_heads(model, [head])
        grouped.setdefault(int(layer), []).append(int(head))
    return grouped

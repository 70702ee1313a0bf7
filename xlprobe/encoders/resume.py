"""Passes that begin where an intervention does: the layers below it return what they returned without it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from xlprobe.encoders.modules import layer_modules, restore_forward

__all__ = ["keep_layers", "resume_at"]


@contextmanager
def keep_layers(model: nn.Module) -> Iterator[list[Any]]:
    """Keep what each layer returns in the pass within the `with` block, first layer first.

    Nothing is kept of a model whose layers share modules: how often a module was called there says which layer it is,
    so none of its calls can be left out.
    """
    kept: list[Any] = []
    layers = layer_modules(model)
    alone = layers if len(set(layers)) == len(layers) else []
    handles = [layer.register_forward_hook(lambda module, args, output: kept.append(_copy(output))) for layer in alone]
    try:
        yield kept
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def resume_at(model: nn.Module, kept: Sequence[Any], first: int) -> Iterator[None]:
    """Let the layers before `first` (from 0) return what was kept of the same inputs instead of computing it again.

    For the length of a `with` block in which nothing below layer `first` is edited. Where nothing was kept, all layers
    are computed.
    """
    below = list(zip(layer_modules(model), kept, strict=False))[:first]  # nothing is kept where layers share modules
    before = [vars(layer).get("forward") for layer, _ in below]
    try:
        for layer, output in below:
            layer.forward = _returning(output)
        yield
    finally:
        for (layer, _), own in zip(below, before, strict=True):
            restore_forward(layer, own)


def _returning(output: Any) -> Callable[..., Any]:
    # A copy, because a layer may add to its input in place.
    return lambda *args, **kwargs: _copy(output)


def _copy(output: Any) -> Any:
    if isinstance(output, tuple):
        return tuple(map(_copy, output))
    return output.detach().clone() if isinstance(output, Tensor) else output

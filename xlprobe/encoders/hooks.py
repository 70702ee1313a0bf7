"""Hook points on the attention of any encoder that transformers dispatches through its attention interface.

`hook_points(model)` gives one TransformerLens `HookPoint` per activation. They cost nothing while nobody listens:
a forward pass looks once whether any point has a hook, and only then switches transformers to attention with hook
points, for the length of that pass. A layer whose scores or pattern have no hook keeps the fused kernel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from xlprobe.encoders.modules import attention_modules, layer_modules, network_of
from xlprobe.encoders.points import CROSS_POINTS, PLAIN_POINTS, Points
from xlprobe.encoders.selfcheck import check_hooks
from xlprobe.encoders.switch import hook_points, put_back
from xlprobe.errors import CaptureError

__all__ = ["CROSS_POINTS", "PLAIN_POINTS", "attention_modules", "hook_points", "observe", "observe_hidden"]


@contextmanager
def observe(model: nn.Module, hooks: dict[str, Any] | Iterable[tuple[str, Any]]) -> Iterator[Points]:
    """Attach hooks for the length of a `with` block: `{"blocks.0.attn.hook_pattern": lambda tensor, hook: ...}`.

    A hook that returns None only looks; one that returns a tensor replaces the activation. All are removed at the
    end, after an exception too. In training with gradient checkpointing the backward pass belongs into the block: it
    runs the layers, and their hooks, again. Before the first hook the model is checked (see `selfcheck`). Raises
    `CaptureError` for a model that fails, and for a name that the model does not have.
    """
    points = hook_points(model)
    items = list(hooks.items() if isinstance(hooks, dict) else hooks)
    unknown = sorted({name for name, _ in items} - points.keys())
    if unknown:
        known = ", ".join(name for name in points if name.startswith("blocks.0."))
        raise CaptureError(
            f"unknown hook points {unknown}; of {len(attention_modules(model))} layers the first has {known}"
        )
    check_hooks(model)
    handles = []
    try:
        for name, hook in items:
            handles.append((points[name], points[name].add_hook(hook)))
        yield points
    finally:
        for point, handle in handles:
            handle.hook.remove()
            if handle in point.fwd_hooks:
                point.fwd_hooks.remove(handle)
        put_back(model)


@contextmanager
def observe_hidden(model: nn.Module, take: Callable[[int, Tensor], None]) -> Iterator[None]:
    """Hand hidden states on as they come, for the length of a `with` block.

    `take(0, hidden)` gets what goes into the first layer, `take(l, hidden)` the output of the l-th: (batch, position,
    width) each. Layers that share a module are told apart by their order.
    """
    attention_modules(model)
    layers = layer_modules(model)
    done = [0]

    def start(module: nn.Module, args: Any, kwargs: Any) -> None:
        if done[0] == 0:
            take(0, args[0] if args else kwargs["hidden_states"])

    def finish(module: nn.Module, args: Any, output: Any) -> None:
        done[0] += 1
        take(done[0], output[0] if isinstance(output, tuple) else output)

    def begin(module: nn.Module, args: Any) -> None:
        done[0] = 0

    handles = [network_of(model).register_forward_pre_hook(begin)]
    handles.append(layers[0].register_forward_pre_hook(start, with_kwargs=True))
    handles += [module.register_forward_hook(finish) for module in dict.fromkeys(layers)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()

"""Looking at a model must not change it: checked on a made-up batch before anybody looks."""

from __future__ import annotations

from typing import Any
from weakref import WeakSet

import torch
from torch import Tensor, nn

from xlprobe.encoders.layout import position_limit
from xlprobe.encoders.modules import attention_modules, network_of, unwrapped
from xlprobe.encoders.probe import output_of, probe_inputs, probing
from xlprobe.encoders.switch import hook_points
from xlprobe.errors import CaptureError

__all__ = ["check_hooks"]

_LONG = 160
_CHECKED: WeakSet[nn.Module] = WeakSet()


def check_hooks(model: nn.Module) -> None:
    """Check, once per model, that what the hook points show is what the model does.

    On a padded batch with a long text, and on a short text alone: the output is the same whether somebody looks or
    not, rows of the pattern sum to 1, and a change of the pattern moves the output. Raises `CaptureError` saying which
    of these fails.
    """
    model = unwrapped(model)
    encoder = network_of(model)
    if encoder in _CHECKED:
        return
    points = hook_points(model)
    if any(point._forward_hooks for point in points.values()):
        return  # somebody looks already; the check was made before, or is to be made when nobody does
    long = min(_LONG, position_limit(model))
    with probing(model):
        for lengths in ([long, max(2, long // 16)], [max(2, min(12, long))]):
            _compare(model, points, probe_inputs(model, lengths))
        _check_edit(model, points, probe_inputs(model, [max(2, min(8, long))]))
    _CHECKED.add(encoder)


def _compare(model: nn.Module, points: Any, inputs: dict[str, Tensor]) -> None:
    name, real = type(model).__name__, inputs["attention_mask"].bool()
    plain = output_of(model, inputs)
    sums: dict[str, Tensor] = {}

    def look(layer: int) -> Any:
        point = f"blocks.{layer}.attn.hook_pattern"
        return points[point].register_forward_hook(
            lambda module, args, pattern: sums.__setitem__(point, pattern.sum(dim=-1).amin(dim=1))
        )

    handles = [look(layer) for layer in range(len(attention_modules(model)))]
    try:
        hooked = output_of(model, inputs)
    finally:
        for handle in handles:
            handle.remove()
    if len(sums) < len(handles):
        raise CaptureError(f"{name}: {len(handles) - len(sums)} of its {len(handles)} layers show no pattern")
    if plain.shape[:2] == real.shape:
        plain, hooked = plain[real], hooked[real]
    moved = float((plain - hooked).abs().amax())
    allowed = max(1e-4, 64 * torch.finfo(plain.dtype).eps) * (1.0 + float(plain.abs().amax()))
    if not moved <= allowed:
        raise CaptureError(
            f"{name}: its output moves by {moved:.2g} when somebody looks at its attention (allowed: {allowed:.1g}), "
            "so its numbers would not be its own. It adds something to its attention that xlprobe does not know"
        )
    for point, rows in sums.items():
        rows = rows[real] if rows.shape == real.shape else rows  # of cross attention the queries are the decoder's
        if not bool(((rows.float() - 1.0).abs() < 0.02).all()):
            raise CaptureError(f"{name}: rows of {point} do not sum to 1; expected probabilities over the open keys")


def _check_edit(model: nn.Module, points: Any, inputs: dict[str, Tensor]) -> None:
    before = output_of(model, inputs)
    for layer in (0, len(attention_modules(model)) - 1):
        name = f"blocks.{layer}.attn.hook_pattern"
        handle = points[name].register_forward_hook(lambda module, args, pattern: _turned(pattern))
        try:
            after = output_of(model, inputs)
        finally:
            handle.remove()
        if torch.equal(before, after):
            raise CaptureError(
                f"{type(model).__name__}: a change of {name} leaves its output as it is, so interventions would be "
                "without effect"
            )


def _turned(pattern: Tensor) -> Tensor:
    return pattern.flip(-1)

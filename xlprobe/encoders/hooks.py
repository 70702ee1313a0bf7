"""Hook points on the attention of any encoder that transformers dispatches through its attention interface.

`hook_points(model)` gives one TransformerLens `HookPoint` per activation. They cost nothing while nobody listens:
a forward pass looks once whether any point has a hook, and only then switches transformers to the function below,
for the length of that pass. A layer whose scores or pattern have no hook keeps the fused kernel.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from xlprobe.encoders.attention import bias_of, in_parts
from xlprobe.errors import CaptureError

if TYPE_CHECKING:
    from transformer_lens.hook_points import HookPoint

__all__ = ["CROSS_POINTS", "PLAIN_POINTS", "attention_modules", "hook_points", "observe"]

PLAIN_POINTS = ("hook_q", "hook_k", "hook_v", "hook_z", "hook_attn_scores", "hook_pattern")
CROSS_POINTS = ("hook_q_cross", "hook_attn_scores_cross", "hook_pattern_mono", "hook_pattern_cross")
EXPLICIT_POINTS = frozenset(
    {"hook_attn_scores", "hook_pattern", "hook_attn_scores_cross", "hook_pattern_mono", "hook_pattern_cross"}
)
"""Points that exist only when the probabilities are computed explicitly."""

HOOKED = "xlprobe_hooked"
"""Name of our attention function in transformers' attention interface."""

Points = dict[str, "HookPoint"]
_POINTS: WeakKeyDictionary[nn.Module, Points] = WeakKeyDictionary()


@dataclass
class _Switch:
    """What a forward pass of one encoder changes while something is hooked, and puts back afterwards."""

    points: list[Points]
    configs: list[Any]
    saved: list[str | None]


_SWITCHES: WeakKeyDictionary[nn.Module, _Switch] = WeakKeyDictionary()


def attention_modules(model: nn.Module) -> list[nn.Module]:
    """Return the self-attention modules of a transformers encoder, first layer first.

    Raises `CaptureError` if the model is no transformers model or does not dispatch its attention.
    """
    encoder = getattr(model, "base_model", None)
    classes = (getattr(encoder, "_can_record_outputs", None) or {}).get("attentions")
    if encoder is None or classes is None or not getattr(encoder, "_supports_attention_backend", False):
        raise CaptureError(
            f"got a {type(model).__name__}; expected a transformers encoder whose attention goes through the attention "
            "interface (BERT, XLM-R and most others since transformers 4.48). Use such a model"
        )
    listed = classes if isinstance(classes, list) else [classes]
    targets = tuple(getattr(item, "target_class", None) or item for item in listed)
    found = [module for module in encoder.modules() if isinstance(module, targets)]
    if not found:
        raise CaptureError(f"the {type(model).__name__} has no self-attention layers; expected at least one")
    return found


def hook_points(model: nn.Module) -> Points:
    """Return the hook points of a model's attention, by name: `blocks.{layer}.attn.hook_pattern` and so on.

    Shapes: `hook_q`, `hook_k`, `hook_v`, `hook_z`, `hook_q_cross` are (batch, position, head, d_head);
    `hook_attn_scores` (scaled, -inf where closed) and `hook_pattern` (rows sum to 1, before dropout) are
    (batch, head, query, key), and so are `hook_attn_scores_cross`, `hook_pattern_mono`, `hook_pattern_cross` of
    cross-query models. What a hook returns replaces the activation and acts on the output. Calling this twice gives
    the same points; the heads' model and its bare encoder share them. Raises `CaptureError` as `attention_modules`.
    """
    modules = attention_modules(model)
    missing = [module for module in modules if module not in _POINTS]
    if missing:
        from transformer_lens.hook_points import HookPoint

        for module in missing:
            crossed = hasattr(module, "cross_lingual_query") or hasattr(module, "cross_lingual_queries")
            _POINTS[module] = {name: HookPoint() for name in PLAIN_POINTS + (CROSS_POINTS if crossed else ())}
    named: Points = {}
    for layer, module in enumerate(modules):
        for name, point in _POINTS[module].items():
            point.name = f"blocks.{layer}.attn.{name}"
            named[point.name] = point
    _install_switch(model.base_model, modules)  # type: ignore[arg-type]
    return named


@contextmanager
def observe(model: nn.Module, hooks: dict[str, Any] | Iterable[tuple[str, Any]]) -> Iterator[Points]:
    """Attach hooks for the length of a `with` block: `{"blocks.0.attn.hook_pattern": lambda tensor, hook: ...}`.

    A hook that returns None only looks; one that returns a tensor replaces the activation. All are removed at the
    end, after an exception too. Raises `CaptureError` for a name that the model does not have.
    """
    points = hook_points(model)
    items = list(hooks.items() if isinstance(hooks, dict) else hooks)
    unknown = sorted({name for name, _ in items} - points.keys())
    if unknown:
        known = ", ".join(name for name in points if name.startswith("blocks.0."))
        raise CaptureError(
            f"unknown hook points {unknown}; of {len(attention_modules(model))} layers the first has {known}"
        )
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


def points_by_name(module: nn.Module) -> Points:
    """Return the hook points of one attention module, which `hook_points` has made, by their short names."""
    return _POINTS[module]


def points_of(module: nn.Module) -> Points | None:
    """Return the hook points of one attention module if any of them has a hook, else None."""
    points = _POINTS.get(module)
    return points if points is not None and any(map(is_hooked, points.values())) else None


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


def _bias(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """Return a mask as transformers hands it down, boolean (True = open) or additive, as numbers to add to scores."""
    if mask.dim() != 4:
        raise CaptureError(
            f"got an attention mask of shape {tuple(mask.shape)}; expected (batch, 1, query, key). Load the model with "
            "attn_implementation='sdpa' or 'eager' to look inside its attention"
        )
    return bias_of(mask, dtype) if mask.dtype == torch.bool else mask


def _hooked_attention(
    module: nn.Module,
    query: Float[Tensor, "batch head query d"],
    key: Float[Tensor, "batch head key d"],
    value: Float[Tensor, "batch head key d"],
    attention_mask: Bool[Tensor, "batch 1 query key"] | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[Tensor, Tensor | None]:
    """Attention with hook points, as transformers' attention interface expects it."""
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    points = points_of(module)
    query, key, value = (
        fire_by_position(points, name, tensor)
        for name, tensor in (("hook_q", query), ("hook_k", key), ("hook_v", value))
    )
    if not wants_probabilities(points):
        kwargs["is_causal"] = kwargs.get("is_causal", getattr(module, "is_causal", False))
        output, _ = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs
        )
        return fire(points, "hook_z", output), None
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    if by_parts(points, query):
        pattern = _pattern_by_parts(query, key, attention_mask, scale)
    else:
        scores = _scores(query, key, scale)
        scores = scores if attention_mask is None else scores + _bias(attention_mask, scores.dtype)
        pattern = torch.softmax(fire(points, "hook_attn_scores", scores), dim=-1)
    pattern = fire(points, "hook_pattern", pattern)
    dropped = nn.functional.dropout(pattern, p=dropout, training=module.training)
    output = torch.matmul(dropped, value).transpose(1, 2)
    return fire(points, "hook_z", output).contiguous(), pattern


def _scores(query: Tensor, key: Tensor, scale: float) -> Tensor:
    # The scale comes after the product, as in transformers' eager attention: the patterns agree to the last bits.
    return torch.matmul(query, key.transpose(-1, -2)).mul_(scale)


def _pattern_by_parts(
    query: Float[Tensor, "batch head query d"],
    key: Float[Tensor, "batch head key d"],
    mask: Tensor | None,
    scale: float,
) -> Float[Tensor, "batch head query key"]:
    """Softmax of the scores, a few samples at a time: where nobody looks at scores they never leave the cache."""
    pattern = query.new_empty(*query.shape[:3], key.shape[2])
    masks = None if mask is None else mask.expand(len(query), *mask.shape[1:])
    for samples, parts in in_parts(query, key):
        bias = None if masks is None else _bias(masks[samples], query.dtype)
        for heads in parts:
            scores = _scores(query[samples, heads], key[samples, heads], scale)
            if bias is not None:
                scores += bias
            torch.softmax(scores, dim=-1, out=pattern[samples, heads])
    return pattern


def _install_switch(encoder: nn.Module, modules: list[nn.Module]) -> None:
    configs = list({id(c): c for c in [encoder.config, *(module.config for module in modules)]}.values())
    known = _SWITCHES.get(encoder)
    if known is not None:
        known.points, known.configs = [_POINTS[module] for module in modules], configs
        return
    _register_attention()
    _SWITCHES[encoder] = _Switch([_POINTS[module] for module in modules], configs, [])
    encoder.register_forward_pre_hook(_switch_on)
    # always_call: the implementation is put back when the forward pass raises, too
    encoder.register_forward_hook(_switch_off, always_call=True)


def _register_attention() -> None:
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    AttentionInterface.register(HOOKED, _hooked_attention)
    AttentionMaskInterface.register(HOOKED, sdpa_mask)


# Module-level functions, not closures: a deep copy of a hooked encoder carries them along, finds no switch of its own
# here, and stays a plain model.
def _switch_on(encoder: nn.Module, args: Any) -> None:
    switch = _SWITCHES.get(encoder)
    if switch is None:
        return
    _restore(switch)
    if any(is_hooked(point) for points in switch.points for point in points.values()):
        switch.saved = [config._attn_implementation for config in switch.configs]
        for config in switch.configs:
            config._attn_implementation = HOOKED


def _switch_off(encoder: nn.Module, args: Any, output: Any) -> None:
    switch = _SWITCHES.get(encoder)
    if switch is not None:
        _restore(switch)


def _restore(switch: _Switch) -> None:
    if switch.saved:
        for config, implementation in zip(switch.configs, switch.saved, strict=True):
            config._attn_implementation = implementation
    switch.saved = []

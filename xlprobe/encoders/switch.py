"""Turns an encoder's attention into the one with hook points, for the length of a pass in which somebody listens."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import nn

from xlprobe.encoders.attention_hooked import HOOKED, register
from xlprobe.encoders.modules import attention_modules, dispatches, network_of, restore_forward, unwrapped
from xlprobe.encoders.points import Points, is_hooked, make_points, start_over
from xlprobe.encoders.projected import run_from_projections
from xlprobe.errors import CaptureError

__all__ = ["hook_points", "put_back"]


@dataclass
class _Switch:
    """What a forward pass of one encoder changes while something is hooked, and puts back afterwards."""

    modules: list[nn.Module]
    points: list[Points]
    configs: list[Any]
    saved: list[str | None]
    own_code: dict[nn.Module, Any] = field(default_factory=dict)
    """The modules that compute attention by code of their own, with what is put back, during a watched pass."""


_SWITCHES: WeakKeyDictionary[nn.Module, _Switch] = WeakKeyDictionary()


def hook_points(model: nn.Module) -> Points:
    """Return the hook points of a model's attention, by name: `blocks.{layer}.attn.hook_pattern` and so on.

    Shapes: `hook_q`, `hook_z`, `hook_q_cross` are (batch, position, head, d_head), `hook_k` and `hook_v` (batch,
    position, group, d_head), where several heads may share a group; `hook_attn_scores` (scaled, -inf where closed) and
    `hook_pattern` (rows sum to 1, before dropout; 0 where all keys are closed) are (batch, head, query, key); so are
    `hook_attn_scores_cross`, `hook_pattern_mono`, `hook_pattern_cross` of cross-query models. What a hook returns
    replaces the activation and acts on the output. Of cross attention queries are the decoder's positions and keys the
    encoder's. Calling this twice gives the same points; the heads' model and its bare encoder share them. Raises
    `CaptureError` as `attention_modules`.
    """
    model = unwrapped(model)
    modules = attention_modules(model)
    points = make_points(modules)
    named: Points = {}
    for layer, own in enumerate(points):
        for name, point in own.items():
            point.name = f"blocks.{layer}.attn.{name}"
            named[point.name] = point
    _install(network_of(model), modules, points)
    return named


def _install(encoder: nn.Module, modules: list[nn.Module], points: list[Points]) -> None:
    of_modules = (module.config for module in modules if hasattr(module, "config"))
    configs = list({id(c): c for c in [encoder.config, *of_modules]}.values())
    known = _SWITCHES.get(encoder)
    if known is not None:
        known.modules, known.points, known.configs = modules, points, configs
        return
    register()
    _SWITCHES[encoder] = _Switch(modules, points, configs, [])
    encoder.register_forward_pre_hook(_switch_on)
    # always_call: the implementation is put back when the forward pass raises, too
    encoder.register_forward_hook(_switch_off, always_call=True)


# Module-level functions, not closures: a deep copy of a hooked encoder carries them along, finds no switch of its own
# here, and stays a plain model.
def _switch_on(encoder: nn.Module, args: Any) -> None:
    switch = _SWITCHES.get(encoder)
    if switch is None:
        _refuse_replica(encoder)
        return
    _restore(switch)
    if _is_watched(switch):
        start_over(switch.modules)
        switch.saved = [config._attn_implementation for config in switch.configs]
        for config in switch.configs:
            config._attn_implementation = HOOKED
        if not dispatches(encoder):
            switch.own_code = {module: run_from_projections(module) for module in dict.fromkeys(switch.modules)}


def _is_watched(switch: _Switch) -> bool:
    return any(is_hooked(point) for points in switch.points for point in points.values())


def _refuse_replica(encoder: nn.Module) -> None:
    """Refuse to run DataParallel's copies of an encoder that somebody looks at: they have no hook points."""
    if not getattr(encoder, "_is_replica", False):
        return
    # A copy shares the configuration of what it is a copy of.
    if any(switch.configs[0] is encoder.config and _is_watched(switch) for switch in _SWITCHES.values()):
        raise CaptureError(
            "DataParallel runs copies of the model on its devices, which show nothing; expected one device. Run "
            "model.module while you look at it, or use DistributedDataParallel"
        )


def _switch_off(encoder: nn.Module, args: Any, output: Any) -> None:
    switch = _SWITCHES.get(encoder)
    # With gradient checkpointing the backward pass runs the layers again, and has to find the same attention.
    if switch is not None and not _runs_again(encoder):
        _restore(switch)


def put_back(model: nn.Module) -> None:
    """Put the encoder's own attention back, where a backward pass was waited for."""
    if (switch := _SWITCHES.get(network_of(model))) is not None:
        _restore(switch)


def _runs_again(encoder: nn.Module) -> bool:
    return encoder.training and torch.is_grad_enabled() and bool(getattr(encoder, "is_activation_checkpointing", False))


def _restore(switch: _Switch) -> None:
    if switch.saved:
        for config, implementation in zip(switch.configs, switch.saved, strict=True):
            config._attn_implementation = implementation
    switch.saved = []
    for module, before in switch.own_code.items():
        restore_forward(module, before)
    switch.own_code = {}

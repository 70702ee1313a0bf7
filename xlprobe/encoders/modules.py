"""The attention modules and the layers of an encoder, found by what transformers says it can record of them."""

from __future__ import annotations

import logging
from typing import Any
from weakref import WeakKeyDictionary

from torch import nn

from xlprobe.encoders.probe import output_of, probe_inputs, probing
from xlprobe.encoders.projected import has_projections
from xlprobe.errors import CaptureError

__all__ = ["attention_modules", "layer_modules", "unwrapped"]

logger = logging.getLogger(__name__)

_TRACED: WeakKeyDictionary[nn.Module, dict[str, list[int]]] = WeakKeyDictionary()
"""The order of calls of encoders whose layers share modules, as places among the modules that were found."""


def unwrapped(model: nn.Module) -> nn.Module:
    """Return the model within DataParallel or DistributedDataParallel; others as they are."""
    while isinstance(model, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
        model = model.module
    return model


def attention_modules(model: nn.Module) -> list[nn.Module]:
    """Return the self-attention modules of a transformers encoder, one per layer, first layer first.

    A module that several layers share stands once for each. Compiled code would pass the hooks by, so a compiled model
    runs as it was written from here on. Raises `CaptureError` if the model is no transformers model, or does not
    dispatch its attention.
    """
    model = unwrapped(model)
    encoder = getattr(model, "base_model", None)
    if type(model).__name__ == "OptimizedModule":
        raise CaptureError("got the wrapper of torch.compile; expected the model in it, which is model._orig_mod")
    known = encoder is not None and "attentions" in (getattr(encoder, "_can_record_outputs", None) or {})
    found = _in_order(encoder, "attentions") if known else []
    if not found or not (dispatches(encoder) or all(map(has_projections, found))):
        raise CaptureError(
            f"got a {type(model).__name__}; expected a transformers encoder whose attention goes through the attention "
            "interface (BERT, XLM-R, ModernBERT and most others). A model that computes its attention by code of its "
            "own (DeBERTa, RemBERT) shows no pattern to look at. Use another encoder"
        )
    _run_as_written(model)
    return found


def dispatches(encoder: Any) -> bool:
    """Whether an encoder's attention is one of several that transformers offers, of which ours can be one."""
    return any(getattr(encoder, f"_supports_{what}", False) for what in ("attention_backend", "sdpa"))


def layer_modules(model: nn.Module) -> list[nn.Module]:
    """Return the layers of an encoder, in the order in which they run; a shared one stands once for each."""
    return _in_order(unwrapped(model).base_model, "hidden_states")  # type: ignore[arg-type]


def _in_order(encoder: Any, what: str) -> list[nn.Module]:
    listed = encoder._can_record_outputs[what]
    listed = listed if isinstance(listed, list) else [listed]
    targets = tuple(getattr(item, "target_class", None) or item for item in listed)
    found = [module for module in encoder.modules() if isinstance(module, targets)]
    if not found:
        raise CaptureError(f"the {type(encoder).__name__} has no self-attention layers; expected at least one")
    if len(found) == encoder.config.num_hidden_layers:
        return found
    traced = _TRACED.setdefault(encoder, {})
    if what not in traced:
        traced[what] = [found.index(module) for module in _order_of_calls(encoder, found)]
    return [found[place] for place in traced[what]]


def _order_of_calls(encoder: Any, modules: list[nn.Module]) -> list[nn.Module]:
    """Run a short input and note which module is called when."""
    order: list[nn.Module] = []
    handles = [module.register_forward_hook(lambda module, *rest: order.append(module)) for module in modules]
    try:
        with probing(encoder):
            output_of(encoder, probe_inputs(encoder, [4]))
    finally:
        for handle in handles:
            handle.remove()
    return order


def _run_as_written(model: nn.Module) -> None:
    compiled = [module for module in model.modules() if getattr(module, "_compiled_call_impl", None) is not None]
    for module in compiled:
        module._compiled_call_impl = None
    if compiled:
        logger.warning(
            "%s was compiled; it runs as it was written from here on, so that it can be looked into",
            type(model).__name__,
        )

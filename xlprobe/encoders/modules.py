"""The network that is looked into, its attention modules and layers: by what transformers can record of them."""

from __future__ import annotations

import logging
from typing import Any
from weakref import WeakKeyDictionary

from torch import nn
from transformers.pytorch_utils import Conv1D

from xlprobe.encoders.probe import output_of, probe_inputs, probing
from xlprobe.encoders.projected import has_projections
from xlprobe.errors import CaptureError

__all__ = [
    "attention_modules",
    "dispatches",
    "is_encoder_decoder",
    "layer_modules",
    "looks_across",
    "network_of",
    "restore_forward",
    "unwrapped",
]

logger = logging.getLogger(__name__)

_TRACED: WeakKeyDictionary[nn.Module, dict[str, list[int]]] = WeakKeyDictionary()
"""The order of calls of encoders whose layers share modules, as places among the modules that were found."""


def unwrapped(model: nn.Module) -> nn.Module:
    """Return the model within DataParallel or DistributedDataParallel; others as they are."""
    while isinstance(model, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
        model = model.module
    return model


def restore_forward(module: nn.Module, before: Any) -> None:
    """Let a module run as it did before its `forward` was replaced; `before`: what stood in its `__dict__` there."""
    if before is None:
        module.__dict__.pop("forward", None)
    else:
        module.forward = before


def is_encoder_decoder(model: nn.Module) -> bool:
    """Whether a model reads by an encoder of its own and answers by a decoder that looks at it."""
    model = unwrapped(model)
    declared = getattr(getattr(model, "config", None), "is_encoder_decoder", False)
    return bool(declared) and model.get_encoder() is not model  # type: ignore[operator]


def looks_across(model: nn.Module) -> bool:
    """Whether an encoder-decoder's cross attention is looked into, not its encoder: its configuration says so.

    `xlprobe.load(part="cross")` writes it there, as `xlprobe_part`.
    """
    part = getattr(getattr(unwrapped(model), "config", None), "xlprobe_part", None)
    return part == "cross" and is_encoder_decoder(model)


def network_of(model: nn.Module) -> Any:
    """Return the network that is looked into: a model without its head.

    Of an encoder-decoder it is the encoder, or the decoder where that looks at the encoder (`looks_across`).
    """
    model = unwrapped(model)
    if not is_encoder_decoder(model):
        return getattr(model, "base_model", None)
    return model.get_decoder() if looks_across(model) else model.get_encoder()  # type: ignore[operator]


def attention_modules(model: nn.Module) -> list[nn.Module]:
    """Return the self-attention modules of a transformers encoder, one per layer, first layer first.

    Of an encoder-decoder they are those of its encoder, or those by which its decoder looks at it (`looks_across`). A
    module that several layers share stands once for each. Compiled code would pass the hooks by, so a compiled model
    runs as it was written from here on. Raises `CaptureError` if the model is no transformers model, or does not
    dispatch its attention.
    """
    model = unwrapped(model)
    encoder = network_of(model)
    if type(model).__name__ == "OptimizedModule":
        raise CaptureError("got the wrapper of torch.compile; expected the model in it, which is model._orig_mod")
    _run_as_written(model)
    what = "cross_attentions" if looks_across(model) else "attentions"
    known = encoder is not None and what in (getattr(encoder, "_can_record_outputs", None) or {})
    modules = _in_order(encoder, what) if known else []
    if not modules or not (dispatches(encoder) or all(map(has_projections, modules))):
        raise CaptureError(
            f"got a {type(model).__name__}; expected a transformers encoder whose attention goes through the attention "
            "interface (BERT, XLM-R, ModernBERT and most others). A model that computes its attention by code of its "
            "own (DeBERTa, RemBERT) shows no pattern to look at. Use another encoder"
        )
    return modules


def dispatches(encoder: Any) -> bool:
    """Whether an encoder's attention is one of several that transformers offers, of which ours can be one."""
    return any(getattr(encoder, f"_supports_{what}", False) for what in ("attention_backend", "sdpa"))


def layer_modules(model: nn.Module) -> list[nn.Module]:
    """Return the layers of an encoder, in the order in which they run; a shared one stands once for each."""
    return _in_order(network_of(model), "hidden_states")


def _in_order(encoder: Any, what: str) -> list[nn.Module]:
    listed = encoder._can_record_outputs[what]
    listed = listed if isinstance(listed, list) else [listed]
    modules = [
        module if what == "hidden_states" else _projecting(module)
        for name, module in encoder.named_modules()
        if any(_is_listed(item, name, module) for item in listed)
    ]
    if not modules:
        raise CaptureError(f"the {type(encoder).__name__} has no self-attention layers; expected at least one")
    if len(modules) == encoder.config.num_hidden_layers or what == "cross_attentions":
        return modules
    traced = _TRACED.setdefault(encoder, {})
    if what not in traced:
        traced[what] = [modules.index(module) for module in _order_of_calls(encoder, modules)]
    return [modules[place] for place in traced[what]]


def _is_listed(item: Any, name: str, module: nn.Module) -> bool:
    """Whether transformers records a module: by its class and, where a class plays several parts, by its name."""
    part = getattr(item, "layer_name", None)
    return isinstance(module, getattr(item, "target_class", None) or item) and (
        part is None or f".{part.strip('.')}." in f".{name}."
    )


def _projecting(module: nn.Module) -> nn.Module:
    """Return the module that projects and attends: T5 records it together with its norm."""

    def projects(one: nn.Module) -> bool:
        return any(isinstance(child, (nn.Linear, Conv1D)) for child in one.children())

    inner = [child for child in module.children() if projects(child)]
    return inner[0] if len(inner) == 1 and not projects(module) else module


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

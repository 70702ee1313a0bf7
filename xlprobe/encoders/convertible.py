"""Whether a model can have a second query: found by what its attention module does, and checked when it has one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from xlprobe.encoders.cross_models import cross_query_modules
from xlprobe.encoders.modules import attention_modules
from xlprobe.encoders.probe import output_of, probe_inputs, probing
from xlprobe.encoders.switch import hook_points
from xlprobe.errors import CaptureError, CheckpointError
from xlprobe.languages import language_id

__all__ = ["check_converted", "query_projection"]

_NAMES = ("hook_q", "hook_k", "hook_v")


def query_projection(model: nn.Module) -> str:
    """Return the name of the linear layer of each attention module that makes its query.

    It is the one with a part that changes the query alone: all of it, or the first third where it also makes keys and
    values. Raises `CheckpointError` where there is none.
    """
    name, config = type(model).__name__, getattr(model, "config", None)  # type: str, Any
    if str(getattr(config, "model_type", "")).startswith("cross-query-"):
        raise CheckpointError(f"got a {config.model_type!r} model, which has a Q_cross already; expected a plain one")
    try:
        modules = attention_modules(model)
    except CaptureError as error:
        raise CheckpointError(f"{name} cannot be given a Q_cross: {error}") from error
    if len(set(modules)) < len(modules):
        raise CheckpointError(f"{name} cannot be given a Q_cross: its layers share one attention module")
    linear = {child: module for child, module in modules[0].named_children() if isinstance(module, nn.Linear)}
    with _refusals(name), probing(model):
        before = _activations(model)
        heads, width = before["hook_q"].shape[2:]
        for child, module in linear.items():
            if module.out_features not in (heads * width, 3 * heads * width):
                continue
            with _moved(module, heads * width):
                after = _activations(model)
            if [torch.equal(before[one], after[one]) for one in _NAMES] == [False, True, True]:
                return child
    raise CheckpointError(
        f"{name} cannot be given a Q_cross: none of the linear layers of its attention module "
        f"({', '.join(linear) or 'it has none'}) makes its query, alone or as the first third of query, key and value"
    )


def check_converted(made: nn.Module, plain: nn.Module) -> None:
    """Check that a fresh cross-query model computes what its plain one does in one language, with Q_cross equal to Q.

    Raises `CheckpointError` saying what differs.
    """
    name = type(plain).__name__
    inputs = probe_inputs(plain, [12, 7])
    languages = {"language_ids": torch.full_like(inputs["input_ids"], language_id("en"))}
    with _refusals(name), probing(plain), probing(made):
        real = inputs["attention_mask"].bool()
        expected = output_of(plain.base_model, inputs)[real]  # type: ignore[arg-type]
        with _seen(made.base_model, ("hook_q", "hook_q_cross")) as seen:  # type: ignore[arg-type]
            output = output_of(made.base_model, {**inputs, **languages})[real]  # type: ignore[arg-type]
    allowed = max(1e-4, 64 * torch.finfo(output.dtype).eps) * (1.0 + float(expected.abs().amax()))
    if not float((output - expected).abs().amax()) <= allowed:
        raise CheckpointError(f"{name} cannot be given a Q_cross: with a copy of its query it computes something else")
    if made.config.pairs:  # type: ignore[union-attr]
        return  # a Q_cross of a pair has nothing to do in one language
    for q, q_cross in zip(seen["hook_q"], seen["hook_q_cross"], strict=True):
        if not torch.allclose(q[real], q_cross[real], rtol=1e-3, atol=allowed):
            raise CheckpointError(f"{name} cannot be given a Q_cross: it treats a second query unlike its own")


@contextmanager
def _refusals(name: str) -> Iterator[None]:
    """Say what a model that does not run with a second query raises."""
    try:
        yield
    except CheckpointError:
        raise
    except Exception as error:
        message = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise CheckpointError(f"{name} cannot be given a Q_cross: {message}") from error


def _activations(model: nn.Module) -> dict[str, Tensor]:
    with _seen(model, _NAMES) as seen:
        output_of(model.base_model, probe_inputs(model, [6]))  # type: ignore[arg-type]
    return {name: tensors[0] for name, tensors in seen.items()}


@contextmanager
def _seen(model: nn.Module, names: tuple[str, ...]) -> Iterator[dict[str, list[Tensor]]]:
    """Note activations of all layers that have them, in order."""
    seen: dict[str, list[Tensor]] = {name: [] for name in names}
    crossed = set(cross_query_modules(model))
    layers = [layer for layer, one in enumerate(attention_modules(model)) if not crossed or one in crossed]
    points: Any = hook_points(model)

    def keep(name: str) -> Any:
        return lambda module, args, output: seen[name].append(output)

    handles = [
        points[f"blocks.{layer}.attn.{name}"].register_forward_hook(keep(name)) for layer in layers for name in names
    ]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def _moved(module: nn.Linear, features: int) -> Iterator[None]:
    """Change the first features of what a layer makes, each by another amount."""

    def move(module: nn.Module, args: Any, output: Tensor) -> Tensor:
        output = output.clone()
        output[..., :features] += torch.linspace(1, 2, features, device=output.device, dtype=output.dtype)
        return output

    handle = module.register_forward_hook(move)
    try:
        yield
    finally:
        handle.remove()

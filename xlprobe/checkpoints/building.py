"""From a configuration and tensors to a model: compared first, then built, nothing made up."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Container, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from xlprobe.checkpoints.foreign import called
from xlprobe.errors import CheckpointError

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel

__all__ = ["build", "named_for", "not_finite", "some"]

_SPARE = ("pooler.", "cls.seq_relationship.", "position_ids", "token_type_ids", "lm_head.decoder.",
          "cls.predictions.decoder.", "rotary_emb.inv_freq")  # fmt: skip
"""What a checkpoint may hold beyond its model: heads of pre-training, and buffers of old versions."""
_MUCH_LARGER = 3


def build(
    spec: str,
    config: PretrainedConfig,
    tensors: Mapping[str, Tensor],
    make: Callable[[PretrainedConfig], PreTrainedModel],
    *,
    shared: bool = False,
    finite: Container[str] = (),
) -> PreTrainedModel:
    """Return the model that `make` gives for a configuration, with these tensors, in evaluation mode.

    The configuration is built without memory first, and compared with the tensors before anything is allocated. With
    `shared` the model may use the tensors' own memory; those named in `finite` were looked at before, and what of them
    is mapped from a file stays there. Raises `CheckpointError`, naming them, for tensors that are missing, have no
    place, are of another shape, or hold NaN or infinite values.
    """
    tensors = {name: tensor if shared else tensor.clone() for name, tensor in tensors.items()}
    empty = _empty(spec, config, tensors, make)
    given = named_for(empty, tensors)
    _compare_shapes(spec, empty, given)
    _check_finite(spec, {name: tensor for name, tensor in given.items() if name not in finite})
    if shared and _is_whole(empty, given):
        return _assigned(spec, config, given, make)
    dtypes = [tensor.dtype for tensor in given.values() if tensor.is_floating_point()]
    cls: Any = type(empty)
    arguments = {"add_pooling_layer": False} if getattr(empty.base_model, "pooler", 0) is None else {}
    arguments = {name: value for name, value in arguments.items() if name in inspect.signature(cls.__init__).parameters}
    with torch.random.fork_rng(devices=[]):  # loading leaves the caller's random numbers alone
        model, info = called(
            f"{spec}: {cls.__name__} cannot be built",
            lambda: cls.from_pretrained(
                None, config=config, state_dict=given, dtype=dtypes[0] if dtypes else None, output_loading_info=True,
                attn_implementation=empty.config._attn_implementation, **arguments,
            ),
        )  # fmt: skip
    _check_names(spec, model, info["missing_keys"], info["unexpected_keys"])
    return model.eval()


def named_for(model: PreTrainedModel, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Name a state dict as a model with, or without, a head names its encoder's tensors; other heads are left out."""
    prefix = f"{model.base_model_prefix}."
    prefixed = any(name.startswith(prefix) for name in tensors)
    wanted = any(name.startswith(prefix) for name in model.state_dict())
    if wanted and not prefixed:
        return {prefix + name: tensor for name, tensor in tensors.items()}
    if prefixed and not wanted:
        return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
    return dict(tensors)


def some(names: Iterable[str]) -> str:
    """List the first four names, and how many more there are."""
    ordered = sorted(str(name)[:120] for name in names)
    return ", ".join(ordered[:4]) + (f" and {len(ordered) - 4} more" if len(ordered) > 4 else "")


def _empty(spec: str, config: Any, tensors: Mapping[str, Tensor], make: Callable[[Any], Any]) -> Any:
    layers = getattr(config, "num_hidden_layers", 0)
    if not isinstance(layers, int) or layers > max(100, len(tensors)):
        raise CheckpointError(
            f"{spec}: its configuration asks for {layers} layers, and its weights are {len(tensors)} tensors; they "
            "do not belong together"
        )

    from transformers.initialization import no_init_weights

    def on_meta() -> Any:
        with torch.random.fork_rng(devices=[]), torch.device("meta"), no_init_weights():
            return make(config)

    model = called(f"{spec}: its configuration makes no model", on_meta)
    asked = sum(tensor.numel() for tensor in {id(t): t for t in model.parameters()}.values())
    held = sum(tensor.numel() for tensor in tensors.values())
    if asked > _MUCH_LARGER * held + 10**6:
        raise CheckpointError(
            f"{spec}: its configuration asks for {asked:,} weights, and the file holds {held:,}; they do not belong "
            "together"
        )
    return model


def _is_whole(empty: Any, given: Mapping[str, Tensor]) -> bool:
    """Whether the tensors are those of the model, one for one, each of one type and none tied to another."""
    own = empty.state_dict()
    dtypes = {tensor.dtype for tensor in given.values()}
    return own.keys() == given.keys() and len(dtypes) == 1 and not getattr(empty, "all_tied_weights_keys", None)


def _assigned(spec: str, config: Any, given: Mapping[str, Tensor], make: Callable[[Any], Any]) -> PreTrainedModel:
    """Put tensors that need neither renaming nor casting in their places.

    `from_pretrained` would first compile the patterns by which it renames those of every model it knows, which takes
    longer than all the rest.
    """
    from accelerate import init_empty_weights
    from transformers.initialization import no_init_weights

    def whole() -> Any:
        with torch.random.fork_rng(devices=[]), init_empty_weights(include_buffers=False), no_init_weights():
            model = make(config)
        model.load_state_dict(given, assign=True)
        model.config.dtype = next(iter(given.values())).dtype
        return model.eval()

    model: PreTrainedModel = called(f"{spec}: its configuration makes no model", whole)
    return model


def _compare_shapes(spec: str, model: Any, tensors: Mapping[str, Tensor]) -> None:
    wanted = {name for name, own in model.state_dict().items() if own.is_floating_point()}
    if whole := [n for n, t in tensors.items() if n in wanted and not t.is_floating_point()]:
        raise CheckpointError(
            f"{spec}: its weights are quantised: {some(whole)} hold {tensors[whole[0]].dtype}; expected plain ones. "
            "Dequantise it with what made it, or use the model that it was made from"
        )
    other = [
        f"{name} {tuple(tensors[name].shape)} for {tuple(own.shape)}"
        for name, own in model.state_dict().items()
        if name in tensors and tensors[name].shape != own.shape
    ]
    if other:
        raise CheckpointError(f"{spec}: tensors of another shape than the configuration says: {some(other)}")


def not_finite(tensors: Mapping[str, Tensor]) -> list[str]:
    """Return the names of tensors that hold NaN or infinite values, without masks as large as the tensors."""
    # The sum is finite if all values are, but for sums beyond single precision: those are looked at one by one.
    suspect = {n: t for n, t in tensors.items() if t.is_floating_point() and not math.isfinite(_sum(t))}
    return [name for name, tensor in suspect.items() if not bool(torch.isfinite(tensor).all())]


def _check_finite(spec: str, tensors: Mapping[str, Tensor]) -> None:
    if broken := not_finite(tensors):
        raise CheckpointError(
            f"{spec}: holds NaN or infinite values in {some(broken)}; the training diverged or the file is damaged. "
            "Use an earlier checkpoint, or get the file again"
        )


def _sum(tensor: Tensor) -> float:
    return float(tensor.sum(dtype=torch.float64 if tensor.dtype == torch.float64 else torch.float32))


def _check_names(spec: str, model: Any, missing: Iterable[str], spare: Iterable[str]) -> None:
    name = type(model).__name__
    missing = sorted(str(key) for key in missing)
    if missing:
        bare = model.base_model is model
        what = "it is broken" if bare else "the head was never trained, or the checkpoint is another model"
        raise CheckpointError(
            f"{spec}: lacks {len(missing)} tensors that {name} needs: {some(missing)}; {what}. "
            "Fine-tune it first, or load it with head='none' to look at the bare encoder"
        )
    unplaced = [str(key) for key in spare if not any(part in str(key) for part in _SPARE)]
    if model.base_model is model:
        # Of a bare encoder's file everything is the encoder's; the usual heads may lie beside it.
        unplaced = [key for key in unplaced if not key.startswith(("cls.", "lm_head.", "classifier.", "qa_outputs."))]
    if unplaced:
        raise CheckpointError(
            f"{spec}: holds {len(unplaced)} tensors that {name} has no place for: {some(unplaced)}; the configuration "
            "does not fit the weights"
        )

"""Linear layers with weights of 8 bits: codes and one scale per output feature, multiplied out whenever a layer runs.

Only what is stored gets smaller; what is computed is computed in the model's own type, so attention looks as it did.
"""

from __future__ import annotations

from collections import Counter
from functools import cache
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from xlprobe.encoders.probe import output_of, probe_inputs, probing
from xlprobe.errors import CheckpointError

__all__ = ["to_int8"]

_LEVELS = 127
_MIB = 2**20


class _Int8(nn.Module):
    """A linear layer's weight as codes and scales."""

    codes: Tensor
    scale: Tensor

    @property
    def weight(self) -> Float[Tensor, "feature other"]:
        """The weight that the layer computes with."""
        return self.codes.to(self.scale.dtype) * self.scale


def to_int8(model: Any) -> dict[str, Any]:
    """Round the weights of a model's linear layers to 8 bits, in place; return what that saves and what it changes.

    Every output feature has a scale of its own, its largest weight over 127. Embeddings stay, and layers whose weight
    is an embedding too. Returned are the number of `layers`, the weights' size in `mib` and before (`mib_before`), and
    `output_moves_by`: how far the output moves on a made-up text, as a share of its length. Raises `CheckpointError`
    for a model without linear layers, and where the output is no longer finite.
    """
    inputs = probe_inputs(model, [24, 16])
    with probing(model):
        real = inputs["attention_mask"].bool()
        before, size = _real(output_of(model, inputs), real), _size(model)
        count = _round(model)
        if not count:
            raise CheckpointError(
                f"got dtype='int8' for a {type(model).__name__}, which has no linear layer of its own"
            )
        after = _real(output_of(model, inputs), real)
    moved = float((after - before).norm() / before.norm())
    if not bool(torch.isfinite(after).all()):
        raise CheckpointError("the output is not finite with weights of 8 bits. Use dtype='bfloat16'")
    return {"layers": count, "mib": _size(model), "mib_before": size, "output_moves_by": round(moved, 5)}


def _real(output: Tensor, real: Tensor) -> Tensor:
    return (output[real] if output.shape[:2] == real.shape else output).float()


def _size(model: nn.Module) -> float:
    tensors = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
    return round(sum(tensor.nbytes for tensor in tensors.values()) / _MIB, 1)


def _round(model: nn.Module) -> int:
    layers = [module for module in model.modules() if isinstance(module, (nn.Linear, Conv1D))]
    users = Counter(id(module._parameters.get("weight")) for module in model.modules())
    layers = [layer for layer in layers if users[id(layer.weight)] == 1]
    for layer in layers:
        weight: Any = layer.weight.detach()
        largest = weight.abs().amax(dim=0 if isinstance(layer, Conv1D) else 1, keepdim=True)
        scale = (largest / _LEVELS).masked_fill(largest == 0, 1.0)
        codes = (weight / scale).round().to(torch.int8)
        del layer.weight
        layer.register_buffer("codes", codes)
        layer.register_buffer("scale", scale)
        own: Any = type(layer)
        layer.__class__ = _int8_class(own)
    return len(layers)


@cache
def _int8_class(own: type) -> type:
    return type(f"Int8{own.__name__}", (_Int8, own), {"__doc__": own.__doc__})

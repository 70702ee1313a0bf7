"""What every metric does at its border: arrays to tensors, division and means that know what is undefined."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

__all__ = [
    "as_float", "as_float64", "at_once", "by_rows", "compiled_for", "row_entropy", "safe_divide", "weighted_mean",
]  # fmt: skip

CHUNK_ELEMENTS = 2**17
"""How many numbers elementwise work takes at a time on a processor: half a megabyte in single precision."""


def at_once(numbers: int) -> int:
    """Return how many pieces of so many numbers are taken at a time; at least one."""
    return max(CHUNK_ELEMENTS // max(numbers, 1), 1)


@cache
def _compiled() -> Any:
    if os.environ.get("XLPROBE_COMPILED") == "off" or find_spec("numba") is None:
        return None
    return import_module("xlprobe.metrics.compiled")


def compiled_for(*arrays: Tensor) -> Any:
    """Return `xlprobe.metrics.compiled`, or None: without numba, for other than single precision on a processor."""
    fits = all(one.dtype == torch.float32 and one.device.type == "cpu" and not one.requires_grad for one in arrays)
    code = _compiled() if fits else None
    return code if code is not None and os.getpid() == code.PROCESS else None


def as_float(values: Any) -> Tensor:
    """Return a floating tensor: float32 and float64 stay as they are, half types become float32, integers float64."""
    tensor = torch.as_tensor(values)
    if tensor.dtype in (torch.float32, torch.float64):
        return tensor
    return tensor.to(torch.float32 if tensor.is_floating_point() else torch.float64)


def as_float64(values: Any) -> Tensor:
    """Return a float64 tensor; for what is small, or summed over much."""
    return torch.as_tensor(values).to(torch.float64)


def safe_divide(top: Tensor, bottom: Tensor) -> Tensor:
    """Divide, giving 0 where the divisor is 0: for what then weighs nothing, never for a result."""
    zero = bottom == 0
    return (top / bottom.masked_fill(zero, 1.0)).masked_fill(zero, 0.0)


def weighted_mean(values: Float[Tensor, "*batch row"], weights: Float[Tensor, "*batch row"]) -> Float[Tensor, "*batch"]:
    """Return the weighted mean over rows in float64; NaN where all weights are 0.

    Rows of weight 0 are ignored even when their value is NaN.
    """
    weights = weights.to(torch.float64)
    values = values.to(torch.float64).masked_fill(weights == 0, 0.0)
    # 0 / 0 is the NaN that marks "no row to speak about".
    return (values * weights).sum(dim=-1) / weights.sum(dim=-1)


def row_entropy(values: Float[Tensor, "*batch cell"]) -> Float[Tensor, "*batch"]:
    """Return the entropy of each row in nats, with 0 log 0 = 0."""
    if (code := compiled_for(values)) is None:
        return by_rows(_entropy, values)
    entropies = values.new_empty(values.shape[:-1])
    code.run(code.row_entropies, values.reshape(-1, values.shape[-1]), entropies.view(-1))
    return entropies


def _entropy(values: Float[Tensor, "row cell"]) -> Float[Tensor, " row"]:
    tiny = torch.finfo(values.dtype).tiny
    # clamp + log + dot is twice as fast as torch.special.entr followed by a sum.
    logs = values.clamp_min(tiny)
    if logs.device.type == "cpu" and not logs.requires_grad and logs.dtype in (torch.float32, torch.float64):
        np.log(logs.numpy(), out=logs.numpy())  # to the same last bit, and on one core faster than torch on two
    else:
        logs = logs.log()
    return -torch.linalg.vecdot(values, logs)


def by_rows(function: Callable[..., Tensor], *arrays: Float[Tensor, "*batch cell"]) -> Tensor:
    """Apply a function of (row, cell) arrays of equal shape a few rows at a time.

    The function gives one number a row. Temporaries then stay in the processor's cache, which makes elementwise work
    on long batches twice as fast.
    """
    shape = arrays[0].shape[:-1]
    flat = [array.reshape(-1, array.shape[-1]) for array in arrays]
    if arrays[0].device.type != "cpu" or flat[0].numel() <= CHUNK_ELEMENTS:
        result = function(*flat)
    else:
        step = at_once(flat[0].shape[-1])
        pieces = zip(*(array.split(step) for array in flat), strict=True)
        result = torch.cat([function(*piece) for piece in pieces])
    return result.reshape(shape)

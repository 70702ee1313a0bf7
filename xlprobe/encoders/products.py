"""Forward passes as fast as the processor allows: products by oneDNN where torch's choice is slow, memory kept."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from xlprobe.memory import freed_memory_kept

__all__ = ["fast_passes", "products_by"]

_LEAST = 2**14
"""Numbers that go into a layer; fewer are multiplied before another library is chosen."""
_KEPT_PROGRAMS = 16
"""More than the layers of one batch need."""


@contextmanager
def fast_passes() -> Iterator[None]:
    """Within the block, let passes without gradients multiply in float32 by the faster of torch's two libraries.

    For linear layers torch takes MKL, which uses a part of what AMD's processors can do: 120 GFLOP/s where oneDNN,
    which torch brings too, does 480 (two cores of a Zen 5). Results differ in the last bits. What is freed is kept for
    the next layer (`freed_memory_kept`).
    """
    with freed_memory_kept(), _ByOneDNN() if products_by() == "oneDNN" else nullcontext():
        yield


def products_by() -> str:
    """Return who multiplies in `fast_passes`: "oneDNN", or "torch" as ever, also where XLPROBE_ONEDNN is "off".

    The processor's maker and instructions decide, not the clock, so that equal machines do the same.
    """
    return "oneDNN" if os.environ.get("XLPROBE_ONEDNN") != "off" and _is_faster() else "torch"


@cache
def _is_faster() -> bool:
    try:
        amd = "AuthenticAMD" in Path("/proc/cpuinfo").read_text(encoding="utf8")
    except OSError:  # elsewhere than on Linux
        return False
    able = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    return amd and able and torch.backends.mkl.is_available() and torch.backends.cpu.get_cpu_capability() == "AVX512"


class _ByOneDNN(TorchFunctionMode):
    def __enter__(self) -> Any:
        # oneDNN compiles a program for each number of rows, and keeps the last 1,024, twice: 400 MB after 300 lengths.
        for capacity in ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"):
            os.environ.setdefault(capacity, str(_KEPT_PROGRAMS))
        return super().__enter__()

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Any,
        arguments: tuple[Any, ...] = (),
        options: Mapping[str, Any] | None = None,
    ) -> Any:
        if function is torch.nn.functional.linear and not options and _fits(*arguments):
            inputs, weight, bias = (*arguments, None)[:3]
            return torch.ops.mkldnn._linear_pointwise(inputs, weight, bias, "none", [], "")
        return function(*arguments, **(options or {}))


def _fits(inputs: Tensor, weight: Tensor, bias: Tensor | None = None) -> bool:
    return (
        all(map(_is_plain, (inputs, weight)))
        and weight.dim() == 2
        and inputs.numel() >= _LEAST
        and not torch.is_grad_enabled()
    )


def _is_plain(one: Tensor) -> bool:
    """Whether a tensor is no kind of its own (quantised, shared, ...), and of float32 in a processor's memory."""
    of_torch = type(one) in (Tensor, torch.nn.Parameter)
    return of_torch and one.dtype == torch.float32 and one.device.type == "cpu" and one.layout == torch.strided

"""Computing in bfloat16 while the weights stay in float32: what training on any device does with `bf16`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from time import perf_counter
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakIdKeyDictionary

__all__ = ["HalfPrecision", "bfloat16_is_faster", "computing"]

HALF = torch.bfloat16


def bfloat16_is_faster(device: torch.device | str) -> bool:
    """Return whether a device multiplies bfloat16 faster than float32: on a CPU measured, once in a process.

    Where it does not, `bf16` means float32, which is nearer to the exact result too. What a processor says of itself
    does not tell: of two with AVX512-BF16 and no AMX, one took a third of float32's time, the other nearly twice it.
    """
    return torch.device(device).type != "cpu" or _faster_here()


@cache
def _faster_here() -> bool:
    """Multiply matrices of an encoder's size in both types by turns, and compare the least times (a tenth second)."""
    times: dict[torch.dtype, list[float]] = {torch.float32: [], HALF: []}
    given = {kind: (torch.ones(1024, 384, dtype=kind), torch.ones(384, 1536, dtype=kind)) for kind in times}
    for _ in range(7):
        for kind, (left, right) in given.items():
            start = perf_counter()
            torch.mm(left, right)
            times[kind].append(perf_counter() - start)
    return min(times[HALF]) < min(times[torch.float32])


def computing(half: bool, optimizer: torch.optim.Optimizer | None = None) -> AbstractContextManager[Any]:
    """Return a context that computes in bfloat16, or one that changes nothing; `optimizer` changes the weights."""
    if not half:
        return nullcontext()
    mode = HalfPrecision()
    if optimizer is not None:
        mode.follow(optimizer)
    return mode


class HalfPrecision(TorchFunctionMode):
    """Inside its `with`, linear layers and all that lies between them compute in bfloat16; losses in float32.

    As `torch.autocast`, but activations stay in bfloat16 through layer norms too, where autocast goes to float32 and
    back, and each weight is rounded once in every step (see `follow`), not once in every pass. The gradients of
    weights are float32, so parts of a batch add up without loss.
    """

    def __init__(self) -> None:
        super().__init__()
        self._rounded: WeakIdKeyDictionary = WeakIdKeyDictionary()

    def follow(self, optimizer: torch.optim.Optimizer) -> None:
        """Round the weights anew after each step of an optimiser."""
        # Fused optimisers write past autograd's count of changes, so that alone would not do.
        optimizer.register_step_post_hook(lambda *_: self._rounded.clear())

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run a torch function, in another type where it is one of three."""
        given = dict(kwargs or {})
        if func is nn.functional.linear:
            return self._linear(*args, **given)
        if func is nn.functional.layer_norm:
            return func(*args, **given).to(HALF)
        if func is nn.functional.cross_entropy:
            return func(args[0].float(), *args[1:], **given)
        return func(*args, **given)

    def _linear(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        return _Linear.apply(
            x.to(HALF), weight, bias, self.rounded(weight), None if bias is None else bias.detach().to(HALF)
        )

    def rounded(self, weight: Tensor) -> Tensor:
        """Return a weight in bfloat16, rounded when it was last seen to have changed."""
        known = self._rounded.get(weight)
        if known is None or known[0] != weight._version:
            known = weight._version, weight.detach().to(HALF)
            self._rounded[weight] = known
        return known[1]


class _Linear(torch.autograd.Function):
    """x w^T + b, of rounded weights, with gradients for the weights that they were rounded from."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Float[Tensor, "*some width"],
        weight: Float[Tensor, "out width"],
        bias: Float[Tensor, " out"] | None,
        rounded: Float[Tensor, "out width"],
        rounded_bias: Float[Tensor, " out"] | None,
    ) -> Float[Tensor, "*some out"]:
        ctx.save_for_backward(x if ctx.needs_input_grad[1] else None, rounded)
        return nn.functional.linear(x, rounded, rounded_bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, rounded = ctx.saved_tensors
        rows = grad.reshape(-1, grad.shape[-1])
        needs_x, needs_weight, needs_bias = ctx.needs_input_grad[:3]
        d_x = torch.matmul(grad, rounded) if needs_x else None
        d_weight = torch.matmul(rows.t(), x.reshape(-1, x.shape[-1])).float() if needs_weight else None
        return d_x, d_weight, rows.sum(dim=0).float() if needs_bias else None, None, None

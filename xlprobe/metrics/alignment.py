"""Centred kernel alignment of two sets of representations, debiased, whole or in pieces."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from xlprobe.errors import DataError
from xlprobe.metrics.tensors import as_float64

__all__ = ["AlignmentSums", "cka"]


@dataclass(frozen=True)
class AlignmentSums:
    """All that debiased linear CKA needs to know of two aligned sets of representations; adds up over pieces.

    `x`, `y`: sums of the rows; `xy`: X'Y; `x_size`, `y_size`: sums of squared row lengths; `size_product`: sum of
    their products; `x_by_y`: sum of x_i |y_i|^2, `y_by_x`: sum of y_i |x_i|^2. In float64, of rows shifted by `shift`.
    """

    count: int
    shift: tuple[Tensor, Tensor]
    x: Float[Tensor, " dx"]
    y: Float[Tensor, " dy"]
    xy: Float[Tensor, "dx dy"]
    x_size: float
    y_size: float
    size_product: float
    x_by_y: Float[Tensor, " dx"]
    y_by_x: Float[Tensor, " dy"]

    @classmethod
    def of(cls, x: Any, y: Any, shift: tuple[Tensor, Tensor] | None = None) -> AlignmentSums:
        """Sum one piece. Pieces that are to be added need the same `shift` (by default 0), best near the means."""
        x, y = _of_the_same_items(x, y)
        shift = (torch.zeros_like(x[0]), torch.zeros_like(y[0])) if shift is None else shift
        x, y = x - shift[0], y - shift[1]
        sizes = (x**2).sum(dim=1), (y**2).sum(dim=1)
        return cls(
            count=len(x),
            shift=shift,
            x=x.sum(dim=0),
            y=y.sum(dim=0),
            xy=x.T @ y,
            x_size=float(sizes[0].sum()),
            y_size=float(sizes[1].sum()),
            size_product=float(sizes[0] @ sizes[1]),
            x_by_y=sizes[1] @ x,
            y_by_x=sizes[0] @ y,
        )

    def __add__(self, other: AlignmentSums) -> AlignmentSums:
        if not all(torch.equal(a, b) for a, b in zip(self.shift, other.shift, strict=True)):
            raise DataError("got pieces with other shifts; expected one shift for all pieces")
        names = [one.name for one in fields(self) if one.name != "shift"]
        return replace(self, **{name: getattr(self, name) + getattr(other, name) for name in names})

    @property
    def hsic(self) -> float:
        """Unbiased Hilbert-Schmidt independence criterion of the linear kernels (Song et al. 2012, equation 4).

        NaN for fewer than four items.
        """
        n = self.count
        if n < 4:
            return math.nan
        trace = float((self.xy**2).sum()) - self.size_product
        totals = (float(self.x @ self.x) - self.x_size) * (float(self.y @ self.y) - self.y_size)
        cross = float(self.x @ self.xy @ self.y) - float(self.y_by_x @ self.y) - float(self.x_by_y @ self.x)
        cross += self.size_product
        return (trace + totals / ((n - 1) * (n - 2)) - 2 * cross / (n - 2)) / (n * (n - 3))


def cka(x: Any, y: Any, *, debiased: bool = True) -> float:
    """Linear centred kernel alignment of two sets of representations of the same items, (item, width) each.

    Debiased range about [-1, 1] and biased [0, 1]; up = more alike, 1: equal up to rotation, scale and shift, to which
    it is invariant; 0: unrelated. Symmetric. NaN for fewer than four items or without variance. Biased CKA of unrelated
    sets is near 1 where items are few and dimensions many; hence debiased by default. Source: Kornblith et al. 2019
    (arXiv 1905.00414); Murphy et al. 2024 (arXiv 2405.01012) for the bias.
    """
    x, y = _of_the_same_items(x, y)
    x, y = x - x.mean(dim=0), y - y.mean(dim=0)
    products = [_hsic(a, b, debiased) for a, b in ((x, y), (x, x), (y, y))]
    length = products[1] * products[2]
    return products[0] / math.sqrt(length) if products[1] > 0 and products[2] > 0 else math.nan


def _of_the_same_items(x: Any, y: Any) -> tuple[Float[Tensor, "item dx"], Float[Tensor, "item dy"]]:
    x, y = as_float64(x), as_float64(y)
    if x.dim() != 2 or y.dim() != 2 or len(x) != len(y):
        raise DataError(
            f"got representations {tuple(x.shape)} and {tuple(y.shape)}; expected (item, width) with the same items"
        )
    return x, y


def _hsic(x: Float[Tensor, "item dx"], y: Float[Tensor, "item dy"], debiased: bool) -> float:
    """HSIC of centred sets, up to a factor that cancels in CKA; by items or by dimensions, whichever are fewer."""
    n = len(x)
    if not debiased:
        return float(((x.T @ y) ** 2).sum()) if n > 0 else math.nan
    if n < 4 or n >= x.shape[1]:
        return AlignmentSums.of(x, y).hsic
    k, m = x @ x.T, y @ y.T
    k.fill_diagonal_(0.0)
    m.fill_diagonal_(0.0)
    rows = k.sum(dim=1), m.sum(dim=1)
    totals = float(rows[0].sum()) * float(rows[1].sum())
    trace = float((k * m).sum())
    return (trace + totals / ((n - 1) * (n - 2)) - 2 * float(rows[0] @ rows[1]) / (n - 2)) / (n * (n - 3))

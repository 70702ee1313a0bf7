"""Comparing two profiles of the same samples: all measures in one go, sharing what each profile knows of itself."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from xlprobe.errors import DataError
from xlprobe.metrics.profiles import Profile, align
from xlprobe.metrics.stability import hellinger, pearson_from_sums, total_variation
from xlprobe.metrics.tensors import row_entropy, weighted_mean

__all__ = ["SIMILARITIES", "compare"]


class _Sides:
    """Two profiles' rows, and the arrays of their size that several measures need."""

    def __init__(self, p: Profile, q: Profile) -> None:
        self.p, self.q = p, q

    @cached_property
    def total(self) -> Float[Tensor, "batch head row cell"]:
        return self.p.values + self.q.values

    @cached_property
    def products(self) -> Float[Tensor, "batch head row"]:
        return torch.linalg.vecdot(self.p.values, self.q.values)


def _stability(s: _Sides) -> Float[Tensor, "batch head row"]:
    nats = row_entropy(s.total * 0.5) - (s.p.entropy + s.q.entropy) * 0.5
    return 1.0 - (nats / math.log(2)).clamp(0.0, 1.0)


def _cosine(s: _Sides) -> Float[Tensor, "batch head row"]:
    return s.products / (s.p.squares * s.q.squares).sqrt()


def _pearson(s: _Sides) -> Float[Tensor, "batch head row"]:
    ones = torch.ones_like(s.products)
    return pearson_from_sums(s.products, s.p.squares, s.q.squares, ones, ones, s.p.num_cells[:, None, None])


def _argmax_agreement(s: _Sides) -> Float[Tensor, "batch head row"]:
    return (s.total.amax(dim=-1) == s.p.largest + s.q.largest).double()


_MEASURES: dict[str, Callable[[_Sides], Tensor]] = {
    "js_stability": _stability,
    "total_variation": lambda s: total_variation(s.p.values, s.q.values),
    "cosine": _cosine,
    "hellinger": lambda s: hellinger(s.p.values, s.q.values),
    "pearson": _pearson,
    "argmax_agreement": _argmax_agreement,
}

SIMILARITIES = tuple(_MEASURES)
"""What `compare` computes: the primary measure, then its robustness set (see `xlprobe.metrics.stability`)."""


def compare(p: Profile, q: Profile, names: Sequence[str] = SIMILARITIES) -> dict[str, Float[Tensor, "batch head"]]:
    """Compare two profiles of the same samples row by row, and average over rows with weight min(residuals).

    Returns each measure in `names`, in float64. NaN where no row has weight in both, and where fewer than two cells
    exist (a single cell is always fully attended). Profiles of other shapes, or with other rows or cells, are first
    cut to what both have (`align`).
    """
    unknown = sorted(set(names) - set(SIMILARITIES))
    if unknown:
        raise DataError(f"got the measures {unknown}; expected some of {', '.join(SIMILARITIES)}")
    if p.values.shape[:2] != q.values.shape[:2]:
        raise DataError(
            f"got profiles of (batch, head) {tuple(p.values.shape[:2])} and {tuple(q.values.shape[:2])}; expected the "
            "same samples and heads. Pick the samples with Profile.select"
        )
    same = p.values.shape == q.values.shape and torch.equal(p.cells, q.cells) and torch.equal(p.rows, q.rows)
    if not same:
        p, q = align(p, q)
    weights = torch.minimum(p.weights, q.weights)
    undefined = (p.num_cells < 2)[:, None]
    sides = _Sides(p, q)
    rowwise = torch.stack([_MEASURES[name](sides).double() for name in names])
    means = weighted_mean(rowwise, weights).masked_fill(undefined, math.nan)
    return dict(zip(names, means, strict=True))

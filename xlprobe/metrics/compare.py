"""Comparing two profiles of the same samples: all similarity measures in one go, sharing their sums."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from xlprobe.errors import DataError
from xlprobe.metrics.profiles import Profile, align
from xlprobe.metrics.stability import pearson_from_sums
from xlprobe.metrics.tensors import row_entropy, weighted_mean

__all__ = ["SIMILARITIES", "compare"]


@dataclass(frozen=True)
class _RowSums:
    """The sums over cells that the measures share, each computed when first asked for."""

    p: Profile
    q: Profile

    @cached_property
    def middle(self) -> Float[Tensor, "batch head row cell"]:
        return (self.p.values + self.q.values).mul_(0.5)

    @cached_property
    def products(self) -> Float[Tensor, "batch head row"]:
        return torch.linalg.vecdot(self.p.values, self.q.values)

    @cached_property
    def stability(self) -> Float[Tensor, "batch head row"]:
        nats = row_entropy(self.middle) - (self.p.entropy + self.q.entropy) * 0.5
        return 1.0 - (nats / math.log(2)).clamp(0.0, 1.0)

    @cached_property
    def total_variation(self) -> Float[Tensor, "batch head row"]:
        return (self.p.values - self.q.values).abs_().sum(dim=-1) * 0.5

    @cached_property
    def cosine(self) -> Float[Tensor, "batch head row"]:
        return self.products / (self.p.squares * self.q.squares).sqrt()

    @cached_property
    def hellinger(self) -> Float[Tensor, "batch head row"]:
        return (1.0 - (self.p.values * self.q.values).sqrt_().sum(dim=-1)).clamp_min(0.0).sqrt()

    @cached_property
    def pearson(self) -> Float[Tensor, "batch head row"]:
        ones = torch.ones_like(self.products)
        count = self.p.num_cells[:, None, None]
        return pearson_from_sums(self.products, self.p.squares, self.q.squares, ones, ones, count)

    @cached_property
    def argmax_agreement(self) -> Float[Tensor, "batch head row"]:
        return (self.middle.amax(dim=-1) * 2 == self.p.largest + self.q.largest).double()


_MEASURES: dict[str, Callable[[_RowSums], Tensor]] = {
    "js_stability": lambda rows: rows.stability,
    "total_variation": lambda rows: rows.total_variation,
    "cosine": lambda rows: rows.cosine,
    "hellinger": lambda rows: rows.hellinger,
    "pearson": lambda rows: rows.pearson,
    "argmax_agreement": lambda rows: rows.argmax_agreement,
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
    rows = _RowSums(p, q)
    return {name: weighted_mean(_MEASURES[name](rows), weights).masked_fill(undefined, math.nan) for name in names}

"""Comparing two profiles of the same samples: all measures in one go, sharing what each profile knows of itself."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from xlprobe.errors import DataError
from xlprobe.metrics.profiles import Profile, align
from xlprobe.metrics.stability import hellinger, pearson_from_sums, total_variation
from xlprobe.metrics.tensors import by_rows, row_entropy, weighted_mean

__all__ = ["SIMILARITIES", "compare"]


def _middle_entropy(p: Tensor, q: Tensor) -> Tensor:
    return row_entropy((p + q).mul_(0.5))


def _largest_of_sum(p: Tensor, q: Tensor) -> Tensor:
    return (p + q).amax(dim=-1)


def _stability(p: Profile, q: Profile) -> Float[Tensor, "batch head row"]:
    nats = by_rows(_middle_entropy, p.values, q.values) - (p.entropy + q.entropy) * 0.5
    return 1.0 - (nats / math.log(2)).clamp(0.0, 1.0)


def _cosine(p: Profile, q: Profile) -> Float[Tensor, "batch head row"]:
    return torch.linalg.vecdot(p.values, q.values) / (p.squares * q.squares).sqrt()


def _pearson(p: Profile, q: Profile) -> Float[Tensor, "batch head row"]:
    products = torch.linalg.vecdot(p.values, q.values)
    ones = torch.ones_like(products)
    return pearson_from_sums(products, p.squares, q.squares, ones, ones, p.num_cells[:, None, None])


def _argmax_agreement(p: Profile, q: Profile) -> Float[Tensor, "batch head row"]:
    return (by_rows(_largest_of_sum, p.values, q.values) == p.largest + q.largest).double()


_MEASURES: dict[str, Callable[[Profile, Profile], Tensor]] = {
    "js_stability": _stability,
    "total_variation": lambda p, q: by_rows(total_variation, p.values, q.values),
    "cosine": _cosine,
    "hellinger": lambda p, q: by_rows(hellinger, p.values, q.values),
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
    rowwise = torch.stack([_MEASURES[name](p, q).double() for name in names])
    means = weighted_mean(rowwise, weights).masked_fill(undefined, math.nan)
    return dict(zip(names, means, strict=True))

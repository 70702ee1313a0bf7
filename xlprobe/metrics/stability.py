"""How alike two rows of attention are: Jensen-Shannon stability and the robustness set around it."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from xlprobe.errors import DataError
from xlprobe.metrics.tensors import as_float, row_entropy, weighted_mean

__all__ = [
    "LEAST_VARIANCE",
    "argmax_agreement",
    "cosine",
    "hellinger",
    "js_divergence",
    "js_stability",
    "pearson",
    "pearson_from_sums",
    "total_variation",
]

LEAST_VARIANCE = 1e-6
"""A smaller share of the sum of squares is rounding, and counts as no variance."""


def _pair(p: Tensor, q: Tensor) -> tuple[Tensor, Tensor]:
    p, q = as_float(p), as_float(q)
    if p.shape[-1] != q.shape[-1]:
        raise DataError(
            f"got distributions over {p.shape[-1]} and {q.shape[-1]} cells; expected the same cells. "
            "Pool to units, or cut both to what they share with align"
        )
    return p, q


def js_divergence(p: Float[Tensor, "*batch cell"], q: Float[Tensor, "*batch cell"]) -> Float[Tensor, "*batch"]:
    """Jensen-Shannon divergence in bits: H((p+q)/2) - (H(p)+H(q))/2.

    Range [0, 1]; 0: equal; 1: no cell in common. Symmetric. Rows must sum to 1; absent cells are 0 in both, and add
    nothing. Source: Lin 1991, IEEE Trans. Inf. Theory 37(1), section IV.
    """
    p, q = _pair(p, q)
    nats = row_entropy((p + q) * 0.5) - (row_entropy(p) + row_entropy(q)) * 0.5
    return (nats / math.log(2)).clamp(0.0, 1.0)


def js_stability(
    p: Float[Tensor, "*batch row cell"],
    q: Float[Tensor, "*batch row cell"],
    p_weights: Float[Tensor, "*batch row"] | None = None,
    q_weights: Float[Tensor, "*batch row"] | None = None,
) -> Float[Tensor, "*batch"]:
    """Jensen-Shannon stability: 1 - sum_u w_u JSD_u / sum_u w_u, w the smaller of the two residual masses of row u.

    Range [0, 1], up = more stable; 1: equal rows; 0: no attended cell in common. NaN where no row has weight.
    Without weights every row weighs 1. Note that a uniform head is perfectly stable: read it beside its entropy.
    """
    divergence = js_divergence(p, q)
    ones = torch.ones_like(divergence)
    first = ones if p_weights is None else as_float(p_weights)
    second = ones if q_weights is None else as_float(q_weights)
    return 1.0 - weighted_mean(divergence, torch.minimum(first, second))


def total_variation(p: Float[Tensor, "*batch cell"], q: Float[Tensor, "*batch cell"]) -> Float[Tensor, "*batch"]:
    """Half the sum of absolute differences; range [0, 1], 0: equal, 1: no cell in common. Symmetric."""
    p, q = _pair(p, q)
    return (p - q).abs_().sum(dim=-1) * 0.5


def cosine(p: Float[Tensor, "*batch cell"], q: Float[Tensor, "*batch cell"]) -> Float[Tensor, "*batch"]:
    """Cosine of two rows; range [0, 1] for attention, 1: equal, 0: no cell in common; NaN for a row of zeros."""
    p, q = _pair(p, q)
    return torch.linalg.vecdot(p, q) / (torch.linalg.vecdot(p, p) * torch.linalg.vecdot(q, q)).sqrt()


def hellinger(p: Float[Tensor, "*batch cell"], q: Float[Tensor, "*batch cell"]) -> Float[Tensor, "*batch"]:
    """Hellinger distance sqrt(sum (sqrt p - sqrt q)^2 / 2); range [0, 1], 0: equal, 1: no cell in common. Symmetric."""
    p, q = _pair(p, q)
    # Not sqrt(1 - sum sqrt(p q)): that loses half the digits where the rows are nearly equal.
    return torch.linalg.vector_norm(p.sqrt() - q.sqrt(), dim=-1) * math.sqrt(0.5)


def pearson(
    p: Float[Tensor, "*batch cell"],
    q: Float[Tensor, "*batch cell"],
    num_cells: Float[Tensor, "*batch"] | None = None,
) -> Float[Tensor, "*batch"]:
    """Pearson correlation of two rows over their cells; range [-1, 1], 1: equal; NaN where a row is constant.

    `num_cells` counts the cells that exist, where rows are padded with zeros.
    """
    p, q = _pair(p, q)
    count = torch.full_like(p[..., 0], p.shape[-1]) if num_cells is None else as_float(num_cells)
    return pearson_from_sums(
        torch.linalg.vecdot(p, q), torch.linalg.vecdot(p, p), torch.linalg.vecdot(q, q), p.sum(-1), q.sum(-1), count
    )


def pearson_from_sums(
    pq: Float[Tensor, "*batch"],
    pp: Float[Tensor, "*batch"],
    qq: Float[Tensor, "*batch"],
    p: Float[Tensor, "*batch"],
    q: Float[Tensor, "*batch"],
    count: Float[Tensor, "*batch"],
) -> Float[Tensor, "*batch"]:
    """Pearson correlation from the sums of products and of values; a variance lost in rounding counts as none."""
    pq, pp, qq, p, q = (part.double() for part in (pq, pp, qq, p, q))
    count = count.double()
    covariance = pq - p * q / count
    variances = pp - p * p / count, qq - q * q / count
    constant = (variances[0] <= LEAST_VARIANCE * pp) | (variances[1] <= LEAST_VARIANCE * qq)
    correlation = covariance / (variances[0].clamp_min(0) * variances[1].clamp_min(0)).sqrt()
    return correlation.clamp(-1.0, 1.0).masked_fill(constant, math.nan)


def argmax_agreement(p: Float[Tensor, "*batch cell"], q: Float[Tensor, "*batch cell"]) -> Float[Tensor, "*batch"]:
    """1 where both rows have their largest value in the same cell, else 0; a tie agrees if any largest cell is shared.

    Averaged over rows its range is [0, 1], up = more stable. Symmetric. NaN for a row of zeros.
    """
    p, q = _pair(p, q)
    # The largest sum reaches the sum of the largest exactly when one cell is largest in both.
    tops = p.amax(dim=-1), q.amax(dim=-1)
    agree = ((p + q).amax(dim=-1) == tops[0] + tops[1]).to(p.dtype)
    return agree.masked_fill((tops[0] == 0) | (tops[1] == 0), math.nan)

"""The shape of attention by itself: how spread out it is, and how far it reaches."""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from xlprobe.metrics.mass import text_mass
from xlprobe.metrics.pooled import PooledPattern
from xlprobe.metrics.profiles import Profile
from xlprobe.metrics.tensors import as_float, row_entropy, weighted_mean

__all__ = ["attention_distance", "normalised_entropy", "pattern_distance", "profile_entropy"]


def normalised_entropy(
    p: Float[Tensor, "*batch cell"], num_cells: Float[Tensor, "*batch"] | None = None
) -> Float[Tensor, "*batch"]:
    """Entropy of attention over K cells divided by log K.

    Range [0, 1]; 0: everything on one cell, 1: uniform; no better direction: it is the companion of stability (a
    uniform head is perfectly stable). NaN for fewer than two cells and for a row of zeros. `num_cells` counts the
    cells that exist where rows are padded with zeros. Source: Ghader and Monz 2017 (arXiv 1710.03348), section 5.
    """
    p = as_float(p)
    count = torch.full_like(p[..., 0], p.shape[-1]) if num_cells is None else as_float(num_cells)
    scaled = row_entropy(p) / count.log()
    return scaled.masked_fill((count < 2) | (p.sum(dim=-1) == 0), math.nan)


def profile_entropy(profile: Profile) -> Float[Tensor, "batch head"]:
    """Normalised entropy of a profile's rows, averaged with the residual masses as weights, in float64.

    Range [0, 1] as `normalised_entropy`. Specials are no cells. NaN without weight or with fewer than two cells. Under
    a causal mask each row is divided by the log of the cells that it can see, and rows that see one only are left out.
    """
    if profile.open_cells is not None:
        scaled = profile.entropy / profile.row_cells.clamp_min(2).log()
        return weighted_mean(scaled, profile.free_weights)
    cells = profile.num_cells[:, None]
    mean = weighted_mean(profile.entropy, profile.weights) / cells.log()
    return mean.masked_fill(cells < 2, math.nan)


def attention_distance(
    pattern: Float[Tensor, "*batch query key"],
    keep: Bool[Tensor, "*batch position"] | None = None,
    *,
    normalise: bool = False,
) -> Float[Tensor, "*batch query"]:
    """Mean distance in tokens between a query and what it attends to: sum_k A_qk |q - k|, rows renormalised.

    Range [0, n - 1], or [0, 1) with `normalise`, which divides by the number n of kept tokens, as is needed across
    languages. 0: attention to itself only. NaN for queries outside `keep`, and for rows without mass inside it.
    `keep` leaves out [CLS], separators and padding, as keys and as queries; positions keep their numbers.
    Source: Vig and Belinkov 2019 (arXiv 1906.04284), section 5.2.
    """
    values = as_float(pattern)
    kept = torch.ones_like(values[..., 0, :], dtype=torch.bool) if keep is None else torch.as_tensor(keep)
    open_keys = kept[..., None, :].to(values.dtype)
    mass = (values * open_keys).sum(dim=-1)
    distance = (values * _steps(values) * open_keys).sum(dim=-1) / mass
    if normalise:
        distance = distance / kept.sum(dim=-1, keepdim=True)
    return distance.masked_fill(~kept, math.nan)


def pattern_distance(pooled: PooledPattern) -> Float[Tensor, "batch head"]:
    """Attention distance of a pattern over its text tokens, divided by their number, averaged over queries.

    Range [0, 1); 0: every token attends to itself. The mean weighs queries by their residual mass. Special tokens and
    padding are left out on both sides, norms out of account. NaN without text. Under a causal mask later tokens can
    look farther back: compare it at like lengths.
    """
    pooled = pooled if pooled.norms is None else PooledPattern(pooled.pattern, pooled.roles)
    text = (pooled.roles.context | pooled.roles.question).to(pooled.pattern.dtype)
    steps = _steps(pooled.pattern)
    # The mean over queries of near / mass, weighted by mass, is the sum of near over the sum of mass.
    near = [
        one.flatten(1) @ (steps * kept[:, None] * kept).flatten()
        for one, kept in zip(pooled.pattern, text, strict=True)
    ]
    return torch.stack(near).double() / text_mass(pooled) / text.sum(dim=1).double()[:, None]


def _steps(values: Float[Tensor, "*batch query key"]) -> Float[Tensor, "query key"]:
    positions = torch.arange(values.shape[-1], device=values.device, dtype=values.dtype)
    return (positions[: values.shape[-2], None] - positions).abs()

"""Comparing two profiles of the same samples: every metric at once, sharing what each profile knows of its rows."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from xlprobe.errors import DataError
from xlprobe.metrics import stability
from xlprobe.metrics.base import Metric, get_metric
from xlprobe.metrics.profiles import Profile, align
from xlprobe.metrics.tensors import at_once, compiled_for, row_entropy, weighted_mean

__all__ = ["SIMILARITIES", "compare", "compare_pairs"]

SIMILARITIES = ("js_stability", "total_variation", "cosine", "hellinger", "pearson", "argmax_agreement")
"""The primary comparison, then its robustness set (see `xlprobe.metrics.stability`)."""

Rows = Float[Tensor, "pair head row"]


def rows_js_stability(p: Profile, q: Profile) -> Rows:
    """1 - Jensen-Shannon divergence in bits of each row; range [0, 1]."""
    nats = row_entropy((p.values + q.values) * 0.5) - (p.entropy + q.entropy) * 0.5
    return 1.0 - (nats / math.log(2)).clamp(0.0, 1.0)


def rows_total_variation(p: Profile, q: Profile) -> Rows:
    """Total variation of each row; range [0, 1]."""
    return stability.total_variation(p.values, q.values)


def rows_cosine(p: Profile, q: Profile) -> Rows:
    """Cosine of each row; range [0, 1]."""
    return torch.linalg.vecdot(p.values, q.values) / (p.squares * q.squares).sqrt()


def rows_hellinger(p: Profile, q: Profile) -> Rows:
    """Hellinger distance of each row; range [0, 1]."""
    return stability.hellinger(p.values, q.values)


def rows_pearson(p: Profile, q: Profile) -> Rows:
    """Pearson correlation of each row over its cells; range [-1, 1]."""
    products = torch.linalg.vecdot(p.values, q.values)
    ones = torch.ones_like(products)
    return stability.pearson_from_sums(products, p.squares, q.squares, ones, ones, p.row_cells)


def rows_argmax_agreement(p: Profile, q: Profile) -> Rows:
    """1 where the largest value of both rows is in one cell, else 0."""
    return ((p.values + q.values).amax(dim=-1) == p.largest + q.largest).double()


def compare(
    p: Profile, q: Profile, names: Sequence[str | Metric] = SIMILARITIES
) -> dict[str, Float[Tensor, "batch head"]]:
    """Compare two profiles of the same samples row by row, and average over rows with weight min(residuals).

    Returns each comparison in `names`, in float64. NaN where no row has weight in both, and where fewer than two cells
    exist (a single cell is always fully attended); rows that a causal mask leaves a single cell are left out.
    Profiles of other shapes, or with other rows or cells, are first cut to what both have (`align`).
    """
    metrics = [one if isinstance(one, Metric) else get_metric(one) for one in names]
    if wrong := sorted(one.name for one in metrics if (one.kind, one.takes) != ("comparison", "rows")):
        raise DataError(f"got the metrics {wrong}; expected comparisons such as {', '.join(SIMILARITIES)}")
    if p.values.shape[:2] != q.values.shape[:2]:
        raise DataError(
            f"got profiles of (batch, head) {tuple(p.values.shape[:2])} and {tuple(q.values.shape[:2])}; expected the "
            "same samples and heads. Pick the samples with Profile.select"
        )
    return dict(zip([one.name for one in metrics], _means(*_cut_alike(p, q), metrics), strict=True))


def compare_pairs(
    profile: Profile,
    left: Int[Tensor, " pair"],
    right: Int[Tensor, " pair"],
    metrics: Sequence[Metric],
    *,
    alike: bool = False,
) -> dict[str, Float[Tensor, "pair head"]]:
    """Compare samples of one profile with each other, as `compare` does, a few pairs at a time.

    `alike` says that the two sides of every pair have the same rows and cells.
    """
    fast = _compiled_means(profile, left, right, metrics, alike)
    rest = [one for one in metrics if one.name not in fast]
    size = at_once(profile.values[0].numel())
    means = []
    for one, other in zip(left.split(size), right.split(size), strict=True) if rest else ():
        p, q = profile.select(one), profile.select(other)
        means.append(_means(*((p, q) if alike else _cut_alike(p, q)), rest))
    return fast | dict(zip([one.name for one in rest], torch.cat(means, dim=1) if rest else (), strict=True))


_COMPILED = (
    rows_js_stability, rows_total_variation, rows_cosine, rows_hellinger, rows_pearson, rows_argmax_agreement,
)  # fmt: skip
"""What `xlprobe.metrics.compiled` computes, in its order."""


def _compiled_means(
    profile: Profile, left: Tensor, right: Tensor, metrics: Sequence[Metric], alike: bool
) -> dict[str, Float[Tensor, "pair head"]]:
    """Return, by name, those comparisons that compiled code makes: of single precision, on a processor, not causal."""
    numbers = {one.name: _COMPILED.index(one.function) for one in metrics if one.function in _COMPILED}
    if not numbers or profile.open_cells is not None or (code := compiled_for(profile.values, profile.weights)) is None:
        return {}
    known = torch.stack([profile.entropy, profile.squares, profile.largest, profile.weights])
    count = len(_COMPILED) if any(numbers.values()) else 1
    means = torch.empty(count, len(left), profile.values.shape[1], dtype=torch.float64)
    code.run(code.compare_rows, profile.values, known, profile.rows, profile.cells, left, right, alike, means)
    return {name: means[number] for name, number in numbers.items()}


def _cut_alike(p: Profile, q: Profile) -> tuple[Profile, Profile]:
    same = p.values.shape == q.values.shape and torch.equal(p.cells, q.cells) and torch.equal(p.rows, q.rows)
    return (p, q) if same else align(p, q)


def _means(p: Profile, q: Profile, metrics: Sequence[Metric]) -> Float[Tensor, "metric pair head"]:
    """Compute each metric's rows, and their means by weight."""
    rowwise = []
    for one in metrics:
        rows = one.function(p, q)
        if rows.shape != p.weights.shape:
            raise DataError(
                f"the metric {one.name!r} gave values of shape {tuple(rows.shape)} for rows of attention "
                f"{tuple(p.values.shape)}; expected one value a row, {tuple(p.weights.shape)}"
            )
        rowwise.append(rows.double())
    means = weighted_mean(torch.stack(rowwise), torch.minimum(p.free_weights, q.free_weights))
    return means.masked_fill((p.num_cells < 2)[:, None], math.nan)

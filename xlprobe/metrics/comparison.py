"""Comparing two profiles of the same samples: all measures in one go, sharing what each profile knows of itself."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from xlprobe.errors import DataError
from xlprobe.metrics.profiles import Profile, align
from xlprobe.metrics.stability import hellinger, pearson_from_sums, total_variation
from xlprobe.metrics.tensors import at_once, row_entropy, weighted_mean

__all__ = ["SIMILARITIES", "compare", "compare_pairs"]

Facts = dict[str, Tensor]
"""What is known of two sides' rows: of each side by itself, or (see `_together`) of both."""


def _stability(both: Facts, p: Facts, q: Facts) -> Float[Tensor, "batch head row"]:
    nats = both["mixed_entropy"] - (p["entropy"] + q["entropy"]) * 0.5
    return 1.0 - (nats / math.log(2)).clamp(0.0, 1.0)


def _cosine(both: Facts, p: Facts, q: Facts) -> Float[Tensor, "batch head row"]:
    return both["products"] / (p["squares"] * q["squares"]).sqrt()


def _pearson(both: Facts, p: Facts, q: Facts) -> Float[Tensor, "batch head row"]:
    products = both["products"]
    ones = torch.ones_like(products)
    return pearson_from_sums(products, p["squares"], q["squares"], ones, ones, p["num_cells"][:, None, None])


def _argmax_agreement(both: Facts, p: Facts, q: Facts) -> Float[Tensor, "batch head row"]:
    return (both["largest_sum"] == p["largest"] + q["largest"]).double()


_MEASURES: dict[str, tuple[str, tuple[str, ...], Callable[[Facts, Facts, Facts], Tensor]]] = {
    "js_stability": ("mixed_entropy", ("entropy",), _stability),
    "total_variation": ("total_variation", (), lambda both, p, q: both["total_variation"]),
    "cosine": ("products", ("squares",), _cosine),
    "hellinger": ("hellinger", (), lambda both, p, q: both["hellinger"]),
    "pearson": ("products", ("squares",), _pearson),
    "argmax_agreement": ("largest_sum", ("largest",), _argmax_agreement),
}
"""For each measure what it needs to know of both sides together, and of each, and how it is made of them."""

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
    return _measures(names, *_facts(p, q, names))


def compare_pairs(
    profile: Profile,
    left: Int[Tensor, " pair"],
    right: Int[Tensor, " pair"],
    names: Sequence[str] = SIMILARITIES,
    *,
    alike: bool = False,
) -> dict[str, Float[Tensor, "pair head"]]:
    """Compare samples of one profile with each other, as `compare` does, a few pairs at a time.

    `alike` says that the two sides of every pair have the same rows and cells.
    """
    known = _alone(profile, names)  # once for all pairs that a sample takes part in
    size = at_once(profile.values[0].numel())
    sides = zip(left.split(size), right.split(size), strict=True)
    # Only what is as large as the profile is taken in pieces; the rest is small, and made for all pairs at once.
    if alike:
        both = [_together(profile.pick("values", one), profile.pick("values", other), names) for one, other in sides]
        p, q = ({fact: values.index_select(0, side) for fact, values in known.items()} for side in (left, right))
        return _measures(names, _joined(both), p, q)
    facts = [_facts(profile.select(one), profile.select(other), names) for one, other in sides]
    return _measures(names, *(_joined(parts) for parts in zip(*facts, strict=True)))


def _facts(p: Profile, q: Profile, names: Sequence[str]) -> tuple[Facts, Facts, Facts]:
    """What is known of both sides together and of each, cut to what both have."""
    same = p.values.shape == q.values.shape and torch.equal(p.cells, q.cells) and torch.equal(p.rows, q.rows)
    if not same:
        p, q = align(p, q)
    return _together(p.values, q.values, names), _alone(p, names), _alone(q, names)


def _joined(parts: Sequence[Facts]) -> Facts:
    """Put facts of several pairs together; rows that only some have weigh nothing in the others."""
    return {fact: _stacked([part[fact] for part in parts]) for fact in parts[0]}


def _stacked(arrays: Sequence[Tensor]) -> Tensor:
    widest = max(array.shape[-1] for array in arrays)
    if arrays[0].dim() > 1:
        arrays = [torch.nn.functional.pad(array, (0, widest - array.shape[-1])) for array in arrays]
    return torch.cat(list(arrays))


def _together(p: Tensor, q: Tensor, names: Sequence[str]) -> Facts:
    """What the measures need to know of both sides' values together."""
    wanted = {_MEASURES[name][0] for name in names}
    found = {}
    if wanted & {"mixed_entropy", "largest_sum"}:
        total = p + q
        if "mixed_entropy" in wanted:
            found["mixed_entropy"] = row_entropy(total * 0.5)
        if "largest_sum" in wanted:
            found["largest_sum"] = total.amax(dim=-1)
    if "products" in wanted:
        found["products"] = torch.linalg.vecdot(p, q)
    if "total_variation" in wanted:
        found["total_variation"] = total_variation(p, q)
    if "hellinger" in wanted:
        found["hellinger"] = hellinger(p, q)
    return found


def _alone(profile: Profile, names: Sequence[str]) -> Facts:
    """What the measures need to know of one side."""
    facts = {fact for name in names for fact in _MEASURES[name][1]}
    return {fact: getattr(profile, fact) for fact in ("weights", "num_cells", *sorted(facts))}


def _measures(names: Sequence[str], both: Facts, p: Facts, q: Facts) -> dict[str, Float[Tensor, "batch head"]]:
    weights = torch.minimum(p["weights"], q["weights"])
    rowwise = torch.stack([_MEASURES[name][2](both, p, q).double() for name in names])
    means = weighted_mean(rowwise, weights).masked_fill((p["num_cells"] < 2)[:, None], math.nan)
    return dict(zip(names, means, strict=True))

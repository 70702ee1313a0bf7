"""How much of a representation is the language: retrieval across languages, variance, and removal of the language."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from xlprobe.errors import DataError
from xlprobe.metrics.tensors import as_float64

__all__ = [
    "RETRIEVALS",
    "halves",
    "language_eta_squared",
    "language_subspace",
    "remove_subspace",
    "retrieval",
    "retrieval_hits",
    "retrieval_items",
    "retrieval_rates",
]

RETRIEVALS = ("retrieval_raw", "retrieval_centred", "retrieval_offset", "retrieval_language_removed", "neutrality_gap")
"""What `retrieval_rates` computes."""


def retrieval(x: Any, y: Any, *, distance: Literal["cosine", "euclidean"] = "cosine") -> float:
    """Share of items in x whose nearest neighbour in y is their own translation (the same row).

    Range [0, 1], up; chance is 1 / items, and so is what equal representations of all items give (ties share). Not
    symmetric: average both directions. NaN without items. Cosine is invariant to rotation and scale, Euclidean also to
    a common shift. Source: Pires et al. 2019 (arXiv 1906.01502), section 4.3.
    """
    hits = retrieval_hits(x, y, distance=distance)
    return float(hits.mean()) if len(hits) else math.nan


def retrieval_hits(x: Any, y: Any, *, distance: Literal["cosine", "euclidean"] = "cosine") -> Float[Tensor, " item"]:
    """Whether each item of x finds its translation in y: 1, or 0, or a share of 1 among neighbours equally near."""
    x, y = _of_the_same_items(x, y)
    if distance not in ("cosine", "euclidean"):
        raise DataError(f"got distance={distance!r}; expected 'cosine' or 'euclidean'")
    if len(x) == 0:
        return x.new_zeros(0)
    if distance == "cosine":
        x, y = (part / part.norm(dim=1, keepdim=True).clamp_min(1e-300) for part in (x, y))
        closeness = x @ y.T
    else:
        closeness = 2 * x @ y.T - (y**2).sum(dim=1)
    own = closeness.diagonal()[:, None]
    margin = 1e-12 * closeness.abs().amax(dim=1, keepdim=True)
    better = (closeness > own + margin).any(dim=1)
    tied = ((closeness - own).abs() <= margin).sum(dim=1)
    return (~better).double() / tied


def halves(groups: Sequence[Any] | int, seed: int = 0) -> Bool[Tensor, " item"]:
    """Split items at random into two halves, whole groups together; True marks the first."""
    labels = list(range(groups)) if isinstance(groups, int) else list(groups)
    names = sorted(set(labels), key=str)
    order = torch.randperm(len(names), generator=torch.Generator().manual_seed(seed)).tolist()
    first = {names[place] for place in order[: len(names) // 2]}
    return torch.tensor([label in first for label in labels])


def language_subspace(means: Float[Tensor, "language width"], rank: int | None = None) -> Float[Tensor, "rank width"]:
    """Return an orthonormal basis of the directions in which the languages' means differ.

    The leading right singular vectors of the centred means; by default all, one fewer than languages.
    """
    centred = as_float64(means) - as_float64(means).mean(dim=0)
    _, sizes, directions = torch.linalg.svd(centred, full_matrices=False)
    kept = int((sizes > 1e-10 * sizes.max().clamp_min(1e-300)).sum())
    return directions[: min(kept, len(centred) - 1 if rank is None else rank)]


def remove_subspace(x: Any, basis: Float[Tensor, "rank width"]) -> Float[Tensor, "item width"]:
    """Project the directions of an orthonormal basis out of representations."""
    x = as_float64(x)
    return x - x @ basis.T @ basis


def retrieval_items(
    x: Any,
    y: Any,
    *,
    groups: Sequence[Any] | None = None,
    languages: Mapping[str, Any] | None = None,
    distance: Literal["cosine", "euclidean"] = "cosine",
    seed: int = 0,
) -> dict[str, Float[Tensor, " item"]]:
    """Retrieve translations raw, with language means taken off, offset by them, and without the language subspace.

    Means come from one half of the items (whole groups) and retrieval is within the other; then the halves change
    places, so that each item has a value: its mean over both directions. *Centred* takes each language's mean off
    (Libovicky et al. 2020, arXiv 2004.05160); *offset* adds the difference of means to x (Pires et al. 2019, arXiv
    1906.01502); *language removed* projects the subspace of the means of `languages` (by default of the two) out of
    both. The *neutrality gap* is centred - raw: what a shift by language costs, 0 where there is none. Ranges
    [0, 1], the gap [-1, 1]; chance is 1 / items of a half. NaN where a half has fewer than two items.
    """
    x, y = _of_the_same_items(x, y)
    first = halves(len(x) if groups is None else groups, seed)
    if len(first) != len(x):
        raise DataError(f"got {len(first)} groups for {len(x)} items; expected one for each")
    hits = {name: torch.full((len(x),), math.nan, dtype=torch.float64) for name in RETRIEVALS}
    if min(int(first.sum()), int((~first).sum())) < 2:
        return hits
    every = [x, y] if languages is None else [as_float64(part) for part in languages.values()]
    for fitted in (first, ~first):
        basis = language_subspace(torch.stack([part[fitted].mean(dim=0) for part in every]))
        sides = [(x[~fitted], x[fitted].mean(dim=0)), (y[~fitted], y[fitted].mean(dim=0))]
        for name in RETRIEVALS[:-1]:
            hits[name][~fitted] = 0.0
        for (source, own), (target, other) in (sides, sides[::-1]):
            variants = {
                "retrieval_raw": (source, target),
                "retrieval_centred": (source - own, target - other),
                "retrieval_offset": (source + (other - own), target),
                "retrieval_language_removed": (remove_subspace(source, basis), remove_subspace(target, basis)),
            }
            for name, pair in variants.items():
                hits[name][~fitted] += retrieval_hits(*pair, distance=distance) / 2
    return hits | {"neutrality_gap": hits["retrieval_centred"] - hits["retrieval_raw"]}


def _of_the_same_items(x: Any, y: Any) -> tuple[Float[Tensor, "item width"], Float[Tensor, "item width"]]:
    x, y = as_float64(x), as_float64(y)
    if x.shape != y.shape or x.dim() != 2:
        raise DataError(f"got {tuple(x.shape)} and {tuple(y.shape)}; expected (item, width), the same items in both")
    return x, y


def retrieval_rates(x: Any, y: Any, **options: Any) -> dict[str, float]:
    """Return the rates of each way to retrieve: the means over items of `retrieval_items`, which has the options.

    Range [0, 1], up; of the neutrality gap [-1, 1], down. NaN where a half of the items has fewer than two.
    """
    first = retrieval_items(x, y, **options)
    seed, groups = options.get("seed", 0), options.get("groups")
    half = halves(len(as_float64(x)) if groups is None else groups, seed)
    # Each half weighs the same, also where their sizes differ by one.
    return {name: float((hits[half].mean() + hits[~half].mean()) / 2) for name, hits in first.items()}


def language_eta_squared(representations: Mapping[str, Any]) -> float:
    """Share of the variance of representations that lies between languages: between / total sum of squares.

    Range [0, 1], down = more neutral; 0: all languages have the same mean. Unchanged by rotation, scale and shift,
    and by the order of items and languages. NaN without variance. Known from analysis of variance.
    """
    sets = [as_float64(vectors) for vectors in representations.values()]
    if len(sets) < 2:
        raise DataError(f"got {len(sets)} languages; expected at least two")
    overall = torch.cat(sets).mean(dim=0)
    between = sum(len(one) * float(((one.mean(dim=0) - overall) ** 2).sum()) for one in sets)
    total = sum(float(((one - overall) ** 2).sum()) for one in sets)
    return between / total if total > 0 else math.nan

"""Vectors of parallel texts in several languages, and what is computed of all of them together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from torch import Tensor

from xlprobe.metrics.alignment import cka
from xlprobe.metrics.neutrality import language_eta_squared, retrieval_items
from xlprobe.metrics.probes import language_mdl_bits, language_probe

__all__ = ["LanguageVectors", "principal_places"]


@dataclass(frozen=True)
class LanguageVectors:
    """Vectors of parallel texts after one layer: row i of every language says the same; `groups` label the rows."""

    by_language: Mapping[str, Float[np.ndarray, "item width"]]  # type: ignore[type-arg]
    groups: Sequence[Any]
    seed: int = 0


def retrievals(x: Any, y: Any, vectors: LanguageVectors) -> dict[str, Float[Tensor, " item"]]:
    """Retrieve translations in every way, with the subspace of all languages; see `retrieval_items`."""
    return retrieval_items(x, y, groups=vectors.groups, languages=vectors.by_language, seed=vectors.seed)


def alignment(x: Any, y: Any, vectors: LanguageVectors) -> float:
    """Debiased linear CKA of two languages; see `cka`."""
    return cka(x, y)


def variance_between(vectors: LanguageVectors) -> float:
    """Variance between languages; see `language_eta_squared`."""
    return language_eta_squared(vectors.by_language)


def description_length(vectors: LanguageVectors) -> float:
    """Description length of the languages; see `language_mdl_bits`."""
    return language_mdl_bits(vectors.by_language, vectors.groups, seed=vectors.seed)[0]


def probe_by_name(vectors: LanguageVectors) -> dict[str, float]:
    """What a linear probe finds of the language; see `language_probe`."""
    probe = language_probe(vectors.by_language, vectors.groups, seed=vectors.seed)
    return {
        "language_probe_accuracy": probe.accuracy,
        "language_probe_control": probe.control,
        "language_probe_selectivity": probe.selectivity,
    }


def principal_places(vectors: Mapping[str, Any], *, centred: bool = False) -> dict[str, Float[np.ndarray, "item 2"]]:  # type: ignore[type-arg]
    """Return where each language's items lie on the first two principal axes of all, (item, 2).

    Range (-inf, inf), in units of the vectors; 0: the mean of all. With `centred` each language's mean is taken off
    first. The sign of an axis is such that its largest weight is positive."""
    sides = [np.asarray(one, dtype=np.float64) for one in vectors.values()]
    sides = [one - one.mean(axis=0) for one in sides] if centred else sides
    points = np.concatenate(sides)
    points = points - points.mean(axis=0)
    _, _, axes = np.linalg.svd(points, full_matrices=False)
    axes = axes[:2]
    axes = axes * np.sign(axes[np.arange(2), np.abs(axes).argmax(axis=1)])[:, None]
    places = np.split(np.asarray(points @ axes.T), len(sides))
    return dict(zip(vectors, places, strict=True))

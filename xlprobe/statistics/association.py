"""Few languages: rank correlation with exact permutation, and a refusal to explain more than they carry."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from xlprobe.errors import ResultsError

__all__ = ["LANGUAGES_PER_FACTOR", "Association", "associate", "spearman"]

LANGUAGES_PER_FACTOR = 7
"""How many languages one explaining factor needs."""

_LARGEST_EXACT = 9


@dataclass(frozen=True)
class Association:
    """A rank correlation over languages.

    `rho` in [-1, 1]; `p` two-sided; `without`: rho with each language left out in turn, NaN where that is constant.
    """

    factor: str
    rho: float
    p: float
    n: int
    exact: bool
    without: Mapping[str, float]


def spearman(x: Any, y: Any, *, draws: int = 99_999, seed: int = 0) -> tuple[float, float, bool]:
    """Return Spearman's rho, its two-sided permutation p, and whether p is exact (all orders tried; up to 9 points).

    Range [-1, 1]; 0: no monotone relation. NaN where x or y is constant. With 7 points p < .05 needs |rho| >= .786,
    with 8 .738. Beyond 9 points orders are drawn at random, p = (b + 1) / (draws + 1).
    """
    from scipy.stats import rankdata

    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if x.shape != y.shape or x.ndim != 1 or len(x) < 3:
        raise ResultsError(f"got x {x.shape} and y {y.shape}; expected two lists of the same length, at least 3")
    if np.isnan(x).any() or np.isnan(y).any():
        raise ResultsError("got NaN among the points; expected numbers. Leave out the languages without a value first")
    first, second = (rank - rank.mean() for rank in (rankdata(x), rankdata(y)))
    length = math.sqrt(float(first @ first) * float(second @ second))
    if length == 0:
        return math.nan, math.nan, True
    observed = float(first @ second)
    n, exact = len(x), len(x) <= _LARGEST_EXACT
    if exact:
        orders = np.array(list(permutations(range(n))))
    else:
        orders = np.random.default_rng(seed).permuted(np.tile(np.arange(n), (draws, 1)), axis=1)
    products = np.abs(second[orders] @ first)
    more = int((products >= abs(observed) - 1e-9).sum())
    p = more / len(orders) if exact else (more + 1) / (draws + 1)
    return observed / length, p, exact


def associate(
    outcome: Mapping[str, float], factors: Mapping[str, Mapping[str, float]], *, draws: int = 99_999, seed: int = 0
) -> list[Association]:
    """Relate an outcome per language (accuracy, stability) to factors per language, each by itself.

    `factors` maps a factor's name to its value per language; every language of the outcome must have one. Refuses, with
    `ResultsError`, more factors than one per seven languages: with seven languages one factor can be tested, and
    choosing the best of several afterwards is no test.
    """
    names: Sequence[str] = list(outcome)
    carried = len(names) // LANGUAGES_PER_FACTOR
    if len(factors) > max(carried, 1) or len(names) < 5:
        raise ResultsError(
            f"got {len(factors)} factors for {len(names)} languages; expected at least five languages and at most one "
            f"factor per {LANGUAGES_PER_FACTOR} languages. Name the one factor that your hypothesis is about"
        )
    associations = []
    for factor, values in factors.items():
        missing = [name for name in names if name not in values]
        if missing:
            raise ResultsError(f"the factor {factor!r} has no value for {' '.join(missing)}; expected all languages")
        x = np.array([values[name] for name in names], dtype=np.float64)
        y = np.array([outcome[name] for name in names], dtype=np.float64)
        rho, p, exact = spearman(x, y, draws=draws, seed=seed)
        associations.append(Association(factor, rho, p, len(names), exact, _without(x, y, names)))
    return associations


def _without(x: Float[ndarray, " n"], y: Float[ndarray, " n"], names: Sequence[str]) -> dict[str, float]:
    return {name: spearman(np.delete(x, place), np.delete(y, place), draws=1)[0] for place, name in enumerate(names)}

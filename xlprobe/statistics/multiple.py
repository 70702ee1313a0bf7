"""Many tests at once: Benjamini-Hochberg over those that have a p value."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

__all__ = ["benjamini_hochberg"]


def benjamini_hochberg(p: Any) -> Float[ndarray, " test"]:
    """Return the adjusted p values of Benjamini and Hochberg 1995; tests without one (NaN) are no part of the family.

    A test is called at level q where its adjusted value is at most q; then the expected share of false ones among the
    called is at most q, for independent or positively dependent tests.
    """
    from scipy.stats import false_discovery_control

    p = np.asarray(p, dtype=np.float64)
    adjusted, known = np.full(p.shape, np.nan), ~np.isnan(p)
    if known.any():
        adjusted[known] = false_discovery_control(p[known])
    return adjusted

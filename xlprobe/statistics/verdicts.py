"""Whether a claim may be made: the one rule that every sentence and every mark of a difference goes by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from xlprobe.statistics.options import MIN_GROUPS

__all__ = ["verdict"]

_LEVEL = 0.05


def verdict(answer: Any, p: str = "p") -> Int[ndarray, " row"]:
    """Return 1 where more may be claimed, -1 where less, and 0 where nothing may.

    `answer` is a `Contrast`, or a table (or one row, or a mapping) with its columns. More or less may be claimed where
    the interval excludes 0, p is below .05 and there are at least six theories; NaN in any of them is never clear.
    `p="q"` goes by the adjusted p values, where one of many rows is picked out.
    """
    low, high, chance, groups = (
        np.atleast_1d(np.asarray(_field(answer, name), dtype=np.float64)) for name in ("low", "high", p, "n_groups")
    )
    with np.errstate(invalid="ignore"):
        may = (chance < _LEVEL) & (groups >= MIN_GROUPS) & ~np.isnan(low) & ~np.isnan(high)
        return np.where(may & (low > 0), 1, np.where(may & (high < 0), -1, 0))


def _field(answer: Any, name: str) -> Any:
    return answer[name] if isinstance(answer, Mapping) or hasattr(answer, "loc") else getattr(answer, name)

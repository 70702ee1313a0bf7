"""What is observed minus its floor: stability is claimed above what another question in one language costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from xlprobe.errors import ResultsError
from xlprobe.statistics.pairing import CONTROL_KEYS, own_reference, places_of, rows_of, switched, values_at

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["above_floor"]


def above_floor(frame: pd.DataFrame, metric: str = "js_stability") -> pd.DataFrame:
    """Return the code-switched rows of a metric with their floor taken off, problem by problem.

    Floor is the same problem's value against another question about the same facts, in one language. Observed and
    forced rows that are compared with their context's own language; `value` is the row minus its floor, `raw` the row,
    `floor` the floor. 0: a language border costs what another question costs; below 0, it costs more. Rows without a
    floor get NaN, with the reason. Raises `ResultsError` where the table has no code-switched rows or no floor.
    """
    rows = rows_of(frame, metric)
    across = switched(rows)
    observed = rows[own_reference(rows) & across & rows["condition"].isin(["observed", "forced"])]
    if observed.empty:
        raise ResultsError(
            f"the table has no code-switched rows of {metric!r} compared with their own language; expected pairs such "
            "as en-fr"
        )
    floors = rows[(rows["condition"] == "floor") & ~across]
    if floors.empty:
        raise ResultsError(f"the table has no floor of {metric!r}; measure with controls, or leave out the floor")
    wanted = observed.assign(question_language=observed["context_language"])
    place = places_of(wanted, floors, CONTROL_KEYS, "floors")
    base = values_at(floors, place)
    raw = observed["value"].to_numpy(dtype=np.float64)
    reason = observed["reason"].astype(object).to_numpy().copy()
    reason[place < 0] = "no floor of this problem in the table"
    return observed.assign(value=raw - base, raw=raw, floor=base, reason=reason).reset_index(drop=True)

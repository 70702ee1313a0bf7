"""Which heads change most from one checkpoint to another, and for which pair of languages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from xlprobe.statistics.frames import contrast_frame
from xlprobe.statistics.verdicts import verdict

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["heads_that_change"]

_BY = ("context_language", "question_language", "layer", "head")


def heads_that_change(
    frame: pd.DataFrame | Iterable[pd.DataFrame],
    before: str,
    after: str,
    metric: str = "js_stability",
    by: Sequence[str] = _BY,
    **options: Any,
) -> pd.DataFrame:
    """Return how every head's stability above floor changes from one checkpoint to another, the largest change first.

    One row per pair of languages, layer and head of one block ("question->context" unless named). Columns: `by`,
    mean_before and mean_after (observed minus floor, paired by problem), estimate (after - before), raw (the change of
    what was observed, floor left on), low, high, d_z, p, q (over all rows of the answer), p_max_t, n, n_groups,
    n_seeds, n_nan, speaks_of, reason, n_unpaired, and verdict: 1 where more may be claimed, -1 where less, 0 where
    nothing may (by q, as the heads are picked out of many). Options as `contrast_frame`; `reference=None` leaves the
    floor on.
    """
    given = {"block": "question->context", "reference": "floor", **options}
    changes = contrast_frame(frame, after, before, metric, by, **given)
    changes = changes.rename(columns={"mean_a": "mean_after", "mean_b": "mean_before"})
    order = changes["estimate"].abs().sort_values(ascending=False, kind="stable", na_position="last").index
    return changes.assign(verdict=verdict(changes, p="q")).loc[order].reset_index(drop=True)

"""A value minus its in-language reference: what a language border changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from xlprobe.errors import ResultsError
from xlprobe.statistics.frames import answer_of, chosen, contrast_frame, split_options
from xlprobe.statistics.pairing import PAIRED_BY, SAME_RUN, factors, places_of, rows_of, switched, values_at

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["difference_in_differences", "subtract_reference"]


def subtract_reference(frame: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return the code-switched rows of a metric with the value of their in-language reference taken off.

    The reference of a row is the same sample, layer, head, block, pooling and condition of the same checkpoint in the
    pair that `reference` names, or, where it is null, with both parts in the context's language. Rows whose reference
    is not in the table get NaN, with the reason. For `mass_lift` this is the difference that a language border makes
    beyond a segment border; contrast two checkpoints on it, and it is a difference in differences.
    """
    rows = rows_of(frame, metric)
    across = switched(rows)
    observed, table = rows[across], rows[~across]
    if observed.empty:
        raise ResultsError(f"the table has no code-switched rows of {metric!r}; expected pairs such as en-fr")
    place = places_of(_referred(observed), table, [*SAME_RUN, *PAIRED_BY], "in-language rows")
    reason = observed["reason"].astype(object).to_numpy().copy()
    reason[place < 0] = "no in-language reference in the table"
    value = observed["value"].to_numpy(dtype=np.float64) - values_at(table, place)
    return observed.assign(value=value, reason=reason)


def _referred(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows in the languages of what they are compared with."""
    import pandas as pd

    (context, languages), (reference, pairs) = (factors(rows[name]) for name in ("context_language", "reference"))
    named = [(pair or f"{code}-{code}").partition("-")[::2] for code in languages for pair in pairs]
    columns = {}
    for name, codes in zip(("context_language", "question_language"), zip(*named, strict=True), strict=True):
        labels, numbers = np.unique(codes, return_inverse=True)
        columns[name] = pd.Categorical.from_codes(numbers[context * len(pairs) + reference], labels)
    return rows.assign(**columns)


def difference_in_differences(
    frame: pd.DataFrame,
    metric: str,
    a: str | None = None,
    b: str | None = None,
    by: Sequence[str] = ("layer", "head"),
    **options: Any,
) -> pd.DataFrame:
    """Test what a language border changes: the code-switched value minus its in-language reference.

    With two checkpoints, how much more it changes in a than in b. With one, or none (then "checkpoint" joins `by`), the
    difference against 0. Columns and options as `contrast_frame`; mean_a and mean_b are then code-switched and 0.
    """
    changed = subtract_reference(frame, metric)
    if b is not None:
        if a is None:
            raise ResultsError("got b without a; expected two checkpoints, one, or none")
        return contrast_frame(changed, a, b, metric, by, **options)
    choice, test = split_options(options)
    changed = chosen(changed, choice, by)
    if a is not None:
        changed = changed[changed["checkpoint"] == a].reset_index(drop=True)
        if changed.empty:
            raise ResultsError(f"got the checkpoint {a!r} without code-switched rows of {metric!r}")
    columns = list(by) if a is not None else ["checkpoint", *(name for name in by if name != "checkpoint")]
    return answer_of(changed, changed.assign(value=0.0), columns, test).assign(n_unpaired=0)

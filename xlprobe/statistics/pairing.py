"""Which rows of a long table belong together: keys, numbers of groups and runs, pairs of rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from xlprobe.errors import ResultsError

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "CONTROL_KEYS", "KINDS", "PAIRED_BY", "SAME_RUN", "codes", "completed", "factors", "group_codes", "numbers",
    "own_reference", "pair", "places_of", "repeats", "rows_of", "seed_codes", "switched", "values_at", "with_kinds",
]  # fmt: skip

PAIRED_BY = (
    "dataset", "context_language", "question_language", "sample", "layer", "head", "metric", "block", "pooling",
    "condition",
)  # fmt: skip
"""The columns that must agree for two rows to be a pair; training seed and step too, where both sides have them."""

SAME_RUN = ("checkpoint", "seed", "step")
"""The columns that must agree besides for two rows to be of the same model."""

CONTROL_KEYS = (*SAME_RUN, *(name for name in PAIRED_BY if name != "condition"))
"""The columns in which a row agrees with its floor and its chance, once its question's language is the context's."""

KINDS = ("block", "pooling", "condition")
"""Columns whose values are never averaged over: where a table holds several, they join `by`."""


def completed(frame: pd.DataFrame, *needed: str) -> pd.DataFrame:
    """Return a table that has all columns of a long one: those that it lacks are added, empty, as where none varies.

    Raises `ResultsError` where one that is `needed` is not there.
    """
    if absent := [name for name in needed if name not in frame]:
        raise ResultsError(
            f"the table has no column {' or '.join(map(repr, absent))}; it has {', '.join(map(str, frame.columns))}"
        )
    added = [name for name in (*SAME_RUN, *PAIRED_BY, "group", "reference", "reason") if name not in frame]
    return frame.assign(**dict.fromkeys(added)) if added else frame


def rows_of(frame: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return the rows of a metric, with all columns. Raises `ResultsError` naming those there are."""
    frame = completed(frame, "metric", "value")
    wanted = frame["metric"] == metric
    if not wanted.any():
        known = ", ".join(sorted(frame["metric"].astype(str).unique()))
        raise ResultsError(f"the table has no rows of {metric!r}; it has {known or 'no rows at all'}")
    return (frame if wanted.all() else frame[wanted]).reset_index(drop=True)


def with_kinds(rows: pd.DataFrame, by: Sequence[str], kinds: Sequence[str] = KINDS) -> list[str]:
    """Return `by` with those kinds of which the rows hold several. Raises `ResultsError` for unknown columns."""
    columns = [by] if isinstance(by, str) else list(by)
    unknown = [name for name in columns if name not in rows]
    if unknown:
        raise ResultsError(f"got by={unknown}; expected columns of the table: {', '.join(map(str, rows.columns))}")
    return columns + [name for name in kinds if name not in columns and rows[name].nunique(dropna=False) > 1]


def numbers(rows: pd.DataFrame, by: list[str]) -> tuple[Int[ndarray, " row"], pd.DataFrame]:
    """Number the combinations of some columns, in sorted order, and return them as a table."""
    if not by:
        import pandas as pd

        return np.zeros(len(rows), dtype=np.int64), pd.DataFrame(index=[0])
    grouping = rows.groupby(by, observed=True, dropna=False, sort=True)
    number = grouping.ngroup().to_numpy()
    _, place = np.unique(number, return_index=True)
    return number, rows.iloc[place][by].reset_index(drop=True)


def factors(column: pd.Series) -> tuple[Int[ndarray, " row"], list[Any]]:
    """Number the values of a column from 0, and return them; null is a value of its own, None."""
    import pandas as pd

    if isinstance(column.dtype, pd.CategoricalDtype):
        numbers, labels = column.cat.codes.to_numpy(), list(column.cat.categories)
        return (
            (np.where(numbers < 0, len(labels), numbers), [*labels, None]) if (numbers < 0).any() else (numbers, labels)
        )
    numbers, values = pd.factorize(column, use_na_sentinel=False)
    return numbers, [None if pd.isna(label) else label for label in values]


def switched(rows: pd.DataFrame) -> Bool[ndarray, " row"]:
    """Return which rows are code-switched; a language that is missing is like no other."""
    return _of_labels(rows, "context_language", "question_language", lambda context, question: context != question)


def own_reference(rows: pd.DataFrame) -> Bool[ndarray, " row"]:
    """Return which rows are compared with their context's own language."""
    return ~_of_labels(rows, "context_language", "reference", lambda code, pair: pair != f"{code}-{code}")


def _of_labels(rows: pd.DataFrame, one: str, other: str, differ: Callable[[Any, Any], bool]) -> Bool[ndarray, " row"]:
    """Return of each row whether the labels of two columns differ, asked once for each pair of labels."""
    (left, ours), (right, theirs) = (factors(rows[name]) for name in (one, other))
    table = [a is None or b is None or differ(a, b) for a in ours for b in theirs]
    return np.array(table, dtype=bool).reshape(len(ours), len(theirs))[left, right]


def codes(columns: Sequence[pd.Series]) -> Int[ndarray, " row"]:
    """Number the combinations of some columns; null is a value of its own. Numbers need not follow on one another."""
    code, size = np.zeros(len(columns[0]), dtype=np.int64), 1
    for column in columns:
        part, labels = factors(column)
        if size * len(labels) >= 2**62:
            code = np.unique(code, return_inverse=True)[1]
            size = int(code.max()) + 1
        code *= len(labels)
        code += part
        size *= len(labels)
    return code


def repeats(rows: pd.DataFrame, keys: Sequence[str]) -> bool:
    """Whether two rows agree in all of some columns."""
    return not _all_differ(codes([rows[name] for name in keys]))


def _all_differ(codes: Int[ndarray, " row"]) -> bool:
    ordered = np.sort(codes)
    return bool((ordered[1:] != ordered[:-1]).all())


def group_codes(rows: pd.DataFrame) -> Int[ndarray, " row"]:
    """Number the groups in the order of their names, so that the draws do not depend on the order of the rows."""
    code = np.zeros(len(rows), dtype=np.int64)
    for name in ("dataset", "group"):
        numbers, labels = factors(rows[name])
        rank = np.empty(len(labels), dtype=np.int64)
        rank[sorted(range(len(labels)), key=lambda place: str(labels[place]))] = np.arange(len(labels))
        code = code * len(labels) + rank[numbers]
    present = np.bincount(code) > 0
    return (np.cumsum(present) - 1)[code]


def seed_codes(column: pd.Series) -> Int[ndarray, " row"] | None:
    """Number the training runs from 0; None where there is one."""
    return np.unique(codes([column]), return_inverse=True)[1] if column.nunique(dropna=False) > 1 else None


def pair(a: pd.DataFrame, b: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame, int]:
    """Return the rows that both have, in the same order, and how many rows only one has.

    Training runs are paired by seed where there are several on a side and both sides have seeds. A side without seeds
    is one model, the partner of every run of the other.
    """
    keys = [*PAIRED_BY, *(["step"] if a["step"].notna().all() and b["step"].notna().all() else [])]
    several = any(side["seed"].nunique(dropna=False) > 1 for side in (a, b))
    if several and a["seed"].notna().all() and b["seed"].notna().all():
        left, right = _aligned(a, b, [*keys, "seed"], "rows")
    elif several and a["seed"].notna().any():
        left, right = _aligned(a, b, keys, "rows", left_unique=False)
    elif several:
        right, left = _aligned(b, a, keys, "rows", left_unique=False)
    else:
        left, right = _aligned(a, b, keys, "rows")
    unpaired = len(a) - _different(left, len(a)) + len(b) - _different(right, len(b))
    return a.iloc[left].reset_index(drop=True), b.iloc[right].reset_index(drop=True), unpaired


def _different(places: Int[ndarray, " pair"], size: int) -> int:
    seen = np.zeros(size, dtype=bool)
    seen[places] = True
    return int(seen.sum())


def _aligned(
    left: pd.DataFrame, right: pd.DataFrame, keys: list[str], what: str, *, left_unique: bool = True
) -> tuple[Int[ndarray, " pair"], Int[ndarray, " pair"]]:
    """Return the row numbers of left and right that have equal keys; keys must be unique on the right."""
    every = codes([_joined(left[name], right[name]) for name in keys])
    first, second = every[: len(left)], every[len(left) :]
    for side, unique in zip((first, second), (left_unique, True), strict=True):
        if unique and not _all_differ(side):
            varying = [name for name in ("seed", "step", "reference") if left[name].nunique(dropna=False) > 1]
            raise ResultsError(
                f"got several {what} for the same sample, languages, layer, head, block, pooling and condition"
                + (f"; they differ in {', '.join(varying)}" if varying else "")
                + ". Select one of them first"
            )
    if np.array_equal(first, second):  # both sides were measured in one order
        return np.arange(len(left)), np.arange(len(right))
    if len(right) == 0:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    order = np.argsort(second)
    place = np.minimum(np.searchsorted(second[order], first), len(order) - 1)
    matched = second[order][place] == first
    return np.flatnonzero(matched), order[place[matched]]


def _joined(left: pd.Series, right: pd.Series) -> pd.Series:
    """Return one column below the other; categories stay categories."""
    import pandas as pd
    from pandas.api.types import union_categoricals

    if all(isinstance(side.dtype, pd.CategoricalDtype) for side in (left, right)):
        return pd.Series(union_categoricals([left, right]))
    return pd.concat([left, right], ignore_index=True)


def places_of(wanted: pd.DataFrame, table: pd.DataFrame, keys: Sequence[str], what: str) -> Int[ndarray, " row"]:
    """Return the number of the table's row that has the keys of each wanted row; -1 where it has none.

    Raises `ResultsError` where several rows of the table have the same keys.
    """
    left, right = _aligned(wanted, table, list(keys), what, left_unique=False)
    place = np.full(len(wanted), -1)
    place[left] = right
    return place


def values_at(table: pd.DataFrame, place: Int[ndarray, " row"]) -> Float[ndarray, " row"]:
    """Return the table's values at some places; NaN where the place is -1."""
    values = np.append(table["value"].to_numpy(dtype=np.float64), np.nan)
    return values[place]

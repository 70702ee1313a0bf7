"""Long tables in, long tables out: pairing of rows, contrasts, summaries, differences in differences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from xlprobe.errors import ResultsError
from xlprobe.statistics.bootstrap import intervals
from xlprobe.statistics.clusters import Clusters
from xlprobe.statistics.contrasts import contrast_clusters

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["contrast_frame", "difference_in_differences", "subtract_reference", "summarise"]

PAIRED_BY = (
    "dataset", "context_language", "question_language", "sample", "layer", "head", "metric", "block", "pooling",
    "condition",
)  # fmt: skip
"""The columns that must agree for two rows to be a pair; training seed and step too, where both sides have them."""

KINDS = ("block", "pooling", "condition")
"""Columns whose values are never averaged over: where a table holds several, they join `by`."""


def contrast_frame(
    frame: pd.DataFrame, a: str, b: str, metric: str, by: Sequence[str] = ("layer", "head"), **options: Any
) -> pd.DataFrame:
    """Contrast two checkpoints, a - b, over the rows of a table that both have.

    A pair is the same sample, languages, layer, head, block, pooling and condition (and training seed, where both
    have one). Where a sample is compared with several references (fr-en with fr-fr and with en-en), those in its
    context's language count; `Results.select(reference=...)` first for others. One row of the answer per
    combination of `by`, to which block, pooling and condition are added where the table holds several. Columns:
    `by`, mean_a, mean_b, estimate, low, high, d_z, p, q, p_max_t, n, n_groups, n_nan (pairs with an undefined
    side), n_unpaired (rows that only one of them has). q is adjusted over all rows of the answer: put the question
    language in `by` when claims are made per language. Options: see `contrast`.
    """
    rows = _rows(frame, metric)
    rows = _own_references(rows)
    sides = [rows[rows["checkpoint"] == name] for name in (a, b)]
    for name, side in zip((a, b), sides, strict=True):
        if side.empty:
            known = ", ".join(sorted(rows["checkpoint"].astype(str).unique()))
            raise ResultsError(f"got the checkpoint {name!r} without rows of {metric!r}; those with rows are {known}")
    shared = list(PAIRED_BY) + [name for name in ("seed", "step") if _varies_in_both(sides, name)]
    first, second, unpaired = _pair(sides[0], sides[1], shared)
    if len(first) == 0:
        raise ResultsError(
            f"{a!r} and {b!r} share no rows of {metric!r}; expected the same samples, languages, layers and heads in "
            "both. Measure both on the same data"
        )
    seeds = first if first["seed"].notna().any() else second
    return _answer(first, second, _by(rows, by), unpaired, seeds["seed"], options)


def summarise(
    frame: pd.DataFrame,
    by: Sequence[str],
    *,
    draws: int = 9999,
    confidence: float = 0.95,
    method: str = "bca",
    seed: int = 0,
) -> pd.DataFrame:
    """Average a table per combination of `by`, with intervals resampled by group.

    Columns: `by` (and metric, block, pooling, condition where the table holds several), mean, low, high, n, n_groups,
    n_nan. NaN values are counted and left out of the mean. Rows without a group (set-level metrics) have no interval.
    """
    if frame.empty:
        raise ResultsError("got a table without rows; expected at least one")
    rows = frame.reset_index(drop=True)
    by = _by(rows, by, (*KINDS, "metric"))
    test, answer = _numbers(rows, by)
    group = _group_codes(rows)
    values = rows["value"].to_numpy(dtype=np.float64)
    clusters = Clusters.from_long(values, test, group, _seed_codes(rows["seed"]), len(answer))
    ends = intervals(clusters, draws=draws, confidence=confidence, method=method, rng=seed)
    grouped = np.bincount(test, rows["group"].notna().to_numpy(), len(answer)) > 0
    return answer.assign(
        mean=clusters.estimate,
        low=np.where(grouped, ends.low, np.nan),
        high=np.where(grouped, ends.high, np.nan),
        n=clusters.counts.sum(axis=0).astype(np.int64),
        n_groups=np.where(grouped, clusters.groups_with_data, 0),
        n_nan=clusters.n_nan,
    )


def subtract_reference(frame: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return the code-switched rows of a metric with the value of their in-language reference taken off.

    The reference of a row is the same sample, layer, head, block, pooling and condition of the same checkpoint in the
    pair that `reference` names, or, where it is null, with both parts in the context's language. Rows whose reference
    is not in the table get NaN, with the reason. For `mass_lift` this is the difference that a language border makes
    beyond a segment border; contrast two checkpoints on it, and it is a difference in differences.
    """
    rows = _rows(frame, metric)
    context, question = (rows[name].astype(str) for name in ("context_language", "question_language"))
    switched = rows[context != question]
    if switched.empty:
        raise ResultsError(f"the table has no code-switched rows of {metric!r}; expected pairs such as en-fr")
    pair = switched["reference"].astype(object)
    own = switched["context_language"].astype(str)
    named = pair.where(pair.notna(), own + "-" + own).astype(str).str.split("-", n=1, expand=True)
    wanted = switched.assign(context_language=named[0], question_language=named[1])
    keys = ["checkpoint", *PAIRED_BY, "seed", "step"]
    table = rows[context == question]
    left, right = _aligned(wanted, table, keys, "in-language rows", left_unique=False)
    values = switched["value"].to_numpy(dtype=np.float64).copy()
    base = np.full(len(values), np.nan)
    base[left] = table["value"].to_numpy(dtype=np.float64)[right]
    found = np.zeros(len(values), dtype=bool)
    found[left] = True
    reason = switched["reason"].astype(object).to_numpy().copy()
    reason[~found] = "no in-language reference in the table"
    return switched.assign(value=values - base, reason=reason)


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
    if a is not None:
        changed = changed[changed["checkpoint"] == a]
        if changed.empty:
            raise ResultsError(f"got the checkpoint {a!r} without code-switched rows of {metric!r}")
    columns = list(by) if a is not None else ["checkpoint", *(name for name in by if name != "checkpoint")]
    zero = changed.assign(value=0.0)
    missing = np.isnan(changed["value"].to_numpy(dtype=np.float64))
    return _answer(changed, zero, _by(changed, columns), int(missing.sum()), changed["seed"], options)


def _answer(
    first: pd.DataFrame, second: pd.DataFrame, by: list[str], unpaired: int, seeds: pd.Series, options: dict[str, Any]
) -> pd.DataFrame:
    """Contrast rows that are already paired."""
    test, answer = _numbers(first, by)
    sides = [side["value"].to_numpy(dtype=np.float64) for side in (first, second)]
    difference = sides[0] - sides[1]
    group = _group_codes(first)
    clusters = Clusters.from_long(difference, test, group, _seed_codes(seeds), len(answer))
    result = contrast_clusters(clusters, **options)
    known = ~np.isnan(difference)
    count = np.maximum(result.n, 1)
    means = [np.bincount(test[known], side[known], len(answer)) / count for side in sides]
    columns = {
        name: np.where(result.n > 0, mean, np.nan) for name, mean in zip(("mean_a", "mean_b"), means, strict=True)
    }
    for name in ("estimate", "low", "high", "d_z", "p", "q", "p_max_t", "n", "n_groups", "n_nan"):
        columns[name] = getattr(result, name)
    return answer.assign(**columns, n_unpaired=unpaired)


def _rows(frame: pd.DataFrame, metric: str) -> pd.DataFrame:
    wanted = frame["metric"] == metric
    if not wanted.any():
        known = ", ".join(sorted(frame["metric"].astype(str).unique()))
        raise ResultsError(f"the table has no rows of {metric!r}; it has {known or 'no rows at all'}")
    return (frame if wanted.all() else frame[wanted]).reset_index(drop=True)


def _own_references(rows: pd.DataFrame) -> pd.DataFrame:
    """Where a sample has several references, keep the rows whose reference is in the context's language."""
    if rows["reference"].nunique() < 2:
        return rows
    keys = _codes([rows[name] for name in ("checkpoint", *PAIRED_BY, "seed", "step")])
    if _all_differ(keys):
        return rows
    (context, languages), (reference, pairs) = (_factors(rows[name]) for name in ("context_language", "reference"))
    own = np.array([[pair is None or pair == f"{code}-{code}" for pair in pairs] for code in languages])
    return rows[own[context, reference]].reset_index(drop=True)


def _by(rows: pd.DataFrame, by: Sequence[str], kinds: Sequence[str] = KINDS) -> list[str]:
    columns = [by] if isinstance(by, str) else list(by)
    unknown = [name for name in columns if name not in rows]
    if unknown:
        raise ResultsError(f"got by={unknown}; expected columns of the table: {', '.join(map(str, rows.columns))}")
    return columns + [name for name in kinds if name not in columns and rows[name].nunique(dropna=False) > 1]


def _numbers(rows: pd.DataFrame, by: list[str]) -> tuple[Int[ndarray, " row"], pd.DataFrame]:
    """Number the combinations of some columns, in sorted order, and return them as a table."""
    if not by:
        import pandas as pd

        return np.zeros(len(rows), dtype=np.int64), pd.DataFrame(index=[0])
    grouping = rows.groupby(by, observed=True, dropna=False, sort=True)
    number = grouping.ngroup().to_numpy()
    _, place = np.unique(number, return_index=True)
    return number, rows.iloc[place][by].reset_index(drop=True)


def _factors(column: pd.Series) -> tuple[Int[ndarray, " row"], list[Any]]:
    """Number the values of a column from 0, and return them; null is a value of its own, None."""
    import pandas as pd

    if isinstance(column.dtype, pd.CategoricalDtype):
        numbers, labels = column.cat.codes.to_numpy(), list(column.cat.categories)
        return (
            (np.where(numbers < 0, len(labels), numbers), [*labels, None]) if (numbers < 0).any() else (numbers, labels)
        )
    numbers, found = pd.factorize(column, use_na_sentinel=False)
    return numbers, [None if pd.isna(label) else label for label in found]


def _codes(columns: Sequence[pd.Series]) -> Int[ndarray, " row"]:
    """Number the combinations of some columns; null is a value of its own. Numbers need not follow on one another."""
    code, size = np.zeros(len(columns[0]), dtype=np.int64), 1
    for column in columns:
        part, labels = _factors(column)
        if size * len(labels) >= 2**62:
            code = np.unique(code, return_inverse=True)[1]
            size = int(code.max()) + 1
        code *= len(labels)
        code += part
        size *= len(labels)
    return code


def _all_differ(codes: Int[ndarray, " row"]) -> bool:
    ordered = np.sort(codes)
    return bool((ordered[1:] != ordered[:-1]).all())


def _group_codes(rows: pd.DataFrame) -> Int[ndarray, " row"]:
    """Number the groups in the order of their names, so that the draws do not depend on the order of the rows."""
    code = np.zeros(len(rows), dtype=np.int64)
    for name in ("dataset", "group"):
        numbers, labels = _factors(rows[name])
        rank = np.empty(len(labels), dtype=np.int64)
        rank[sorted(range(len(labels)), key=lambda place: str(labels[place]))] = np.arange(len(labels))
        code = code * len(labels) + rank[numbers]
    present = np.bincount(code) > 0
    return (np.cumsum(present) - 1)[code]


def _seed_codes(column: pd.Series) -> Int[ndarray, " row"] | None:
    return np.unique(_codes([column]), return_inverse=True)[1] if column.nunique(dropna=False) > 1 else None


def _varies_in_both(sides: Sequence[pd.DataFrame], name: str) -> bool:
    return all(side[name].notna().all() for side in sides)


def _pair(a: pd.DataFrame, b: pd.DataFrame, keys: list[str]) -> tuple[pd.DataFrame, pd.DataFrame, int]:
    """Return the rows that both have, in the same order, and how many rows only one has."""
    several = a["seed"].nunique(dropna=False) > 1 or b["seed"].nunique(dropna=False) > 1
    if several and "seed" not in keys:
        # One side has seeds and the other one model: that model is the partner of every seed.
        if a["seed"].notna().any() and not b["seed"].notna().any():
            left, right = _aligned(a, b, keys, "rows", left_unique=False)
        else:
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
    code = _codes([_joined(left[name], right[name]) for name in keys])
    codes = code[: len(left)], code[len(left) :]
    for side, unique in zip(codes, (left_unique, True), strict=True):
        if unique and not _all_differ(side):
            varying = [name for name in ("seed", "step", "reference") if left[name].nunique(dropna=False) > 1]
            raise ResultsError(
                f"got several {what} for the same sample, languages, layer, head, block, pooling and condition"
                + (f"; they differ in {', '.join(varying)}" if varying else "")
                + ". Select one of them first"
            )
    if np.array_equal(*codes):  # both sides were measured in one order
        return np.arange(len(left)), np.arange(len(right))
    order = np.argsort(codes[1])
    place = np.searchsorted(codes[1][order], codes[0])
    place = np.minimum(place, len(order) - 1) if len(order) else place
    found = codes[1][order][place] == codes[0] if len(order) else np.zeros(len(codes[0]), dtype=bool)
    return np.flatnonzero(found), order[place[found]] if len(order) else np.zeros(0, dtype=np.int64)


def _joined(left: pd.Series, right: pd.Series) -> pd.Series:
    """Return one column below the other; categories stay categories."""
    import pandas as pd
    from pandas.api.types import union_categoricals

    if all(isinstance(side.dtype, pd.CategoricalDtype) for side in (left, right)):
        return pd.Series(union_categoricals([left, right]))
    return pd.concat([left, right], ignore_index=True)

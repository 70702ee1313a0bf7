"""Sums over rows that agree in some columns, on the numbers that stand for the columns' values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["sums_of"]

_SUMS = ("total", "n", "n_nan")
_ROWS = 1 << 20
"""How many rows of sums wait, at least, before those that agree are put together."""


def sums_of(batches: Iterable[pa.RecordBatch], by: Sequence[str]) -> pa.Table:
    """Return, per combination of the columns `by`, `total` of the values that are numbers, `n`, and `n_nan` of others.

    Each batch holds `by` and `value`. Texts are coded; rows are in the order of the columns, null last.
    """
    tables: list[pa.Table] = []
    waiting, allowed = 0, _ROWS
    for batch in batches:
        if batch.num_rows:
            tables.append(_together([_of_batch(batch, by)], by))
            waiting += len(tables[-1])
        if waiting > allowed:
            tables = [_together(tables, by)]
            waiting, allowed = len(tables[0]), max(_ROWS, 2 * len(tables[0]))
    return _together(tables, by) if tables else pa.table({name: [] for name in (*by, *_SUMS)})


def _of_batch(batch: pa.RecordBatch, by: Sequence[str]) -> pa.Table:
    values = batch.column("value").to_numpy(zero_copy_only=False).astype(np.float64)
    known = ~np.isnan(values)
    sums = {"total": np.where(known, values, 0.0), "n": known.astype(np.int64), "n_nan": (~known).astype(np.int64)}
    return pa.table({name: batch.column(name).dictionary_encode() for name in by} | sums)


def _together(tables: Sequence[pa.Table], by: Sequence[str]) -> pa.Table:
    """Put the rows together that agree in `by`, in their order."""
    table = pa.concat_tables(tables).unify_dictionaries().combine_chunks()
    code = _combinations(len(table), [table[name].chunk(0) for name in by])
    distinct, first, number = np.unique(code, return_index=True, return_inverse=True)
    sums = {name: np.bincount(number, table[name].to_numpy(), len(distinct)) for name in _SUMS}
    rows = table.select(list(by)).take(pa.array(first))
    return pa.table(
        {name: rows[name] for name in by}
        | {name: one.astype(table[name].type.to_pandas_dtype()) for name, one in sums.items()}
    )


def _combinations(rows: int, columns: Sequence[pa.DictionaryArray]) -> np.ndarray:
    """Number the rows' combinations of values, in their order; null is a value of its own, the last one."""
    code, size = np.zeros(rows, dtype=np.int64), 1
    for column in columns:
        values = len(column.dictionary) + 1
        if size * values >= 2**62:
            code = np.unique(code, return_inverse=True)[1]
            size = int(code.max()) + 1
        rank = np.full(values, values - 1)
        rank[pc.sort_indices(column.dictionary).to_numpy()] = np.arange(values - 1)
        code = code * values + rank[column.indices.fill_null(values - 1).to_numpy(zero_copy_only=False)]
        size *= values
    return code

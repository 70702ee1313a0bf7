"""Rows as a pandas frame that is as small as it gets: texts as numbers, and nothing for columns that hold nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import numpy as np
import pandas as pd
import pyarrow as pa

from xlprobe.results.schema import CODED, SCHEMA, STRINGS, coded

__all__ = ["frame_of", "frame_of_sums"]


def frame_of(
    batches: Iterable[pa.RecordBatch], names: Sequence[str], may_be_empty: Collection[str] = ()
) -> pd.DataFrame:
    """Return some columns of batches of rows; text columns are categories.

    Columns that `may_be_empty`, and hold nothing in any row, take a byte a row instead of eight, and come last.
    """
    # Text is coded piece by piece: as plain text the columns of a long table would not fit.
    pieces = [_without_empty(coded(batch), may_be_empty) for batch in batches if batch.num_rows]
    empty = [name for name in may_be_empty if name in names and all(pa.types.is_null(p[name].type) for p in pieces)]
    schema = pa.schema([(name, CODED.field(name).type) for name in names if name not in empty])
    table = pa.Table.from_batches([_filled(piece, schema) for piece in pieces], schema).unify_dictionaries()
    del pieces
    frame = table.to_pandas(split_blocks=True, self_destruct=True)
    del table
    pa.default_memory_pool().release_unused()
    for name in empty:
        frame[name] = pd.Categorical.from_codes(np.full(len(frame), -1, dtype=np.int8), categories=[])
    return frame


def frame_of_sums(sums: pa.Table, by: Sequence[str], categories: bool) -> pd.DataFrame:
    """Return what `sums_of` gave; text columns are categories in their order, or plain."""
    plain = [name for name in by if not (categories and name in STRINGS)]
    columns = [sums[name].cast(SCHEMA.field(name).type) if name in plain else sums[name] for name in sums.column_names]
    frame = pa.table(columns, names=sums.column_names).to_pandas()
    for name in by:
        if name not in plain:
            frame[name] = frame[name].cat.set_categories(sorted(frame[name].cat.categories))
    return frame


def _without_empty(piece: pa.RecordBatch, may_be_empty: Collection[str]) -> pa.RecordBatch:
    """Keep no memory for those columns that hold nothing in a piece."""
    columns = [
        pa.nulls(len(column)) if name in may_be_empty and column.null_count == len(column) else column
        for name, column in zip(piece.schema.names, piece.columns, strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, names=piece.schema.names)


def _filled(piece: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Give a piece the columns of a schema, in its order."""
    columns = [
        pa.nulls(len(piece), one.type) if pa.types.is_null(piece[one.name].type) else piece[one.name] for one in schema
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)

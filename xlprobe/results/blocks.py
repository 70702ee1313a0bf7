"""Rows that share most of their columns, unfolded into an Arrow table only when they are written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from xlprobe.errors import ResultsError
from xlprobe.results.schema import CODED, COLUMNS, SCHEMA, STRINGS, default_of, table_of, with_reasons

__all__ = ["RowBlock", "RowBuffer", "table_of_blocks"]


@dataclass(frozen=True)
class RowBlock:
    """Values (row, head), labels with one entry per row, and columns that all share."""

    values: np.ndarray[Any, Any]
    labels: Mapping[str, Any]
    columns: dict[str, Any]

    @classmethod
    def of(cls, values: Any, labels: Mapping[str, Any] | None, columns: dict[str, Any]) -> RowBlock:
        """Take values (row,) or (row, head); raises `ResultsError` for a column that the table has not."""
        array = np.asarray(values, dtype=np.float32)
        array = array[:, None] if array.ndim == 1 else array
        if unknown := (set(labels or {}) | set(columns)) - set(COLUMNS):
            raise ResultsError(f"got the columns {sorted(unknown)}; expected some of {', '.join(COLUMNS)}")
        return cls(array, labels or {}, columns)


def table_of_blocks(blocks: Sequence[RowBlock]) -> pa.Table:
    """Unfold blocks into one table, in which every value that is NaN has a reason."""
    return with_reasons(pa.table({one.name: _column(blocks, one) for one in SCHEMA}, schema=CODED))


@dataclass
class RowBuffer:
    """Rows in memory, with `ResultsWriter`'s way of taking them."""

    blocks: list[RowBlock] = field(default_factory=list)
    tables: list[pa.Table] = field(default_factory=list)

    def append(self, values: Any, labels: Mapping[str, Any] | None = None, **columns: Any) -> None:
        """Append rows (see `ResultsWriter.append`)."""
        self.blocks.append(RowBlock.of(values, labels, columns))

    def append_table(self, table: pa.Table) -> None:
        """Append the rows of an Arrow table of the right schema."""
        self.tables.append(table.cast(SCHEMA))

    def append_frame(self, frame: pd.DataFrame) -> None:
        """Append the rows of a pandas frame; columns that it lacks take their defaults."""
        self.tables.append(table_of(frame))

    def table(self) -> pa.Table:
        """Return all rows."""
        tables = [*self.tables, *([table_of_blocks(self.blocks).cast(SCHEMA)] if self.blocks else [])]
        return pa.concat_tables(tables) if tables else SCHEMA.empty_table()


def _column(blocks: Sequence[RowBlock], field: pa.Field) -> pa.Array:
    """Unfold one column of many blocks: entries are looked up once, and only their numbers repeated."""
    if field.name == "value":
        return pa.array(np.concatenate([block.values.reshape(-1) for block in blocks]))
    sizes = [block.values.size for block in blocks]
    if field.name != "head" and not any(field.name in block.labels for block in blocks):
        entries = [block.columns.get(field.name, default_of(field.name)) for block in blocks]
        encoded = pa.array(entries, field.type).dictionary_encode()
        if len(set(entries)) == 1:
            return _constant(encoded.dictionary, sum(sizes), field.name)
        numbers = np.repeat(encoded.indices.fill_null(-1).to_numpy(), sizes)
    else:
        entries, places = _places(blocks, field)
        encoded = pa.array(entries, field.type).dictionary_encode()
        codes = encoded.indices.fill_null(-1).to_numpy()
        numbers = np.empty(sum(sizes), dtype=np.int32)
        start = 0
        for block, place in zip(blocks, places, strict=True):
            stop = start + block.values.size
            numbers[start:stop].reshape(block.values.shape)[:] = codes[place]
            start = stop
    indices = pa.array(numbers, mask=numbers < 0) if encoded.null_count else pa.array(numbers)
    if field.name in STRINGS:
        return pa.DictionaryArray.from_arrays(indices, encoded.dictionary)
    return encoded.dictionary.take(indices)


def _places(blocks: Sequence[RowBlock], field: pa.Field) -> tuple[list[Any], list[np.ndarray[Any, Any]]]:
    """Return a column's entries, and for each block which of them its rows (and heads) have."""
    entries: list[Any] = []
    places: list[np.ndarray[Any, Any]] = []
    known: dict[int, int] = {}  # labels that several blocks share are entered once
    for block in blocks:
        rows, width = block.values.shape
        first = len(entries)
        if field.name == "head" and "head" not in block.columns:
            entries += [None] if width == 1 else range(width)
            places.append(np.arange(first, first + width)[None, :])
        elif field.name in block.labels:
            labels = block.labels[field.name]
            first = known.setdefault(id(labels), first)
            if first == len(entries):
                entries += list(labels)
            places.append(np.arange(first, first + rows)[:, None])
        else:
            entries.append(block.columns.get(field.name, default_of(field.name)))
            places.append(np.array([[first]]))
    return entries, places


def _constant(entry: pa.Array, count: int, name: str) -> pa.Array:
    """Repeat the one entry of a column; no entry is null."""
    if len(entry) == 0:
        return pa.nulls(count, CODED.field(name).type)
    if name in STRINGS:
        return pa.DictionaryArray.from_arrays(pa.repeat(pa.scalar(0, pa.int32()), count), entry)
    return pa.repeat(entry[0], count)

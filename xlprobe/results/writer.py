"""Rows go to disk as they come: a writer whose file takes its name only when all went well."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from xlprobe.errors import ResultsError
from xlprobe.files import write_atomically
from xlprobe.results.schema import CODED, COLUMNS, SCHEMA, STRINGS, coded, default_of, table_of

if TYPE_CHECKING:
    from types import TracebackType

    from xlprobe.results.table import Results

__all__ = ["MANIFEST", "MANIFEST_KEY", "TABLE", "ResultsWriter"]

MANIFEST_KEY = b"xlprobe_manifest"
_ROWS_PER_GROUP = 1 << 16
TABLE, MANIFEST = "results.parquet", "manifest.json"


@dataclass(frozen=True)
class _Block:
    """Rows that share most columns, unfolded into an Arrow table only when they are written."""

    values: np.ndarray[Any, Any]
    labels: Mapping[str, Any]
    columns: dict[str, Any]


def _column(blocks: Sequence[_Block], field: pa.Field) -> pa.Array:
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


def _places(blocks: Sequence[_Block], field: pa.Field) -> tuple[list[Any], list[np.ndarray[Any, Any]]]:
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


class ResultsWriter:
    """Writes rows as they come, into a temporary file that takes its name only when all went well.

    Rows are gathered by metric, so that one metric can be read without the others; memory stays flat.
    """

    def __init__(self, directory: str | Path, manifest: Mapping[str, Any]) -> None:
        self.directory = Path(directory)
        self.manifest = dict(manifest)
        self._pending: dict[str, list[_Block | pa.Table]] = {}
        self._counts: dict[str, int] = {}
        # One group of rows is compressed while the next are measured.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="results")
        self._writing: Future[None] | None = None
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            handle, self._name = tempfile.mkstemp(dir=self.directory, prefix=f".{TABLE}.")
            os.close(handle)
        except OSError as error:
            raise ResultsError(
                f"cannot write to {self.directory}: {error.strerror}. Choose another directory"
            ) from error
        # Measured values hardly repeat: a dictionary of them only costs, their bytes side by side compress. Statistics
        # of the columns that row groups are gathered by are all that a reader can skip by.
        self._writer = pq.ParquetWriter(
            self._name,
            CODED,
            compression="zstd",
            use_dictionary=[name for name in COLUMNS if name != "value"],
            use_byte_stream_split=["value"],
            write_statistics=["checkpoint", "metric"],
            store_schema=False,
        )

    def append(
        self,
        values: np.ndarray[Any, Any],
        labels: Mapping[str, Sequence[Any] | np.ndarray[Any, Any]] | None = None,
        **columns: Any,
    ) -> None:
        """Append rows: `values` (row,) or (row, head); `labels` hold one entry per row, `columns` one for all.

        With heads as second dimension each gets its number; a second dimension of 1 means no head (null).
        """
        array = np.asarray(values, dtype=np.float32)
        array = array[:, None] if array.ndim == 1 else array
        known = {**(labels or {}), **columns}
        if unknown := set(known) - set(COLUMNS):
            raise ResultsError(f"got the columns {sorted(unknown)}; expected some of {', '.join(COLUMNS)}")
        self._add(str(columns["metric"]), _Block(array, labels or {}, columns), array.size)

    def append_table(self, table: pa.Table) -> None:
        """Append the rows of an Arrow table of the right schema."""
        for metric in table["metric"].unique().to_pylist():
            part = table.filter(pa.compute.equal(table["metric"], metric)).cast(SCHEMA)
            self._add(metric, part, len(part))

    def _add(self, metric: str, part: _Block | pa.Table, rows: int) -> None:
        self._pending.setdefault(metric, []).append(part)
        self._counts[metric] = self._counts.get(metric, 0) + rows
        if self._counts[metric] >= _ROWS_PER_GROUP:
            self._flush(metric)

    def append_frame(self, frame: pd.DataFrame) -> None:
        """Append the rows of a pandas frame; columns that it lacks take their defaults."""
        self.append_table(table_of(frame))

    def _flush(self, metric: str) -> None:
        self._written()
        self._counts[metric] = 0
        self._writing = self._thread.submit(self._write, self._pending.pop(metric))

    def _written(self) -> None:
        """Wait for the rows that are being written, and raise what went wrong with them."""
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()

    def _write(self, parts: Sequence[_Block | pa.Table]) -> None:
        blocks = [part for part in parts if isinstance(part, _Block)]
        tables = [coded(part) for part in parts if isinstance(part, pa.Table)]
        if blocks:
            tables.append(pa.table({field.name: _column(blocks, field) for field in SCHEMA}, schema=CODED))
        self._writer.write_table(pa.concat_tables(tables), row_group_size=_ROWS_PER_GROUP)

    def close(self) -> Results:
        """Finish the table, give it its name, and open it."""
        for metric in sorted(self._pending):
            self._flush(metric)
        self._written()
        self._thread.shutdown()
        # The manifest is complete only now: it also tells what was left out.
        self._writer.add_key_value_metadata({MANIFEST_KEY: json.dumps(self.manifest, default=str).encode()})
        self._writer.close()
        os.chmod(self._name, 0o644)
        os.replace(self._name, self.directory / TABLE)
        write_atomically(
            self.directory / MANIFEST, json.dumps(self.manifest, indent=2, default=str, ensure_ascii=False) + "\n"
        )
        from xlprobe.results.table import Results

        return Results.load(self.directory)

    def __enter__(self) -> ResultsWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None and Path(self._name).exists():
                self.close()
        finally:
            self._thread.shutdown()
            if Path(self._name).exists():
                with suppress(OSError, pa.ArrowException):  # what went wrong is being raised already
                    self._writer.close()
                Path(self._name).unlink(missing_ok=True)

"""Rows go to disk as they come: a writer whose file takes its name only when all went well."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from xlprobe.files import disk_errors, write_atomically
from xlprobe.results.blocks import RowBlock, table_of_blocks
from xlprobe.results.schema import CODED, COLUMNS, SCHEMA, coded, table_of
from xlprobe.stores import refuse_address

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["MANIFEST", "MANIFEST_HASH", "MANIFEST_KEY", "TABLE", "ResultsWriter", "RowGatherer"]

MANIFEST_KEY, MANIFEST_HASH = b"xlprobe_manifest", b"xlprobe_manifest_sha256"
_ROWS_PER_GROUP = 1 << 16
TABLE, MANIFEST = "results.parquet", "manifest.json"


class RowGatherer:
    """Takes rows as they come, and stores them by metric, some thousands together, while the next are measured."""

    def __init__(self) -> None:
        self._pending: dict[str, list[RowBlock | pa.Table]] = {}
        self._counts: dict[str, int] = {}
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="results")
        self._writing: Future[None] | None = None

    def append(
        self,
        values: np.ndarray[Any, Any],
        labels: Mapping[str, Sequence[Any] | np.ndarray[Any, Any]] | None = None,
        **columns: Any,
    ) -> None:
        """Append rows: `values` (row,) or (row, head); `labels` hold one entry per row, `columns` one for all.

        With heads as second dimension each gets its number; a second dimension of 1 means no head (null).
        """
        block = RowBlock.of(values, labels, columns)
        self._add(str(columns["metric"]), block, block.values.size)

    def append_table(self, table: pa.Table) -> None:
        """Append the rows of an Arrow table, of `SCHEMA` or of `CODED`."""
        metrics = table["metric"].unique().to_pylist()
        for metric in metrics:
            rows = table if len(metrics) == 1 else table.filter(pa.compute.equal(table["metric"], metric))
            self._add(metric, rows if rows.schema == CODED else rows.cast(SCHEMA), len(rows))

    def append_frame(self, frame: pd.DataFrame) -> None:
        """Append the rows of a pandas frame; columns that it lacks take their defaults."""
        self.append_table(table_of(frame))

    def _add(self, metric: str, rows: RowBlock | pa.Table, count: int) -> None:
        self._pending.setdefault(metric, []).append(rows)
        self._counts[metric] = self._counts.get(metric, 0) + count
        if self._counts[metric] >= _ROWS_PER_GROUP:
            self._flush(metric)

    def _flush(self, metric: str) -> None:
        self._wait()
        self._counts[metric] = 0
        self._writing = self._thread.submit(self._write, self._pending.pop(metric))

    def _flush_all(self) -> None:
        for metric in sorted(self._pending):
            self._flush(metric)
        self._wait()
        self._thread.shutdown()

    def _wait(self) -> None:
        """Wait for the rows that are being written, and raise what went wrong with them."""
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()

    def _write(self, pending: Sequence[RowBlock | pa.Table]) -> None:
        tables = [coded(one) for one in pending if isinstance(one, pa.Table)]
        if blocks := [one for one in pending if isinstance(one, RowBlock)]:
            tables.append(table_of_blocks(blocks))
        self._store(pa.concat_tables(tables))

    def _store(self, table: pa.Table) -> None:
        """Store rows of one metric."""
        raise NotImplementedError


class ResultsWriter(RowGatherer):
    """Writes rows as they come, into a temporary file that takes its name only when all went well.

    A context manager: the file is there from `with` on. Rows are gathered by metric, so that one metric can be read
    without the others; memory stays flat.
    """

    def __init__(self, directory: str | Path, manifest: Mapping[str, Any]) -> None:
        super().__init__()
        refuse_address(directory)
        self.directory = Path(directory)
        self.manifest = dict(manifest)
        self._name = ""

    def _store(self, table: pa.Table) -> None:
        with disk_errors(self.directory / TABLE):
            self._writer.write_table(table, row_group_size=_ROWS_PER_GROUP)

    def close(self) -> Path:
        """Finish the table, give it its name, and return it."""
        self._flush_all()
        with disk_errors(self.directory / TABLE):
            # The manifest is complete only now: it also tells what was left out.
            text = json.dumps(self.manifest, default=str).encode()
            self._writer.add_key_value_metadata({MANIFEST_KEY: text, MANIFEST_HASH: sha256(text).hexdigest().encode()})
            self._writer.close()
            os.chmod(self._name, 0o644)
            os.replace(self._name, self.directory / TABLE)
            write_atomically(
                self.directory / MANIFEST, json.dumps(self.manifest, indent=2, default=str, ensure_ascii=False) + "\n"
            )
        return self.directory / TABLE

    def __enter__(self) -> ResultsWriter:
        try:
            with disk_errors(self.directory / TABLE):
                self.directory.mkdir(parents=True, exist_ok=True)
                handle, self._name = tempfile.mkstemp(dir=self.directory, prefix=f".{TABLE}.")
                os.close(handle)
            # Measured values hardly repeat: a dictionary of them only costs, their bytes side by side compress.
            # Statistics of the columns that row groups are gathered by are all that a reader can skip by.
            self._writer = pq.ParquetWriter(
                self._name,
                CODED,
                compression="zstd",
                use_dictionary=[name for name in COLUMNS if name != "value"],
                use_byte_stream_split=["value"],
                write_statistics=["checkpoint", "metric"],
                store_schema=False,
                write_page_checksum=True,
            )
        except BaseException:  # an interrupt, too
            if self._name:
                Path(self._name).unlink(missing_ok=True)
            raise
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

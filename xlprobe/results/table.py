"""The one tidy table that every measurement writes and every figure reads."""

from __future__ import annotations

import difflib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from xlprobe.errors import ResultsError
from xlprobe.results.frames import frame_of, frame_of_sums
from xlprobe.results.schema import CODED, COLUMNS, SCHEMA, STRINGS, table_of
from xlprobe.results.sums import sums_of
from xlprobe.results.writer import MANIFEST_HASH, MANIFEST_KEY, TABLE, ResultsWriter
from xlprobe.stores import Directory, fetched, staged

__all__ = ["Results"]

ROWS_AT_ONCE = 10_000_000
"""How many rows a contrast holds at once, of tables with several layers: some hundred bytes each, at most."""

BESIDE = ("patterns.npz", "explorer.html")
"""What may be beside a table, and is read with it."""

_CHECKED = ds.ParquetFragmentScanOptions(page_checksum_verification=True)
"""The table's pages have checksums: changed numbers are an error, not a result."""
_FORMAT = ds.ParquetFileFormat(
    read_options=ds.ParquetReadOptions(dictionary_columns=list(STRINGS)), default_fragment_scan_options=_CHECKED
)
"""Texts are read as the numbers that stand for them in the file."""


class Results:
    """A long table of measurements with the manifest of the run that made it.

    The rows stay on disk until they are asked for; `select` narrows without reading. Values are float32.
    """

    def __init__(self, rows: pd.DataFrame | pa.Table | ds.Dataset, manifest: Mapping[str, Any] | None = None) -> None:
        if isinstance(rows, pd.DataFrame):
            rows = table_of(rows)
        if isinstance(rows, pa.Table):
            rows = ds.dataset(rows)
        missing = [name for name in COLUMNS if name not in rows.schema.names]
        if missing:
            raise ResultsError(f"got a table without the columns {missing}; expected {', '.join(COLUMNS)}")
        self._dataset: ds.Dataset = rows
        self._plain: ds.Dataset | None = None
        """The same file with plain texts: only so Arrow knows which groups of rows a filter leaves out."""
        self._filter: ds.Expression | None = None
        self._held: Any = None
        self.path: Path | None = None
        """Where the table's file is, if it is one of its own; patterns that were kept are beside it."""
        self.manifest: dict[str, Any] = dict(manifest or {})

    def select(self, **filters: Any) -> Results:
        """Return the rows whose columns hold the given values: `select(metric="js_stability", layer=[0, 1])`.

        A list means any of its values, None means null. Unknown columns, and metrics that neither the table nor xlprobe
        knows, raise `ResultsError`.
        """
        chosen = Results(self._dataset, self.manifest)
        chosen.path, chosen._held, chosen._plain = self.path, self._held, self._plain
        expression = self._filter
        for name, wanted in filters.items():
            if name not in COLUMNS:
                raise ResultsError(f"got the column {name!r}; expected one of {', '.join(COLUMNS)}")
            if name == "metric" and wanted is not None:
                self._refuse_unknown([wanted] if isinstance(wanted, str) else list(wanted))
            if wanted is None:
                term = ds.field(name).is_null()
            elif isinstance(wanted, Iterable) and not isinstance(wanted, str):
                term = ds.field(name).isin(pa.array(list(wanted), SCHEMA.field(name).type))
            else:
                term = ds.field(name) == pa.scalar(wanted, SCHEMA.field(name).type)
            expression = term if expression is None else expression & term
        chosen._filter = expression
        return chosen

    def _refuse_unknown(self, metrics: Sequence[str]) -> None:
        """Refuse names that neither this table nor xlprobe knows: they are misspelt, not without rows."""
        from xlprobe.metrics import METRICS

        if not (strange := [name for name in metrics if name not in METRICS]):
            return
        present = self.unique("metric")
        for name in strange:
            if name not in present:
                close = difflib.get_close_matches(name, {*METRICS, *present}, n=1)
                hint = f"; did you mean {close[0]!r}?" if close else ""
                raise ResultsError(f"got the metric {name!r}; the table has {', '.join(present) or 'none'}{hint}")

    def to_frame(self, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Return the rows as a pandas frame; text columns are categories."""
        return self._frame(list(columns or COLUMNS))

    def _frame(self, names: Sequence[str], may_be_empty: Collection[str] = ()) -> pd.DataFrame:
        return frame_of(self._batches(names, batch_readahead=1, use_threads=False), names, may_be_empty)

    def tables(self) -> Iterator[pa.Table]:
        """Yield the rows as Arrow tables, piece by piece."""
        for batch in self._batches(COLUMNS):
            if batch.num_rows:
                yield pa.Table.from_batches([batch])

    def unique(self, column: str) -> list[Any]:
        """Return the values of a column, sorted, without null."""
        seen: set[Any] = set()
        for batch in self._batches([column]):
            seen.update(batch.column(0).unique().to_pylist())
        return sorted(seen - {None})

    def means(self, by: Sequence[str], *, categories: bool = False) -> pd.DataFrame:
        """Return mean, count and number of NaN per combination of columns, in one streaming pass.

        Columns: `by`, `value` (mean of the values that are numbers, float64), `n`, `n_nan`. With `categories` text
        columns are categories, which take less time and memory where there are many rows.
        """
        unknown = [name for name in by if name not in COLUMNS]
        if unknown:
            raise ResultsError(f"got the columns {unknown}; expected some of {', '.join(COLUMNS)}")
        sums = sums_of(self._batches([*by, "value"], batch_readahead=1, use_threads=False), by)
        pa.default_memory_pool().release_unused()
        if len(sums) == 0:
            return pd.DataFrame(columns=[*by, "value", "n", "n_nan"])
        frame = frame_of_sums(sums, by, categories)
        frame["value"] = np.where(frame["n"] > 0, frame["total"] / frame["n"].clip(lower=1), np.nan)
        return frame[[*by, "value", "n", "n_nan"]]

    def contrast(
        self, a: str, b: str, metric: str, by: Sequence[str] = ("layer", "head"), **options: Any
    ) -> pd.DataFrame:
        """Return the paired differences of two checkpoints, a - b, per combination of `by`.

        Of the observed condition and of pooling by token unless told otherwise; a block that is not named is a column
        of the answer. `reference="floor"` takes each side's floor off. See `xlprobe.statistics.contrast_frame`.
        """
        from xlprobe.statistics import contrast_frame

        return contrast_frame(self._of_two(a, b, metric, by), a, b, metric, by, **options)

    def heads_that_change(
        self,
        before: str,
        after: str,
        metric: str = "js_stability",
        by: Sequence[str] = ("context_language", "question_language", "layer", "head"),
        **options: Any,
    ) -> pd.DataFrame:
        """Return which heads change most from one checkpoint to another, and for which pair of languages.

        Floor taken off, the largest change first, with q values. See `xlprobe.statistics.heads_that_change`.
        """
        from xlprobe.statistics import heads_that_change

        return heads_that_change(self._of_two(before, after, metric, by), before, after, metric, by, **options)

    def _of_two(self, a: str, b: str, metric: str, by: Sequence[str]) -> Iterator[pd.DataFrame]:
        """Yield what a contrast of two checkpoints needs of the table, layer by layer where it is long."""
        for name in (a, b):
            if name not in (known := self.unique("checkpoint")):
                raise ResultsError(f"got the checkpoint {name!r}; the table has {', '.join(known)}")
        rows = self.select(metric=metric, checkpoint=[a, b])
        if (size := len(rows)) == 0:
            raise ResultsError(f"the table has no {metric!r}; it has {', '.join(self.unique('metric'))}")
        more = [by] if isinstance(by, str) else by
        tables = [rows] if size <= ROWS_AT_ONCE else [rows.select(layer=one) for one in (*rows.unique("layer"), None)]
        for table in tables:
            if len(frame := table.lean_frame(more)):
                yield frame
            del frame  # before the next is read

    def lean_frame(self, more: Sequence[str] = ()) -> pd.DataFrame:
        """Return what statistics need of the rows, and some more columns, in as little memory as it takes."""
        from xlprobe.statistics.pairing import PAIRED_BY

        needed = {*PAIRED_BY, "checkpoint", "reference", "group", "seed", "step", "value", "reason", *more}
        return self._frame([name for name in COLUMNS if name in needed], ("seed", "step", "reason"))

    def _batches(self, columns: Sequence[str], **options: Any) -> Iterator[pa.RecordBatch]:
        with _reading(self.path):
            yield from self._groups().to_batches(columns=list(columns), filter=self._filter, **options)

    def _groups(self) -> ds.Dataset:
        """Return the groups of rows in which the filter may find something."""
        if self._plain is None or self._filter is None:
            return self._dataset
        kept = [
            fragment.subset(row_group_ids=[group.id for group in plain.subset(self._filter).row_groups])
            for fragment, plain in zip(self._dataset.get_fragments(), self._plain.get_fragments(), strict=True)
        ]
        return ds.FileSystemDataset(kept, self._dataset.schema, _FORMAT, self._dataset.filesystem)

    def _table(self) -> pa.Table:
        schema = self._dataset.schema
        return pa.Table.from_batches(self._batches(COLUMNS), pa.schema([schema.field(name) for name in COLUMNS]))

    def __len__(self) -> int:
        with _reading(self.path):
            return int(self._groups().count_rows(filter=self._filter))

    def __repr__(self) -> str:
        return (
            f"Results({len(self):,} rows; checkpoints {', '.join(self.unique('checkpoint'))}; "
            f"metrics {', '.join(self.unique('metric'))})"
        )

    def save(self, directory: str | Path) -> Path:
        """Write `results.parquet` and `manifest.json` into a directory, atomically; return the table's path.

        The directory may be an address (s3://bucket/run).
        """
        with staged(directory, lambda name: False) as place, ResultsWriter(place.path, self.manifest) as writer:
            for table in self.tables():
                writer.append_table(table)
        return Path(directory) / TABLE

    @classmethod
    def load(cls, path: str | Path, *, held: Directory | None = None) -> Results:
        """Open a table: a directory that holds `results.parquet`, or the Parquet file itself.

        Of an address (s3://bucket/run) the copy in the cache is opened, which is made again where the store's table has
        changed. A temporary directory that is `held` is removed when nobody has the table any more.
        """
        path = fetched(path, names=(TABLE, *BESIDE))
        file = path / TABLE if path.is_dir() else path
        with _reading(file):
            written = pq.read_metadata(file)
            # Columns that pandas wrote have wider types; what cannot be one of ours is an error when it is read.
            present = [name for name in COLUMNS if name in written.schema.to_arrow_schema().names]
            dataset = ds.dataset(file, schema=pa.schema([CODED.field(name) for name in present]), format=_FORMAT)
            plain = ds.dataset(file, schema=pa.schema([SCHEMA.field(name) for name in present]), format="parquet")
        results = cls(dataset, _checked_manifest(file, written.metadata or {}))
        results.path, results._plain = file, plain
        results._held = held
        return results

    @classmethod
    def concat(cls, parts: Sequence[Results]) -> Results:
        """Return all rows of several tables; the manifests are kept side by side under `parts`."""
        if not parts:
            raise ResultsError("got no tables to join; expected at least one")
        if len(parts) == 1:
            return parts[0]
        tables = [table._table() for table in parts]
        return cls(pa.concat_tables(tables), {"parts": [table.manifest for table in parts]})


@contextmanager
def _reading(file: Path | None) -> Iterator[None]:
    """Raise `ResultsError` where Arrow cannot read a table."""
    try:
        yield
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        what = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ResultsError(
            f"cannot read the table {file or 'in memory'}: {what:.300}. Expected a {TABLE} written by xlprobe"
        ) from error


def _checked_manifest(file: Path, metadata: Mapping[bytes, bytes]) -> dict[str, Any]:
    """Return the manifest that a table holds; raise `ResultsError` where it is not one, or not the one written."""
    text = metadata.get(MANIFEST_KEY, b"{}")
    try:
        if metadata.get(MANIFEST_HASH, digest := sha256(text).hexdigest().encode()) != digest:
            raise ValueError("it is not what was written")
        manifest = json.loads(text)
        waiting = [manifest]
        for one in waiting:
            models, parts = one.get("checkpoints", {}), one.get("parts", [])
            tables = [one.get("arguments", {}), one.get("attention_maps", {}), models, *models.values(), *parts]
            if not all(isinstance(table, dict) for table in tables):
                raise ValueError("an entry is of another type")
            waiting += parts
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise ResultsError(
            f"cannot read the table {file}: its manifest is damaged ({error!s:.120}). Expected a {TABLE} written by "
            "xlprobe; measure again"
        ) from error
    return dict(manifest)

"""The one tidy table that every measurement writes and every figure reads."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from xlprobe.errors import ResultsError

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["COLUMNS", "Results", "ResultsWriter", "write_atomically"]

SCHEMA = pa.schema(
    [
        ("checkpoint", pa.string()),
        ("dataset", pa.string()),
        ("context_language", pa.string()),
        ("question_language", pa.string()),
        ("reference", pa.string()),
        ("sample", pa.string()),
        ("group", pa.string()),
        ("depth", pa.int16()),
        ("layer", pa.int16()),
        ("head", pa.int16()),
        ("metric", pa.string()),
        ("block", pa.string()),
        ("pooling", pa.string()),
        ("condition", pa.string()),
        ("value", pa.float32()),
        ("step", pa.int64()),
        ("seed", pa.int64()),
        ("reason", pa.string()),
    ]
)
COLUMNS: tuple[str, ...] = tuple(SCHEMA.names)
"""The table's columns.

`checkpoint`, `dataset`; `context_language`, `question_language` of the row (for metrics of a pair of languages: the
two); `reference`, the pair that the row is compared with ("en-en"); `sample` and its `group` (the theory, what
statistics resample) and proof `depth`; `layer` (from 0; for hidden states 0 is the embeddings) and `head`; `metric`
and its `block` (of the attention; for hidden states "sentence" or "problem"), `pooling` and `condition` (observed,
floor, chance, forced, control); `value`; `step` and `seed` of training; `reason`, why a value is NaN. What does not
apply is null (text: empty).
"""

_STRINGS = tuple(field.name for field in SCHEMA if field.type == pa.string())
_DEFAULTS: dict[str, str | None] = {
    "reference": None,
    "sample": None,
    "group": None,
    "reason": None,
    "condition": "observed",
}
_MANIFEST_KEY = b"xlprobe_manifest"
_ROWS_PER_GROUP = 1 << 16
TABLE, MANIFEST = "results.parquet", "manifest.json"


def write_atomically(path: Path, data: bytes | str) -> None:
    """Write a file under a temporary name beside it, then rename, so that nobody ever sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data.encode() if isinstance(data, str) else data)
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


class Results:
    """A long table of measurements with the manifest of the run that made it.

    The rows stay on disk until they are asked for; `select` narrows without reading. Values are float32.
    """

    def __init__(self, rows: pd.DataFrame | pa.Table | ds.Dataset, manifest: Mapping[str, Any] | None = None) -> None:
        if isinstance(rows, pd.DataFrame):
            rows = _to_table(rows)
        if isinstance(rows, pa.Table):
            rows = ds.dataset(rows)
        missing = [name for name in COLUMNS if name not in rows.schema.names]
        if missing:
            raise ResultsError(f"got a table without the columns {missing}; expected {', '.join(COLUMNS)}")
        self._dataset: ds.Dataset = rows
        self._filter: ds.Expression | None = None
        self.manifest: dict[str, Any] = dict(manifest or {})

    def select(self, **filters: Any) -> Results:
        """Return the rows whose columns hold the given values: `select(metric="js_stability", layer=[0, 1])`.

        A list means any of its values, None means null. Unknown columns raise `ResultsError`.
        """
        chosen = Results(self._dataset, self.manifest)
        expression = self._filter
        for name, wanted in filters.items():
            if name not in COLUMNS:
                raise ResultsError(f"got the column {name!r}; expected one of {', '.join(COLUMNS)}")
            if wanted is None:
                term = ds.field(name).is_null()
            elif isinstance(wanted, Iterable) and not isinstance(wanted, str):
                term = ds.field(name).isin(pa.array(list(wanted), SCHEMA.field(name).type))
            else:
                term = ds.field(name) == pa.scalar(wanted, SCHEMA.field(name).type)
            expression = term if expression is None else expression & term
        chosen._filter = expression
        return chosen

    def to_frame(self, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Return the rows as a pandas frame; text columns are categories."""
        table = self._dataset.to_table(columns=list(columns or COLUMNS), filter=self._filter)
        for name in table.column_names:
            if name in _STRINGS:
                table = table.set_column(
                    table.column_names.index(name), name, table[name].dictionary_encode().unify_dictionaries()
                )
        return table.to_pandas()

    def tables(self) -> Iterator[pa.Table]:
        """Yield the rows as Arrow tables, piece by piece."""
        for batch in self._dataset.to_batches(columns=list(COLUMNS), filter=self._filter):
            if batch.num_rows:
                yield pa.Table.from_batches([batch])

    def unique(self, column: str) -> list[Any]:
        """Return the values of a column, sorted, without null."""
        seen: set[Any] = set()
        for batch in self._dataset.to_batches(columns=[column], filter=self._filter):
            seen.update(batch.column(0).unique().to_pylist())
        return sorted(seen - {None})

    def means(self, by: Sequence[str]) -> pd.DataFrame:
        """Return mean, count and number of NaN per combination of columns, in one streaming pass.

        Columns: `by`, `value` (mean of the values that are numbers, float64), `n`, `n_nan`.
        """
        unknown = [name for name in by if name not in COLUMNS]
        if unknown:
            raise ResultsError(f"got the columns {unknown}; expected some of {', '.join(COLUMNS)}")
        parts = []
        for batch in self._dataset.to_batches(columns=[*by, "value"], filter=self._filter):
            if batch.num_rows == 0:
                continue
            value = pa.compute.cast(batch.column("value"), pa.float64())
            absent = pa.compute.or_(pa.compute.is_nan(value), pa.compute.is_null(value)).fill_null(True)
            part = pa.table(
                {name: batch.column(name) for name in by}
                | {
                    "total": pa.compute.if_else(absent, 0.0, value),
                    "n": pa.compute.cast(pa.compute.invert(absent), pa.int64()),
                    "n_nan": pa.compute.cast(absent, pa.int64()),
                }
            )
            parts.append(_sums(part, by))
            if len(parts) >= 64:
                parts = [_sums(pa.concat_tables(parts), by)]
        if not parts:
            return pd.DataFrame(columns=[*by, "value", "n", "n_nan"])
        frame = _sums(pa.concat_tables(parts), by).to_pandas()
        frame["value"] = np.where(frame["n"] > 0, frame["total"] / frame["n"].clip(lower=1), np.nan)
        return frame.drop(columns="total").sort_values(list(by), ignore_index=True)[[*by, "value", "n", "n_nan"]]

    def contrast(
        self, a: str, b: str, metric: str, by: Sequence[str] = ("layer", "head"), **options: Any
    ) -> pd.DataFrame:
        """Return the paired differences of two checkpoints, a - b, per combination of `by`.

        See `xlprobe.statistics.contrast_frame`: intervals resampled by theory, sign-flip p values, false discoveries.
        """
        from xlprobe.statistics import contrast_frame

        for name in (a, b):
            if name not in (known := self.unique("checkpoint")):
                raise ResultsError(f"got the checkpoint {name!r}; the table has {', '.join(known)}")
        rows = self.select(metric=metric, checkpoint=[a, b])
        if len(rows) == 0:
            raise ResultsError(f"the table has no {metric!r}; it has {', '.join(self.unique('metric'))}")
        return contrast_frame(rows.to_frame(), a, b, metric, by=by, **options)

    def __len__(self) -> int:
        return int(self._dataset.count_rows(filter=self._filter))

    def __repr__(self) -> str:
        return (
            f"Results({len(self):,} rows; checkpoints {', '.join(self.unique('checkpoint'))}; "
            f"metrics {', '.join(self.unique('metric'))})"
        )

    def save(self, directory: str | Path) -> Path:
        """Write `results.parquet` and `manifest.json` into a directory, atomically; return the table's path."""
        with ResultsWriter(directory, self.manifest) as writer:
            for table in self.tables():
                writer.append_table(table)
        return Path(directory) / TABLE

    @classmethod
    def load(cls, path: str | Path) -> Results:
        """Open a table: a directory that holds `results.parquet`, or the Parquet file itself."""
        path = Path(path)
        file = path / TABLE if path.is_dir() else path
        try:
            dataset = ds.dataset(file, format="parquet")
            metadata = pq.read_metadata(file).metadata or {}
        except (OSError, pa.ArrowException) as error:
            raise ResultsError(
                f"cannot read the table {file}: {str(error).splitlines()[0]}. Expected a {TABLE} written by xlprobe"
            ) from error
        return cls(dataset, json.loads(metadata.get(_MANIFEST_KEY, b"{}")))

    @classmethod
    def concat(cls, parts: Sequence[Results]) -> Results:
        """Return all rows of several tables; the manifests are kept side by side under `parts`."""
        if not parts:
            raise ResultsError("got no tables to join; expected at least one")
        if len(parts) == 1:
            return parts[0]
        tables = [part._dataset.to_table(columns=list(COLUMNS), filter=part._filter) for part in parts]
        return cls(pa.concat_tables(tables), {"parts": [part.manifest for part in parts]})


def _sums(table: pa.Table, by: Sequence[str]) -> pa.Table:
    grouped = table.group_by(list(by)).aggregate([("total", "sum"), ("n", "sum"), ("n_nan", "sum")])
    return grouped.rename_columns([name.removesuffix("_sum") for name in grouped.column_names])


def _to_table(frame: pd.DataFrame) -> pa.Table:
    rows = len(frame)
    columns = {}
    for field in SCHEMA:
        if field.name in frame:
            values: Any = frame[field.name]
        else:
            values = [_default(field.name)] * rows
        try:
            series = pd.Series(values)
            if field.type == pa.string():
                series = series.astype(object).where(series.notna(), _default(field.name))
                columns[field.name] = pa.array(series.tolist(), field.type)
            elif field.name == "value":
                columns[field.name] = pa.array(series.to_numpy(dtype=np.float32, na_value=np.nan), field.type)
            else:
                columns[field.name] = pa.array([None if pd.isna(v) else int(v) for v in series], field.type)
        except (pa.ArrowException, ValueError, TypeError) as error:
            raise ResultsError(f"the column {field.name!r} does not hold {field.type}: {error}") from error
    return pa.table(columns, schema=SCHEMA)


def _default(name: str) -> str | None:
    if name in _DEFAULTS:
        return _DEFAULTS[name]
    return "" if name in _STRINGS else None


@dataclass(frozen=True)
class _Block:
    """Rows that share most columns, unfolded into an Arrow table only when they are written."""

    values: np.ndarray[Any, Any]
    labels: dict[str, Any]
    columns: dict[str, Any]


def _column(blocks: Sequence[_Block], field: pa.Field) -> pa.Array:
    """Unfold one column of many blocks."""
    if field.name == "value":
        return pa.array(np.concatenate([block.values.reshape(-1) for block in blocks]))
    parts: list[Any] = []
    counts: list[Any] = []
    for block in blocks:
        rows, width = block.values.shape
        if field.name == "head" and "head" not in block.columns:
            parts.append([None] if width == 1 else list(range(width)) * rows)
            counts.append([rows] if width == 1 else [1] * (rows * width))
        elif field.name in block.labels:
            parts.append(list(block.labels[field.name]))
            counts.append([width] * rows)
        else:
            parts.append([block.columns.get(field.name, _default(field.name))])
            counts.append([rows * width])
    entries = pa.array([entry for part in parts for entry in part], field.type)
    repeats = np.fromiter((n for count in counts for n in count), dtype=np.int64)
    return entries.take(pa.array(np.repeat(np.arange(len(entries)), repeats)))


class ResultsWriter:
    """Writes rows as they come, into a temporary file that takes its name only when all went well.

    Rows are gathered by metric, so that one metric can be read without the others; memory stays flat.
    """

    def __init__(self, directory: str | Path, manifest: Mapping[str, Any]) -> None:
        self.directory = Path(directory)
        self.manifest = dict(manifest)
        self._pending: dict[str, list[_Block | pa.Table]] = {}
        self._counts: dict[str, int] = {}
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            handle, self._name = tempfile.mkstemp(dir=self.directory, prefix=f".{TABLE}.")
            os.close(handle)
        except OSError as error:
            raise ResultsError(
                f"cannot write to {self.directory}: {error.strerror}. Choose another directory"
            ) from error
        self._writer = pq.ParquetWriter(self._name, SCHEMA, compression="zstd")

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
        self._add(str(columns["metric"]), _Block(array, dict(labels or {}), columns), array.size)

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
        self.append_table(_to_table(frame))

    def _flush(self, metric: str) -> None:
        parts = self._pending.pop(metric)
        blocks = [part for part in parts if isinstance(part, _Block)]
        tables = [part for part in parts if isinstance(part, pa.Table)]
        if blocks:
            tables.append(pa.table({field.name: _column(blocks, field) for field in SCHEMA}, schema=SCHEMA))
        self._writer.write_table(pa.concat_tables(tables), row_group_size=_ROWS_PER_GROUP)
        self._counts[metric] = 0

    def close(self) -> Results:
        """Finish the table, give it its name, and open it."""
        for metric in sorted(self._pending):
            self._flush(metric)
        # The manifest is complete only now: it also tells what was left out.
        self._writer.add_key_value_metadata({_MANIFEST_KEY: json.dumps(self.manifest, default=str).encode()})
        self._writer.close()
        os.chmod(self._name, 0o644)
        os.replace(self._name, self.directory / TABLE)
        write_atomically(
            self.directory / MANIFEST, json.dumps(self.manifest, indent=2, default=str, ensure_ascii=False) + "\n"
        )
        return Results.load(self.directory)

    def __enter__(self) -> ResultsWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            if Path(self._name).exists():
                self.close()
            return
        self._writer.close()
        Path(self._name).unlink(missing_ok=True)

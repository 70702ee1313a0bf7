"""The columns of the table, and frames cast to them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from xlprobe.errors import ResultsError

__all__ = ["CODED", "COLUMNS", "SCHEMA", "STRINGS", "coded", "default_of", "table_of", "with_reasons"]

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
two); `reference`, the pair that the row is compared with ("en-en"); `sample` and its `group` (the theory, the unit of
statistics) and proof `depth`; `layer` (from 0; for hidden states 0 is the embeddings) and `head`; `metric`
and its `block` (of the attention; for hidden states "sentence" or "problem"), `pooling` and `condition` (observed,
floor, chance, forced, control); `value`; `step` and `seed` of training; `reason`, why a value is NaN. What does not
apply is null (text: empty).
"""

STRINGS = tuple(field.name for field in SCHEMA if field.type == pa.string())
CODED = pa.schema([(f.name, pa.dictionary(pa.int32(), f.type) if f.name in STRINGS else f.type) for f in SCHEMA])
"""The columns with each text kept once and numbers in its place; files hold plain text, as `SCHEMA` says."""

_DEFAULTS: dict[str, str | None] = {
    "reference": None,
    "sample": None,
    "group": None,
    "reason": None,
    "condition": "observed",
}


_UNDEFINED = "undefined: nothing of what the metric looks at is open to it here"


def with_reasons(table: pa.Table) -> pa.Table:
    """Give a reason to the values that are NaN and have none: rows in which a mask or window leaves nothing to "
    "compare."""
    bare = pc.and_(pc.is_nan(table["value"]), pc.is_null(table["reason"]))
    if not pc.any(bare).as_py():
        return table
    reasons = pc.if_else(bare, _UNDEFINED, table["reason"].cast(pa.string()))
    coded_reasons = reasons.combine_chunks().dictionary_encode().cast(CODED.field("reason").type)
    return table.set_column(table.schema.get_field_index("reason"), CODED.field("reason"), coded_reasons)


def table_of(frame: pd.DataFrame) -> pa.Table:
    """Cast a frame to the table's columns; those that it lacks take their defaults. Raises `ResultsError`."""
    rows = len(frame)
    columns = {}
    for field in SCHEMA:
        if field.name in frame:
            values: Any = frame[field.name]
        else:
            values = [default_of(field.name)] * rows
        try:
            series = pd.Series(values)
            if field.type == pa.string():
                series = series.astype(object).where(series.notna(), default_of(field.name))
                columns[field.name] = pa.array(series.tolist(), field.type)
            elif field.name == "value":
                columns[field.name] = pa.array(series.to_numpy(dtype=np.float32, na_value=np.nan), field.type)
            else:
                columns[field.name] = pa.array([None if pd.isna(v) else int(v) for v in series], field.type)
        except (pa.ArrowException, ValueError, TypeError) as error:
            raise ResultsError(f"the column {field.name!r} does not hold {field.type}: {error}") from error
    return pa.table(columns, schema=SCHEMA)


def coded(part: pa.Table | pa.RecordBatch) -> Any:
    """Return rows of any of the columns with their text as `CODED` has it."""
    names = part.schema.names
    columns = [c.dictionary_encode() if name in STRINGS else c for name, c in zip(names, part.columns, strict=True)]
    return type(part).from_arrays(columns, names=names)


def default_of(name: str) -> str | None:
    """Return what a column holds where it does not apply."""
    if name in _DEFAULTS:
        return _DEFAULTS[name]
    return "" if name in STRINGS else None

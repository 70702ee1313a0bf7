"""Rows of a file, whatever it is kept in: JSON, tab- or comma-separated, Parquet, CoNLL; zipped with gzip or not."""

from __future__ import annotations

import csv
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from xlprobe.errors import DataError
from xlprobe.samples.readers.conll import conll_rows, is_conll
from xlprobe.samples.readers.lines import Row, an_object, json_lines, open_bytes, parsed, text_lines

__all__ = ["rows_of", "table_lines", "with_label_names"]

_PARQUET = b"PAR1"
_QUOTED = re.compile(r'"(?:[^"]|"")*"')


def rows_of(path: str | Path) -> Iterator[Row]:
    """Yield (where, row) of a file of rows.

    That is one JSON object a line or a JSON list of objects; a table, separated by tabs, or by commas where the name
    ends in .csv, with a header; Parquet; or sentences in CoNLL or CoNLL-U with a language for every token. Raises
    `DataError`, naming the place, for what cannot be read as that.
    """
    file = Path(path)
    with open_bytes(file) as start:
        magic = start.read(4)
    if magic == _PARQUET:
        return _parquet(file)
    _, first = next(text_lines(file))
    if first.lstrip().startswith("["):
        return _json_list(file)
    if first.lstrip().startswith("{"):
        return json_lines(file)
    if is_conll(file, first):
        return conll_rows(file)
    if _suffix(file) == ".csv":
        return _comma_separated(file)
    if "\t" in first:
        return _tab_separated(file)
    raise DataError(
        f"{file}: its first line is {first!r:.60}; expected rows: JSON objects, a table with tabs (or commas, in a "
        ".csv file) and a header, Parquet, or CoNLL"
    )


def with_label_names(rows: Iterable[Row], names: Mapping[str, tuple[str, ...]]) -> Iterator[Row]:
    """Put the names of classes (by column) where rows have their numbers, and all names into `label_names`.

    -1 is no class and becomes None. Raises `DataError` for another number.
    """
    named = {column: names[column] for column in ("label", "gold_label", "answer") if column in names}
    for where, row in rows:
        more: dict[str, Any] = {}
        for column, known in named.items():
            number = row.get(column)
            if type(number) is int:
                if not -1 <= number < len(known):
                    raise DataError(
                        f"{where}: {column!r} is {number:.6g}; expected the number of one of {', '.join(known)}"
                    )
                more |= {column: known[number] if number >= 0 else None, "label_names": list(known)}
        yield where, {**row, **more}


def _suffix(file: Path) -> str:
    return Path(file.name.lower().removesuffix(".gz")).suffix


def _json_list(file: Path) -> Iterator[Row]:
    text = "\n".join(line for _, line in text_lines(file, blank=True))
    values = parsed(text, str(file))
    for number, value in enumerate(values):
        where = f"{file}, row {number}"
        yield where, an_object(value, where)


def _parquet(file: Path) -> Iterator[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    def rows(table: pq.ParquetFile) -> Iterator[Row]:
        number = 0
        for batch in table.iter_batches(256):
            for row in batch.to_pylist():
                yield f"{file}, row {number}", row
                number += 1

    try:
        with pq.ParquetFile(file, page_checksum_verification=True) as table:
            yield from with_label_names(rows(table), _class_names(table.schema_arrow.metadata))
    except (pa.ArrowException, OSError, ValueError, EOFError, MemoryError, UnicodeDecodeError) as error:
        raise DataError(f"{file}: cannot be read as Parquet ({error!s:.120}); fetch the file again") from error


def _class_names(metadata: Mapping[bytes, bytes] | None) -> dict[str, tuple[str, ...]]:
    """Return the names of the classes that `datasets` writes beside a Parquet table, by column."""
    try:
        features = json.loads((metadata or {}).get(b"huggingface", b"{}"))["info"]["features"]
        return {
            column: tuple(map(str, feature["names"]))
            for column, feature in features.items()
            if isinstance(feature, dict) and feature.get("_type") == "ClassLabel"
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def _comma_separated(file: Path) -> Iterator[Row]:
    lines = (line + "\n" for _, line in text_lines(file, blank=True))
    reader = csv.reader(lines, strict=True)
    try:
        yield from _with_header(((reader.line_num, cells) for cells in reader), file)
    except csv.Error as error:
        raise DataError(f"{file}, line {reader.line_num}: is no comma-separated table ({error})") from error


def _tab_separated(file: Path) -> Iterator[Row]:
    return _with_header(table_lines(file), file)


def _with_header(lines: Iterable[tuple[int, list[str]]], file: Path) -> Iterator[Row]:
    rows = iter(lines)
    _, header = next(rows)
    columns = [cell.strip() for cell in header]
    if len(set(columns)) < len(columns) or not all(columns):
        raise DataError(f"{file}, line 1: got the header {header!r:.80}; expected different names of columns")
    number = 1
    for number, cells in rows:
        where = f"{file}, line {number}"
        if len(cells) != len(columns):
            raise DataError(f"{where}: has {len(cells)} columns; expected {len(columns)} ({', '.join(columns):.80})")
        yield where, dict(zip(columns, (cell or None for cell in cells), strict=True))
    if number == 1:
        raise DataError(f"{file} has a header and no rows; expected at least one row")


def table_lines(file: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield (line number, cells) of a table with tabs; blank lines at its end are passed over.

    Quotation marks are text, but for a table in which every cell that has any is quoted as spreadsheets do it, inner
    marks doubled: they are taken off, and standard error says so. Raises `DataError` for a blank line before others.
    """
    unquote = _from_spreadsheet(file)
    if unquote:
        print(f"{file}: cells are in quotation marks as spreadsheets write them; they are taken off", file=sys.stderr)
    blank = 0
    for number, line in text_lines(file, blank=True):
        if not line.strip():
            blank = blank or number
            continue
        if blank:
            raise DataError(f"{file}, line {blank}: is blank; expected a row, as others follow")
        cells = line.split("\t")
        yield (
            number,
            [cell[1:-1].replace('""', '"') if cell[:1] == '"' else cell for cell in cells] if unquote else cells,
        )


def _from_spreadsheet(file: Path) -> bool:
    doubled = False
    for _, line in text_lines(file, blank=True):
        for cell in line.split("\t") if '"' in line else ():
            if '"' in cell:
                if not _QUOTED.fullmatch(cell):
                    return False
                doubled = doubled or '""' in cell[1:-1]
    return doubled

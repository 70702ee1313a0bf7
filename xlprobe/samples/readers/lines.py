"""Reading files line by line, gzipped or not, with errors that name file and line."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from xlprobe.errors import DataError

__all__ = ["field_of", "json_lines", "open_text", "text_lines"]


def open_text(path: Path) -> TextIO:
    """Open a UTF-8 text file, gzipped where its name ends in .gz; only a newline ends a line."""
    try:
        if path.suffix == ".gz":
            return gzip.open(path, "rt", encoding="utf-8-sig", newline="\n")
        return path.open("r", encoding="utf-8-sig", newline="\n")
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}. Check the path") from error


def text_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (line number from 1, line without its end) of a file; blank lines are passed over.

    Raises `DataError` for a file that is empty, not UTF-8, or a broken archive.
    """
    found = False
    number = 0
    with open_text(path) as file:
        try:
            for number, line in enumerate(file, 1):
                text = line.rstrip("\r\n")
                if text.strip():
                    found = True
                    yield number, text
        except (UnicodeDecodeError, EOFError, OSError) as error:
            raise DataError(f"{path}, after line {number}: cannot be read as UTF-8 text ({error})") from error
    if not found:
        raise DataError(f"{path} is empty; expected at least one line")


def json_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line number from 1, object) of a file of JSON objects, one a line."""
    for number, line in text_lines(path):
        try:
            value = json.loads(line)
        except ValueError as error:
            raise DataError(f"{path}, line {number}: is not JSON ({error}); expected one object a line") from error
        if not isinstance(value, dict):
            raise DataError(f"{path}, line {number}: got a {type(value).__name__}; expected a JSON object")
        yield number, value


def field_of(row: Any, name: str, kind: type | tuple[type, ...], where: str) -> Any:
    """Return a field of a JSON object, or raise `DataError` that says where it is missing or of another type."""
    if not isinstance(row, dict) or name not in row:
        keys = sorted(row) if isinstance(row, dict) else type(row).__name__
        raise DataError(f"{where}: has no {name!r}; it has {keys}")
    value = row[name]
    kinds = kind if isinstance(kind, tuple) else (kind,)
    # bool is an int in Python, but a label of true is not the number 1.
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        names = " or ".join(one.__name__ for one in kinds)
        raise DataError(f"{where}: {name!r} is {value!r:.60}; expected {names}")
    return value

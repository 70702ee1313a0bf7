"""Reading files line by line, gzipped or not, with errors that name file and line."""

from __future__ import annotations

import gzip
import json
import os
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

from xlprobe.errors import DataError

__all__ = ["LIMIT", "Row", "an_object", "field_of", "json_lines", "line_limit", "open_bytes", "parsed", "text_lines"]

LIMIT = "XLPROBE_MAX_LINE_BYTES"

Row = tuple[str, dict[str, Any]]
"""Where an object stands ("dev.jsonl, line 3"), and the object."""

_GZIP = b"\x1f\x8b"
_MARK = b"\xef\xbb\xbf"
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def open_bytes(path: Path) -> BinaryIO:
    """Open a file for reading, through gzip where its first bytes are an archive's, whatever its name."""
    try:
        file = path.open("rb")
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}. Check the path") from error
    if file.peek(2)[:2] != _GZIP:
        return file
    file.close()
    return cast(BinaryIO, gzip.open(path, "rb"))


def line_limit() -> int:
    """Return how many bytes a line may have: the environment variable `XLPROBE_MAX_LINE_BYTES`, else 16 MiB."""
    asked = os.environ.get(LIMIT, str(16 * 2**20))
    if not asked.isdecimal() or int(asked) < 1:
        raise DataError(f"got {LIMIT}={asked!r:.40}; expected a number of bytes from 1")
    return int(asked)


def text_lines(path: Path, *, blank: bool = False) -> Iterator[tuple[int, str]]:
    """Yield (line number from 1, line without its end) of a UTF-8 file; a mark of byte order is dropped.

    Only a newline, or a carriage return with a newline, ends a line: Unicode's line separators are text. Blank lines
    are passed over, or with `blank` yielded (for tables, whose rows count). Raises `DataError` for a file that is
    empty, not UTF-8, or a broken archive, and for a line of more than `line_limit` bytes.
    """
    empty = True
    number = 0
    limit = line_limit()
    with open_bytes(path) as file:
        try:
            # Bytes are split before they are decoded, so that an error is in the line that it names.
            for number, raw in enumerate(iter(lambda: file.readline(limit + 1), b""), 1):
                if len(raw) > limit:
                    raise DataError(
                        f"{path}, line {number}: has more than {limit:,} bytes; expected shorter lines. Is it a file "
                        f"of lines? If it is, raise the limit: {LIMIT}={limit * 8}"
                    )
                text = (raw.removeprefix(_MARK) if number == 1 else raw).rstrip(b"\r\n").decode()
                filled = bool(text.strip())
                empty = empty and not filled
                if filled or blank:
                    yield number, text
        except UnicodeDecodeError as error:
            raise DataError(
                f"{path}, line {number}: is not UTF-8 ({error.reason} at byte {error.start} of the line); "
                "save the file as UTF-8"
            ) from error
        except (EOFError, OSError, zlib.error) as error:
            raise DataError(
                f"{path}, after line {number}: cannot be read on ({error}); fetch the file again"
            ) from error
    if empty:
        raise DataError(f"{path} is empty; expected at least one line")


def json_lines(path: Path) -> Iterator[Row]:
    """Yield (where, object) of a file of JSON objects, one a line."""
    for number, line in text_lines(path):
        where = f"{path}, line {number}"
        yield where, an_object(parsed(line, where), where)


def parsed(text: str, where: str) -> Any:
    """Return what a JSON text says; raise `DataError` for what is no JSON, or could not be written again."""
    try:
        value = json.loads(text, parse_constant=_refuse, object_pairs_hook=_each_once)
        if _SURROGATE.search(text) is not None:
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise DataError(
            f"{where}: has half of a surrogate pair ({error.object[error.start]!a}); expected text that can be "
            "written as UTF-8. Clean the text where it comes from"
        ) from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: is not JSON ({error!s:.120}); expected one object a line") from error
    return value


def an_object(value: Any, where: str) -> dict[str, Any]:
    """Return a JSON object as it is; raise `DataError` for any other value."""
    if not isinstance(value, dict):
        raise DataError(f"{where}: got {_kind(value)}; expected a JSON object")
    return value


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"an object has the key {twice!r:.60} twice")
    return fields


_KINDS = {dict: "an object", list: "a list", str: "a text", bool: "true or false", int: "an integer", float: "a number"}


def _kind(value: Any) -> str:
    return "null" if value is None else _KINDS.get(type(value), type(value).__name__)


def field_of(row: Any, name: str, kind: type | tuple[type, ...], where: str) -> Any:
    """Return a field of a JSON object, or raise `DataError` that says where it is missing or of another type."""
    if not isinstance(row, dict):
        raise DataError(f"{where}: got {_kind(row)}; expected an object with {name!r}")
    if name not in row:
        raise DataError(f"{where}: has no {name!r}; it has {', '.join(map(repr, row)) or 'nothing':.200}")
    value = row[name]
    kinds = kind if isinstance(kind, tuple) else (kind,)
    # bool is an int in Python, but a label of true is not the number 1.
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        names = " or ".join(_KINDS.get(one, "null") for one in kinds)
        raise DataError(f"{where}: {name!r} is {value!r:.60}; expected {names}")
    if isinstance(value, str) and not value.strip():
        raise DataError(f"{where}: {name!r} is empty; expected some text")
    return value

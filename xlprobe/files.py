"""Files that are there whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from xlprobe.errors import ResultsError

__all__ = ["cache_directory", "disk_errors", "table_text", "whole_file", "write_atomically"]

_FORMULA = frozenset("=+-@\t")
CACHE = "XLPROBE_CACHE"


def cache_directory() -> Path | None:
    """Return where entries are kept; None where there is no cache.

    $XLPROBE_CACHE if it is set ("off" or nothing: no cache), else $XDG_CACHE_HOME/xlprobe, else ~/.cache/xlprobe.
    """
    chosen = os.environ.get(CACHE)
    if chosen is not None:
        return None if chosen.strip().lower() in ("", "off", "0") else Path(chosen).expanduser()
    if (base := os.environ.get("XDG_CACHE_HOME")) and Path(base).is_absolute():
        return Path(base) / "xlprobe"
    try:
        return Path.home() / ".cache" / "xlprobe"
    except RuntimeError:  # no home directory is known
        return None


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Raise `ResultsError` where the disk refuses: which file it is, why, and what is still whole."""
    try:
        yield
    except OSError as error:
        raise ResultsError(
            f"cannot write {path}: {error.strerror or error}. Nothing half-written keeps its name: what was there "
            "before is whole, and so is what a run had finished. Make room or choose another place, and run it again"
        ) from error


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Give a file to write that has a temporary name beside `path`, and rename it at the end of a `with` block.

    What interrupts the block removes it, so that nobody ever sees half of it.
    """
    temporary = path.parent / f".{path.name[:100]}.{secrets.token_hex(4)}"
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with open(temporary, "xb") as file:
            yield file
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_atomically(path: Path, data: bytes | str) -> None:
    """Write a file that is there whole or not at all.

    Raises `ResultsError` where the disk is full or may not be written to.
    """
    with disk_errors(path), whole_file(path) as file:
        file.write(data.encode() if isinstance(data, str) else data)


def table_text(frame: Any, float_format: str = "%.6g") -> str:
    """Return a pandas table as CSV in which no text is run by a spreadsheet.

    They take a cell that begins with =, +, -, @ or a tab for a formula; such a text gets an apostrophe before it.
    """
    safe = frame.copy()
    safe.columns = [_text(name) for name in safe.columns]
    for place, kind in enumerate(safe.dtypes):
        if not _is_numeric(kind):
            safe.isetitem(place, [_text(value) for value in safe.iloc[:, place]])
    return str(safe.to_csv(index=False, float_format=float_format, lineterminator="\n"))


def _text(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    # A carriage return within a cell is the end of a row for some programs.
    text = value.replace("\r", " ").removeprefix(" ") if "\r" in value else value
    return f"'{text}" if text[:1] in _FORMULA else text


def _is_numeric(kind: Any) -> bool:
    return getattr(kind, "kind", "O") in "biufcmM"

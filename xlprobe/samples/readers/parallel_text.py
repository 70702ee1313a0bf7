"""Parallel text: one sentence per line and language, in a table with a header of language codes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from xlprobe.errors import DataError
from xlprobe.samples.readers.aligned import chosen
from xlprobe.samples.readers.containers import rows_of
from xlprobe.samples.readers.lines import Row, field_of
from xlprobe.samples.types import ParallelSample

__all__ = ["parallel_samples", "read_parallel_text"]


def read_parallel_text(
    path: str | Path, *, languages: str | Sequence[str] | None = None, dataset: str | None = None
) -> Iterator[ParallelSample]:
    """Read a table (or rows of another container) with a column for each language: "en<TAB>fr<TAB>...".

    Each row becomes a sample whose context and question are the same sentence, so that `pair("en", "fr")` is the
    code-switched pair of a sentence and its translation. `dataset` is the file's name up to its first full stop,
    unless given. Raises `DataError`, naming file and line, for a row with another number of columns, an empty cell, a
    blank line between others.
    """
    file = Path(path)
    return parallel_samples(rows_of(file), dataset or file.name.split(".")[0], languages)


def parallel_samples(
    rows: Iterable[Row], dataset: str, languages: str | Sequence[str] | None = None
) -> Iterator[ParallelSample]:
    """Turn rows of one sentence per language code, perhaps below `translation`, into samples, numbered from 1."""
    wanted = chosen(languages)
    first: tuple[str, ...] | None = None
    for number, (where, row) in enumerate(rows, 1):
        row = row.get("translation", row)
        if first is None and isinstance(row, dict):
            first = _languages(row, where)
        codes = wanted or first or ()
        if missing := [code for code in codes if isinstance(row, dict) and code not in row]:
            raise DataError(f"{where}: has the languages {' '.join(row):.200}, not {' '.join(missing)}")
        texts = {code: field_of(row, code, str, where).strip() for code in codes}
        key = f"{dataset}-{number}"
        yield ParallelSample(key, key, dataset, {code: (text,) for code, text in texts.items()}, texts)


def _languages(row: dict[str, str], where: str) -> tuple[str, ...]:
    try:
        codes = chosen(list(row)) or ()
    except DataError as error:
        raise DataError(f"{where}: has a column of no language: {error}") from error
    if len(codes) < 2:
        raise DataError(f"{where}: has the column {' '.join(codes)!r}; expected two languages or more")
    return codes

"""Parallel text: one sentence per line and language, in a table with a header of language codes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from xlprobe.errors import DataError
from xlprobe.languages import get_language
from xlprobe.samples.readers.aligned import chosen
from xlprobe.samples.readers.lines import Row, field_of, text_lines
from xlprobe.samples.types import ParallelSample

__all__ = ["parallel_samples", "read_parallel_text"]


def read_parallel_text(
    path: str | Path, *, languages: str | Sequence[str] | None = None, dataset: str | None = None
) -> Iterator[ParallelSample]:
    """Read a tab-separated file whose first line names the languages: "en<TAB>fr<TAB>...".

    Each row becomes a sample whose context and question are the same sentence, so that `pair("en", "fr")` is the
    code-switched pair of a sentence and its translation. `dataset` is the file's name up to its first full stop,
    unless given. Quotation marks have no meaning in the table. Raises `DataError`, naming file and line, for a row
    with another number of columns, an empty cell, a blank line.
    """
    file = Path(path)
    name = dataset or file.name.split(".")[0]
    return parallel_samples(_rows(file), name, languages)


def _rows(file: Path) -> Iterator[Row]:
    lines = text_lines(file, blank=True)
    _, header = next(lines)
    codes = [code.strip() for code in header.split("\t")]
    if len(codes) < 2 or len(set(codes)) != len(codes):
        raise DataError(
            f"{file}, line 1: got the header {header!r:.80}; expected different language codes between tabs"
        )
    for code in codes:
        try:
            get_language(code)
        except DataError as error:
            raise DataError(f"{file}, line 1: {error}") from error
    number = 1
    for number, line in lines:
        where = f"{file}, line {number}"
        cells = line.split("\t")
        if len(cells) != len(codes):
            raise DataError(f"{where}: has {len(cells)} columns; expected {len(codes)} ({' '.join(codes)})")
        yield where, dict(zip(codes, cells, strict=True))
    if number == 1:
        raise DataError(f"{file} has a header and no rows; expected one sentence a line")


def parallel_samples(
    rows: Iterable[Row], dataset: str, languages: str | Sequence[str] | None = None
) -> Iterator[ParallelSample]:
    """Turn rows of one sentence per language code into samples, numbered from 1."""
    wanted = chosen(languages)
    for number, (where, row) in enumerate(rows, 1):
        codes = wanted or tuple(row)
        if missing := [code for code in codes if code not in row]:
            raise DataError(f"{where}: has the languages {' '.join(row)}, not {' '.join(missing)}")
        texts = {code: field_of(row, code, str, where).strip() for code in codes}
        key = f"{dataset}-{number}"
        yield ParallelSample(key, key, dataset, {code: (text,) for code, text in texts.items()}, texts)

"""Parallel text: one sentence per line and language, in a table with a header of language codes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from xlprobe.errors import DataError
from xlprobe.languages import get_language
from xlprobe.samples.readers.lines import text_lines
from xlprobe.samples.types import ParallelSample

__all__ = ["read_parallel_text"]


def read_parallel_text(
    path: str | Path, *, languages: Sequence[str] | None = None, dataset: str | None = None
) -> Iterator[ParallelSample]:
    """Read a tab-separated file whose first line names the languages: "en<TAB>fr<TAB>...".

    Each row becomes a sample whose context and question are the same sentence, so that `pair("en", "fr")` is the
    code-switched pair of a sentence and its translation. Raises `DataError`, naming file and line, for a row with
    another number of columns or an empty cell.
    """
    file = Path(path)
    lines = text_lines(file)
    _, header = next(lines)
    codes = header.split("\t")
    if len(codes) < 2 or len(set(codes)) != len(codes):
        raise DataError(f"{file}, line 1: got the header {header!r:.80}; expected different language codes between tabs")
    for code in codes:
        get_language(code)
    wanted = list(languages or codes)
    if missing := [code for code in wanted if code not in codes]:
        raise DataError(f"{file} has the languages {' '.join(codes)}, not {' '.join(missing)}")
    name = dataset or file.name.split(".")[0]
    count = 0
    for number, line in lines:
        cells = line.split("\t")
        if len(cells) != len(codes):
            raise DataError(f"{file}, line {number}: has {len(cells)} columns; expected {len(codes)} ({' '.join(codes)})")
        texts = dict(zip(codes, cells, strict=True))
        if empty := [code for code in wanted if not texts[code].strip()]:
            raise DataError(f"{file}, line {number}: has no text in {' '.join(empty)}")
        key = f"{name}-{number - 1}"
        count += 1
        yield ParallelSample(key, key, name, {c: (texts[c].strip(),) for c in wanted}, {c: texts[c].strip() for c in wanted})
    if count == 0:
        raise DataError(f"{file} has a header and no rows; expected one sentence a line")

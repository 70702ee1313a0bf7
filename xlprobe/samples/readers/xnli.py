"""XNLI: does a hypothesis follow from a premise, in fifteen languages? (Conneau et al. 2018, arXiv 1809.05053)"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from xlprobe.errors import DataError
from xlprobe.samples.readers.aligned import aligned, chosen, english_first
from xlprobe.samples.readers.columns import HYPOTHESIS, PREMISE, first_of, language_of_file
from xlprobe.samples.readers.containers import rows_of, table_lines
from xlprobe.samples.readers.directories import language_files
from xlprobe.samples.readers.labels import NLI, class_of
from xlprobe.samples.readers.lines import Row, field_of, open_bytes
from xlprobe.samples.types import ParallelSample

__all__ = ["XNLI_LABELS", "Pair", "has_no_header", "one_language_pairs", "pairs_of", "read_xnli", "xnli_samples"]

XNLI_LABELS = {name: index for index, name in enumerate(NLI)}
"""The class index of each label, in the usual order; "contradictory" is contradiction too."""

_META = ("split", "genre")


@dataclass(frozen=True)
class Pair:
    """A premise and a hypothesis in each language, and their class index (None where it is not given)."""

    premise: Mapping[str, str]
    hypothesis: Mapping[str, str]
    label: int | None
    meta: Mapping[str, Any]


def read_xnli(
    path: str | Path, *, languages: str | Sequence[str] | None = None, split: str | None = None
) -> Iterator[ParallelSample]:
    """Read XNLI: the premise is the context, the hypothesis the question, the label one of `XNLI_LABELS`.

    `path` is a file (any container of `rows_of`) of rows in all languages (`premise_<language>`, the Hub's dicts, or
    XNLI 1.0's one row for each language and pair), or in one, which its name or `languages` says; or a directory of a
    file for each language, row-aligned (XTREME, XNLI-MT, the Hub's; `split` says which where there are several).
    Tables may lack a header: premise, hypothesis and perhaps label. Raises `DataError`, naming file and line, for a
    missing text, another label, rows that are not as many, or not of the same label, in every language.
    """
    base = Path(path)
    codes = chosen(languages)
    if base.is_dir():
        folder = language_files(base, codes, split)
        pairs = one_language_pairs({code: _rows(file) for code, file in folder.files.items()}, str(base))
        return xnli_samples(pairs, split or folder.split or "dev")
    return xnli_samples(pairs_of(_rows(base), codes, language_of_file(base)), split or "dev")


def _rows(file: Path) -> Iterator[Row]:
    if has_no_header(file):
        return _headless(file)
    return rows_of(file)


def has_no_header(file: Path) -> bool:
    """Whether a file is a table of two or three columns whose first line is none of names that the columns may have."""
    with open_bytes(file) as start:
        first = start.readline(4096)
    cells = first.split(b"\t")
    known = {name.encode() for name in (*PREMISE, *HYPOTHESIS, "language")}
    return len(cells) in (2, 3) and first[:1] not in b"{[" and not any(cell.strip() in known for cell in cells)


def _headless(file: Path) -> Iterator[Row]:
    columns = 0
    for number, cells in table_lines(file):
        where = f"{file}, line {number}"
        filled = sum(bool(cell.strip()) for cell in cells)
        if len(cells) not in (2, 3) or columns not in (0, len(cells)) or filled < len(cells):
            raise DataError(
                f"{where}: has {len(cells)} columns, {filled} with text; expected premise, hypothesis and, in all rows "
                "or in none, label"
            )
        columns = len(cells)
        names = ("premise", "hypothesis", "label")[:columns]
        yield where, dict(zip(names, map(str.strip, cells), strict=True))


def pairs_of(rows: Iterator[Row], languages: tuple[str, ...] | None, language: str | None = None) -> Iterator[Pair]:
    """Turn rows of any of the shapes into pairs; `language` is that of rows which do not say theirs."""
    first = next(rows, None)
    if first is None:
        return
    where, row = first
    again = chain([first], rows)
    if "language" in row and first_of(row, PREMISE):
        yield from _long_pairs(again, languages)
    elif isinstance(row.get("premise"), Mapping) or first_of(row, PREMISE) is None:
        yield from _wide_pairs(map(_widened, again), languages)
    else:
        code = language or (languages[0] if languages is not None and len(languages) == 1 else None)
        if code is None or languages not in (None, (code,)):
            raise DataError(
                f"{where}: is in one language ({code or 'which its name does not say'}); got the languages "
                f"{' '.join(languages or ()) or '(none)'}. Say its language, as languages='fr', or give a directory of "
                "a file for each language, such as train.fr.tsv (for data sets, a dict of language to data set)"
            )
        yield from one_language_pairs({code: iter(again)}, where)


def _wide_pairs(rows: Iterable[Row], languages: tuple[str, ...] | None) -> Iterator[Pair]:
    """Turn rows of `premise_<language>` and `hypothesis_<language>` into pairs."""
    for where, row in rows:
        there = [key.removeprefix("premise_") for key in row if key.startswith("premise_")]
        try:
            codes = languages or chosen(english_first(there) or None)
        except DataError as error:
            raise DataError(f"{where}: {error}") from error
        if codes is None:
            raise DataError(f"{where}: has no premise_<language>; it has {', '.join(row):.200}")
        premise, hypothesis = (
            {code: field_of(row, f"{part}_{code}", str, where) for code in codes} for part in ("premise", "hypothesis")
        )
        yield Pair(premise, hypothesis, _label(row, where), _meta(row))


def _widened(item: Row) -> Row:
    """Turn the Hub's columns of all languages (`premise` a dict, `hypothesis` two lists) into one column each."""
    where, row = item
    if "premise" not in row:
        return item
    wide = {key: value for key, value in row.items() if key not in ("premise", "hypothesis")}
    for part in ("premise", "hypothesis"):
        column = field_of(row, part, dict, where)
        if set(column) == {"language", "translation"}:
            codes, texts = (field_of(column, name, list, f"{where}, {part}") for name in ("language", "translation"))
            if len(codes) != len(texts) or len(set(map(str, codes))) < len(codes):
                raise DataError(f"{where}: {part} has {len(codes)} languages and {len(texts)} texts; expected one each")
            column = dict(zip(codes, texts, strict=True))
        wide.update({f"{part}_{code}": text for code, text in column.items() if text is not None})
    return where, wide


def _long_pairs(rows: Iterable[Row], languages: tuple[str, ...] | None) -> Iterator[Pair]:
    """Join the rows of one language and one pair each by their pairID, in the order of the first language."""
    table: dict[str, dict[str, Row]] = {}
    for where, row in rows:
        (code,) = chosen([field_of(row, "language", str, where)]) or ()
        if languages is not None and code not in languages:
            continue
        identity = str(field_of(row, "pairID", (str, int), where))
        if identity in table.setdefault(code, {}):
            raise DataError(f"{where}: the pair {identity!r:.40} was there before in {code!r}; expected it once")
        table[code][identity] = where, row
    codes = languages or tuple(english_first(table))
    if missing := [code for code in codes if code not in table]:
        raise DataError(f"the file has no rows in {' '.join(missing)}; it has {' '.join(table) or 'none of these'}")
    order = next(iter(table.values()))
    for code in codes:
        if table[code].keys() != order.keys():
            one = next(iter(table[code].keys() ^ order.keys()))
            raise DataError(f"the pair {one!r:.40} is not there in every language; expected the same pairs in each")
    streams = {code: iter([table[code][identity] for identity in order]) for code in codes}
    yield from one_language_pairs(streams, "the file")


def one_language_pairs(streams: Mapping[str, Iterator[Row]], where: str) -> Iterator[Pair]:
    """Join the rows of one stream for each language side by side."""
    for step in aligned(streams, where):
        labels = {code: _label(row, place) for code, (place, row) in step.items()}
        first = next(iter(step))
        for code, label in labels.items():
            if label != labels[first]:
                raise DataError(
                    f"{step[code][0]}: has the label {_name(label)} where {step[first][0]} has "
                    f"{_name(labels[first])}; expected the same rows in the same order in every language"
                )
        premise, hypothesis = (
            {code: field_of(row, first_of(row, names) or names[0], str, place) for code, (place, row) in step.items()}
            for names in (PREMISE, HYPOTHESIS)
        )
        yield Pair(premise, hypothesis, labels[first], _meta(step[first][1]))


def _label(row: Mapping[str, Any], where: str) -> int | None:
    return class_of(row.get("gold_label", row.get("label")), NLI, where)


def _name(label: int | None) -> str:
    return "none" if label is None else NLI[label]


def _meta(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in _META if isinstance(row.get(name), str)}


def xnli_samples(pairs: Iterable[Pair], split: str) -> Iterator[ParallelSample]:
    """Turn pairs into samples, numbered from 1; a pair's own split comes before `split`."""
    for number, pair in enumerate(pairs, 1):
        key = f"xnli-{pair.meta.get('split', split)}-{number}"
        context = {code: (text.strip(),) for code, text in pair.premise.items()}
        question = {code: text.strip() for code, text in pair.hypothesis.items()}
        yield ParallelSample(key, key, "xnli", context, question, pair.label, meta=pair.meta, label_names=NLI)

"""XNLI: does a hypothesis follow from a premise, in fifteen languages? (Conneau et al. 2018, arXiv 1809.05053)"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xlprobe.errors import DataError
from xlprobe.samples.readers.aligned import aligned, chosen
from xlprobe.samples.readers.lines import Row, field_of, json_lines, text_lines
from xlprobe.samples.types import ParallelSample

__all__ = ["XNLI_LABELS", "Pair", "class_of", "read_xnli", "wide_pairs", "xnli_samples"]

XNLI_LABELS = {"entailment": 0, "neutral": 1, "contradiction": 2, "contradictory": 2}
"""The class index of each label, in the usual order."""


@dataclass(frozen=True)
class Pair:
    """A premise and a hypothesis in each language, and their class index (None where it is not given)."""

    where: str
    premise: Mapping[str, str]
    hypothesis: Mapping[str, str]
    label: int | None
    meta: Mapping[str, Any]


def class_of(label: Any, where: str) -> int | None:
    """Return the class index of a label: a name, an index, or none (None, and -1 as `datasets` has it)."""
    if label is None or (type(label) is int and label == -1):
        return None
    if type(label) is int and 0 <= label <= 2:
        return label
    if isinstance(label, str) and label in XNLI_LABELS:
        return XNLI_LABELS[label]
    raise DataError(f"{where}: has the label {label!r:.40}; expected one of {', '.join(XNLI_LABELS)}")


def read_xnli(
    path: str | Path, *, languages: str | Sequence[str] | None = None, split: str = "dev"
) -> Iterator[ParallelSample]:
    """Read XNLI: the premise is the context, the hypothesis the question, the label one of `XNLI_LABELS`.

    `path` is a jsonl file with `premise_<language>` and `hypothesis_<language>` in each row, or a directory of files
    `<split>-<language>.tsv` (XTREME's layout: premise, hypothesis and, but in the test files, label; no header),
    row-aligned across languages. Raises `DataError`, naming file and line, for a missing text, another label, rows
    that are not as many, or not of the same label, in every language.
    """
    base = Path(path)
    codes = chosen(languages)
    pairs = _tables(base, codes, split) if base.is_dir() else wide_pairs(json_lines(base), codes)
    return xnli_samples(pairs, split)


def wide_pairs(rows: Iterable[Row], languages: tuple[str, ...] | None) -> Iterator[Pair]:
    """Turn rows of `premise_<language>`, `hypothesis_<language>` and `gold_label` (or `label`) into pairs."""
    for where, row in rows:
        there = [key.removeprefix("premise_") for key in row if key.startswith("premise_")]
        try:
            codes = languages or chosen(sorted(there, key=lambda code: (code != "en", code)) or None)
        except DataError as error:
            raise DataError(f"{where}: {error}") from error
        if codes is None:
            raise DataError(f"{where}: has no premise_<language>; it has {', '.join(row)}")
        premise, hypothesis = (
            {code: field_of(row, f"{part}_{code}", str, where) for code in codes} for part in ("premise", "hypothesis")
        )
        meta = {name: row[name] for name in ("split", "genre") if isinstance(row.get(name), str)}
        yield Pair(where, premise, hypothesis, class_of(row.get("gold_label", row.get("label")), where), meta)


def _tables(base: Path, languages: tuple[str, ...] | None, split: str) -> Iterator[Pair]:
    there = {p.name.split(".")[0].removeprefix(f"{split}-"): p for p in sorted(base.glob(f"{split}-*.tsv*"))}
    codes = languages or chosen(sorted(there, key=lambda code: (code != "en", code)) or None)
    if codes is None:
        raise DataError(f"{base} has no {split}-<language>.tsv; expected one for each language")
    if missing := [code for code in codes if code not in there]:
        raise DataError(f"{base / f'{split}-{missing[0]}.tsv'} does not exist; there are {', '.join(there) or 'none'}")
    for step in aligned({code: _table(there[code]) for code in codes}, str(base)):
        first = next(iter(step.values()))
        for other in step.values():
            if other[1][2:] != first[1][2:]:
                raise DataError(
                    f"{other[0]}: has the label {other[1][2:]} where {first[0]} has {first[1][2:]}; expected the same "
                    "rows in the same order in every language"
                )
        premise, hypothesis = ({code: cells[place] for code, (_, cells) in step.items()} for place in (0, 1))
        label = first[1][2] if len(first[1]) == 3 else None
        yield Pair(first[0], premise, hypothesis, class_of(label, first[0]), {})


def _table(file: Path) -> Iterator[tuple[str, list[str]]]:
    columns = 0
    for number, text in text_lines(file, blank=True):
        where = f"{file}, line {number}"
        cells = [cell.strip() for cell in text.split("\t")]
        if len(cells) not in (2, 3) or columns not in (0, len(cells)) or not all(cells):
            filled = sum(map(bool, cells))
            raise DataError(
                f"{where}: has {len(cells)} columns, {filled} with text; expected premise, hypothesis and, in all rows "
                "or in none, label"
            )
        columns = len(cells)
        yield where, cells


def xnli_samples(pairs: Iterable[Pair], split: str) -> Iterator[ParallelSample]:
    """Turn pairs into samples, numbered from 1; a pair's own split comes before `split`."""
    for number, pair in enumerate(pairs, 1):
        key = f"xnli-{pair.meta.get('split', split)}-{number}"
        context = {code: (text.strip(),) for code, text in pair.premise.items()}
        question = {code: text.strip() for code, text in pair.hypothesis.items()}
        yield ParallelSample(
            key, key, "xnli", context, question, pair.label, meta=pair.meta, label_names=tuple(XNLI_LABELS)[:3]
        )

"""XNLI: does a hypothesis follow from a premise, in fifteen languages? (Conneau et al. 2018, arXiv 1809.05053)"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from xlprobe.errors import DataError
from xlprobe.languages import get_language
from xlprobe.samples.readers.lines import field_of, json_lines, text_lines
from xlprobe.samples.types import ParallelSample

__all__ = ["XNLI_LABELS", "read_xnli"]

XNLI_LABELS = {"entailment": 0, "neutral": 1, "contradiction": 2, "contradictory": 2}
"""The class index of each label, in the usual order."""


def read_xnli(
    path: str | Path, *, languages: Sequence[str] | None = None, split: str = "dev"
) -> Iterator[ParallelSample]:
    """Read XNLI: the premise is the context, the hypothesis the question, the label one of `XNLI_LABELS`.

    `path` is a jsonl file with `premise_<language>` and `hypothesis_<language>` in each row, or a directory of files
    `<split>-<language>.tsv` (premise, hypothesis, label; no header), row-aligned across languages.
    """
    base = Path(path)
    return _tables(base, languages, split) if base.is_dir() else _wide(base, languages)


def _wide(file: Path, languages: Sequence[str] | None) -> Iterator[ParallelSample]:
    for number, row in json_lines(file):
        where = f"{file}, line {number}"
        codes = list(languages or (key.removeprefix("premise_") for key in row if key.startswith("premise_")))
        if not codes:
            raise DataError(f"{where}: has no premise_<language>; it has {sorted(row)}")
        premises, hypotheses = (
            {code: field_of(row, f"{part}_{code}", str, where) for code in codes} for part in ("premise", "hypothesis")
        )
        yield _sample(number, premises, hypotheses, field_of(row, "gold_label", str, where), where)


def _tables(base: Path, languages: Sequence[str] | None, split: str) -> Iterator[ParallelSample]:
    codes = list(languages or sorted(p.stem.removeprefix(f"{split}-") for p in base.glob(f"{split}-*.tsv")))
    if not codes:
        raise DataError(f"{base} has no {split}-<language>.tsv; expected one for each language")
    files = {code: base / f"{split}-{code}.tsv" for code in codes}
    lines = [text_lines(file) for file in files.values()]
    while True:
        step = [next(line, None) for line in lines]
        present = [one for one in step if one is not None]
        if not present:
            return
        if len(present) < len(step):
            short = [str(file) for file, one in zip(files.values(), step, strict=True) if one is None]
            raise DataError(f"{', '.join(short)}: ends before the others do; expected the same rows in every language")
        premises, hypotheses, labels = {}, {}, set()
        where = ""
        for (code, file), (number, text) in zip(files.items(), present, strict=True):
            where = f"{file}, line {number}"
            cells = text.split("\t")
            if len(cells) != 3:
                raise DataError(f"{where}: has {len(cells)} columns; expected premise, hypothesis and label")
            premises[code], hypotheses[code] = cells[0], cells[1]
            labels.add(cells[2])
        if len(labels) > 1:
            raise DataError(f"{where}: the label is {sorted(labels)} across languages; expected the same in every file")
        yield _sample(present[0][0], premises, hypotheses, labels.pop(), where)


def _sample(number: int, premises: dict[str, Any], hypotheses: dict[str, Any], label: str, where: str) -> ParallelSample:
    for code in premises:
        get_language(code)
    if label not in XNLI_LABELS:
        raise DataError(f"{where}: has the label {label!r}; expected one of {', '.join(XNLI_LABELS)}")
    key = f"xnli-{number}"
    context = {code: (text,) for code, text in premises.items()}
    return ParallelSample(key, key, "xnli", context, hypotheses, XNLI_LABELS[label])

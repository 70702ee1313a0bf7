"""RuleTaker: does a statement follow from facts and rules? (Clark et al. 2020, arXiv 2002.05867)"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from xlprobe.errors import DataError
from xlprobe.languages import get_language
from xlprobe.samples.readers.lines import field_of, json_lines
from xlprobe.samples.readers.rejected import Rejections
from xlprobe.samples.types import ParallelSample

__all__ = ["read_rules", "read_ruletaker", "sentences"]

_LABELS: Mapping[Any, int] = {True: 1, False: 0, "true": 1, "false": 0, "True": 1, "False": 0}


def sentences(text: str) -> tuple[str, ...]:
    """Split a text into its sentences, after a full stop, question or exclamation mark of any of the scripts."""
    parts = re.split(r"(?<=[.!?؟۔])\s+|(?<=[。！？])\s*", text.strip())
    return tuple(part for part in parts if part)


def read_ruletaker(
    path: str | Path,
    *,
    languages: Sequence[str] | None = None,
    split: str = "dev",
    depth: str = "depth-3",
    max_depth: int | None = None,
    rejections: Rejections | None = None,
) -> Iterator[ParallelSample]:
    """Read RuleTaker problems, one for each question.

    `path` is an English file (jsonl, .gz), or the base directory of translations, laid out as
    `<base>/<language>/original/<depth>/<split>.jsonl` (arXiv 2310.15258's release). With other `languages` than
    English, an English file is parsed into theories, which are verbalised in each language (`xlprobe.samples.rulebase`);
    the prover must then agree with the file's label. `max_depth` keeps questions of at most that QDep: a depth-N
    file holds deeper ones. What does not parse, agree, or align goes to `rejections`. Labels: 1 follows, 0 does not.
    """
    base = Path(path)
    own = rejections is None
    found = Rejections() if rejections is None else rejections
    if base.is_dir():
        samples = _translated(base, languages, split, depth, max_depth, found)
    elif languages is None or set(languages) <= {"en"}:
        samples = read_rules(base, "ruletaker", max_depth)
    else:
        from xlprobe.samples.readers.verbalised import verbalised

        samples = verbalised(base, languages, max_depth, found)
    for sample in samples:
        found.read += 1
        yield sample
    if own:
        found.say()


def read_rules(path: Path, dataset: str, max_depth: int | None = None, language: str = "en") -> Iterator[ParallelSample]:
    """Read a file of theories with questions, in one language."""
    for number, row in json_lines(path):
        where = f"{path}, line {number}"
        context = sentences(field_of(row, "context", str, where))
        if not context:
            raise DataError(f"{where}: the context is empty; expected facts and rules")
        group = f"{dataset}-{field_of(row, 'id', str, where)}"
        for place, question in enumerate(field_of(row, "questions", list, where), 1):
            text, label, depth = question_of(question, f"{where}, question {place}")
            if max_depth is not None and depth is not None and depth > max_depth:
                continue
            yield ParallelSample(
                f"{group}-{place}", group, dataset, {language: context}, {language: text}, label, depth
            )


def question_of(question: Any, where: str) -> tuple[str, int, int | None]:
    """Return text, label and depth of one question; labels and depths may be strings, as in PARARULE-Plus."""
    text = field_of(question, "text", str, where)
    label = field_of(question, "label", (bool, str), where)
    if label not in _LABELS:
        raise DataError(f"{where}: has the label {label!r}; expected true or false")
    meta = field_of(question, "meta", dict, where) if "meta" in question else {}
    raw = meta.get("QDep")
    try:
        depth = None if raw in (None, "") else int(raw)
    except (TypeError, ValueError):
        raise DataError(f"{where}: QDep is {raw!r}; expected a number") from None
    return text, _LABELS[label], depth


def _translated(
    base: Path,
    languages: Sequence[str] | None,
    split: str,
    depth: str,
    max_depth: int | None,
    rejections: Rejections,
) -> Iterator[ParallelSample]:
    """Join the files of several languages: theories by id, sentences and questions by position."""
    codes = list(languages or sorted(p.name for p in base.iterdir() if (p / "original" / depth).is_dir()))
    if not codes:
        raise DataError(
            f"{base} has no translations of {depth}; expected {base}/<language>/original/{depth}/{split}.jsonl"
        )
    readers = {}
    for code in codes:
        get_language(code)
        file = base / code / "original" / depth / f"{split}.jsonl"
        if not file.exists() and file.with_name(file.name + ".gz").exists():
            file = file.with_name(file.name + ".gz")
        if not file.exists():
            raise DataError(f"{file} does not exist; the languages asked for are {' '.join(codes)}")
        readers[code] = file
    rows = [json_lines(file) for file in readers.values()]
    while True:
        step = [next(row, None) for row in rows]
        if all(one is None for one in step):
            return
        if any(one is None for one in step):
            short = [str(file) for file, one in zip(readers.values(), step, strict=True) if one is None]
            raise DataError(f"{', '.join(short)}: ends before the others do; expected one line per theory in every language")
        yield from _join(readers, [one for one in step if one is not None], max_depth, rejections)


def _join(
    files: dict[str, Path], step: list[tuple[int, dict[str, Any]]], max_depth: int | None, rejections: Rejections
) -> Iterator[ParallelSample]:
    wheres = [f"{file}, line {number}" for file, (number, _) in zip(files.values(), step, strict=True)]
    rows = [row for _, row in step]
    ids = {str(row.get("id")) for row in rows}
    if len(ids) > 1:
        raise DataError(f"{wheres[-1]}: has the theory {sorted(ids)}; expected the same id in every language's line")
    group = f"ruletaker-{ids.pop()}"
    contexts = {
        code: sentences(field_of(row, "context", str, where)) for code, row, where in zip(files, rows, wheres, strict=True)
    }
    counts = {code: len(units) for code, units in contexts.items()}
    if len(set(counts.values())) > 1:
        rejections.add(wheres[0], "sentence counts differ", f"{group}: {counts} sentences")
        return
    asked = [field_of(row, "questions", list, where) for row, where in zip(rows, wheres, strict=True)]
    if len({len(questions) for questions in asked}) > 1:
        counts = dict(zip(files, map(len, asked), strict=True))
        rejections.add(wheres[0], "question counts differ", f"{group}: {counts} questions")
        return
    for place, versions in enumerate(zip(*asked, strict=True), 1):
        found = [question_of(one, f"{where}, question {place}") for one, where in zip(versions, wheres, strict=True)]
        labels = {label for _, label, _ in found}
        if len(labels) > 1:
            rejections.add(wheres[0], "labels differ", f"{group}, question {place}: {labels} in {' '.join(files)}")
            continue
        depth = found[0][2]
        if max_depth is not None and depth is not None and depth > max_depth:
            continue
        texts = {code: text for code, (text, _, _) in zip(files, found, strict=True)}
        yield ParallelSample(f"{group}-{place}", group, "ruletaker", contexts, texts, labels.pop(), depth)

"""RuleTaker: does a statement follow from facts and rules? (Clark et al. 2020, arXiv 2002.05867)"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xlprobe.errors import DataError
from xlprobe.samples.readers.aligned import aligned, chosen
from xlprobe.samples.readers.lines import Row, field_of, json_lines
from xlprobe.samples.readers.rejected import Rejections
from xlprobe.samples.types import ParallelSample

__all__ = ["Asked", "Told", "aligned_rules", "read_ruletaker", "rule_samples", "sentences", "told"]

_LABELS: Mapping[Any, int] = {True: 1, False: 0, "true": 1, "false": 0, "True": 1, "False": 0}
_KEPT_META = ("strategy", "QLen", "QCat")


def sentences(text: str) -> tuple[str, ...]:
    """Split a text into its sentences, after a full stop, question or exclamation mark of any of the scripts."""
    parts = re.split(r"(?<=[.!?؟۔।])\s+|(?<=[。！？])\s*", text.strip())
    return tuple(part for part in parts if part)


@dataclass(frozen=True)
class Asked:
    """One question of a theory: its text, class index, QDep, and what else the file says about it."""

    text: str
    label: int
    depth: int | None
    meta: Mapping[str, Any]


@dataclass(frozen=True)
class Told:
    """One line of a file: the theory's id (None where the line has none), its sentences, and its questions."""

    where: str
    identity: str | None
    context: tuple[str, ...]
    questions: tuple[Asked, ...]


def told(row: Mapping[str, Any], where: str) -> Told:
    """Check one row of `context` and `questions`; labels and depths may be strings, as in PARARULE-Plus."""
    context = sentences(field_of(row, "context", str, where))
    identity = field_of(row, "id", str, where) if row.get("id") is not None else None
    questions = field_of(row, "questions", list, where)
    asked = tuple(_asked(question, f"{where}, question {place}") for place, question in enumerate(questions, 1))
    return Told(where, identity, context, asked)


def _asked(question: Any, where: str) -> Asked:
    text = field_of(question, "text", str, where)
    label = field_of(question, "label", (bool, str), where)
    if label not in _LABELS:
        raise DataError(f"{where}: has the label {label!r}; expected true or false")
    meta = field_of(question, "meta", dict, where) if question.get("meta") is not None else {}
    raw = meta.get("QDep")
    depth = None if raw is None or raw == "" else str(raw)
    if depth is not None and not re.fullmatch(r"\d{1,3}", depth):
        raise DataError(f"{where}: QDep is {raw!r:.40}; expected a number from 0")
    kept = {name: meta[name] for name in _KEPT_META if meta.get(name) not in (None, "")}
    return Asked(text, _LABELS[label], None if depth is None else int(depth), kept)


def read_ruletaker(
    path: str | Path,
    *,
    languages: str | Sequence[str] | None = None,
    split: str = "dev",
    depth: str = "depth-3",
    max_depth: int | None = None,
    rejections: Rejections | None = None,
) -> Iterator[ParallelSample]:
    """Read RuleTaker problems, one for each question; the theory is the group, 1 follows, 0 does not.

    `path` is an English file (jsonl, .gz), or the base directory of translations, laid out as
    `<base>/<language>/original/<depth>/<split>.jsonl` (arXiv 2310.15258's release). With other `languages` than
    English, an English file is parsed into theories, which are verbalised in each language
    (`xlprobe.samples.rulebase`); the prover must then agree with the file's label. NatLang, written by people, and
    birds-electricity, of birds and circuits, do not parse, and it is said which words the grammars lack: read them in
    English. `max_depth` keeps questions of at most that QDep (a depth-N file holds deeper ones), and those without
    QDep. What does not parse, agree, or align goes to `rejections`, or, without one, is summed up on standard error.
    Raises `DataError`, naming file, line and question, for what is missing or of another type.
    """
    base = Path(path)
    codes = chosen(languages)
    own = rejections is None
    found = Rejections() if rejections is None else rejections
    if base.is_dir():
        samples = aligned_rules(_translations(base, codes, split, depth), str(base), max_depth, found)
    elif codes is None or set(codes) == {"en"}:
        samples = rule_samples(json_lines(base), "ruletaker", max_depth)
    else:
        from xlprobe.samples.readers.verbalised import verbalised_samples

        samples = verbalised_samples(json_lines(base), codes, max_depth, found)
    for sample in samples:
        found.read += 1
        yield sample
    if own:
        found.say()


def rule_samples(
    rows: Iterable[Row], dataset: str, max_depth: int | None = None, language: str = "en"
) -> Iterator[ParallelSample]:
    """Turn rows of theories with questions, in one language, into samples."""
    seen: set[str] = set()
    for number, (where, row) in enumerate(rows, 1):
        theory = told(row, where)
        group = group_of(theory, dataset, number, seen)
        for place, asked in kept_questions(theory, max_depth):
            context, question = {language: theory.context}, {language: asked.text}
            yield ParallelSample(
                f"{group}-{place}", group, dataset, context, question, asked.label, asked.depth, asked.meta
            )


def group_of(theory: Told, dataset: str, number: int, seen: set[str]) -> str:
    """Return the group of a theory, its id or its number; raise `DataError` where the id was `seen` before."""
    identity = theory.identity or str(number)
    if identity in seen:
        raise DataError(f"{theory.where}: the id {identity!r} was there before; expected every theory once in a file")
    seen.add(identity)
    return f"{dataset}-{identity}"


def kept_questions(theory: Told, max_depth: int | None) -> list[tuple[int, Asked]]:
    """Return the questions, with their places from 1, that are not deeper than `max_depth`."""
    asked = enumerate(theory.questions, 1)
    return [(place, one) for place, one in asked if max_depth is None or one.depth is None or one.depth <= max_depth]


def _translations(base: Path, languages: tuple[str, ...] | None, split: str, depth: str) -> dict[str, Iterator[Row]]:
    """Find the files of several languages, English first."""
    there = sorted(p.name for p in base.iterdir() if (p / "original" / depth).is_dir())
    codes = languages or chosen(sorted(there, key=lambda code: (code != "en", code)) or None)
    if codes is None:
        raise DataError(
            f"{base} has no translations of {depth}; expected {base}/<language>/original/{depth}/{split}.jsonl. "
            "Choose another depth, or give one English file"
        )
    files = {}
    for code in codes:
        plain = base / code / "original" / depth / f"{split}.jsonl"
        file = next((one for one in (plain, plain.with_name(plain.name + ".gz")) if one.exists()), None)
        if file is None:
            raise DataError(f"{plain} does not exist; {base} has {depth} in {' '.join(there) or 'no language'}")
        files[code] = json_lines(file)
    return files


def aligned_rules(
    rows: Mapping[str, Iterator[Row]], where: str, max_depth: int | None, rejections: Rejections
) -> Iterator[ParallelSample]:
    """Join rows of several languages: theories by row and id, sentences and questions by position."""
    seen: set[str] = set()
    for number, step in enumerate(aligned(rows, where), 1):
        versions = {code: told(row, place) for code, (place, row) in step.items()}
        first = next(iter(versions.values()))
        for other in versions.values():
            if other.identity != first.identity:
                raise DataError(
                    f"{other.where}: has the theory {other.identity!r} where {first.where} has {first.identity!r}; "
                    "expected the same theories in the same order in every language"
                )
        group = group_of(first, "ruletaker", number, seen)
        if _same_counts(versions, group, rejections):
            yield from _joined(versions, group, max_depth, rejections)


def _same_counts(versions: Mapping[str, Told], group: str, rejections: Rejections) -> bool:
    counts = {
        "sentence": {code: len(theory.context) for code, theory in versions.items()},
        "question": {code: len(theory.questions) for code, theory in versions.items()},
    }
    for what, found in counts.items():
        if len(set(found.values())) > 1:
            told_counts = ", ".join(f"{count} in {code}" for code, count in found.items())
            where = next(iter(versions.values())).where
            rejections.add(where, f"{what} counts differ", f"{group} has {told_counts}")
            return False
    return True


def _joined(
    versions: Mapping[str, Told], group: str, max_depth: int | None, rejections: Rejections
) -> Iterator[ParallelSample]:
    first = next(iter(versions.values()))
    contexts = {code: theory.context for code, theory in versions.items()}
    for place, asked in kept_questions(first, max_depth):
        others = {code: theory.questions[place - 1] for code, theory in versions.items()}
        labels = {code: one.label for code, one in others.items()}
        if len(set(labels.values())) > 1:
            rejections.add(f"{first.where}, question {place}", "labels differ", f"{group} has {labels}")
            continue
        texts = {code: one.text for code, one in others.items()}
        yield ParallelSample(
            f"{group}-{place}", group, "ruletaker", contexts, texts, asked.label, asked.depth, asked.meta
        )

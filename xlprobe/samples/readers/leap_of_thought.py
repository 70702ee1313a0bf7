"""LeapOfThought: implicit and explicit taxonomic knowledge (Talmor et al. 2020, arXiv 2006.06609)."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from xlprobe.errors import DataError
from xlprobe.samples.readers.aligned import aligned, chosen, english_first
from xlprobe.samples.readers.containers import rows_of
from xlprobe.samples.readers.lines import Row, field_of
from xlprobe.samples.readers.negation import negated
from xlprobe.samples.readers.rejected import Rejections
from xlprobe.samples.readers.sentences import sentences
from xlprobe.samples.types import ParallelSample

__all__ = ["leap_samples", "read_leap_of_thought"]

_DATASET = "leap-of-thought"
_FILE = "randomized_hypernyms_training_mix_short_{split}.jsonl"


def read_leap_of_thought(
    path: str | Path,
    *,
    languages: str | Sequence[str] | None = None,
    split: str = "dev",
    negate: bool = False,
    seed: int = 0,
    rejections: Rejections | None = None,
) -> Iterator[ParallelSample]:
    """Read LeapOfThought: rules are the context's units, the statement the question; 1 true, 0 false.

    `path` is an English file (jsonl, .gz), or a base directory of translations laid out as
    `<base>/<language>/randomized_hypernyms_training_mix_short_<split>.jsonl`, aligned by row. `negate` turns every
    second English statement, on average, into its opposite and flips the label (arXiv 2310.15258, section 4), as drawn
    from `seed` and the row's number; a statement that no rule can negate stays as it is and is listed. Rows of one
    context are one group. What does not align goes to `rejections`, or, without one, is summed up on standard error.
    Raises `DataError`, naming file and line, for what is missing or of another type.
    """
    base = Path(path)
    codes = chosen(languages)
    remarks = Rejections() if rejections is None else rejections
    if not base.is_dir():
        if codes is not None and set(codes) != {"en"}:
            raise DataError(
                f"{base} is one file, in English; got the languages {' '.join(codes)}. For translations give the "
                f"directory that holds <language>/{_FILE.format(split=split)}"
            )
        rows = {"en": rows_of(base)}
    elif negate:
        raise DataError(f"{base}: negate=True is for one English file; translated files hold their negations already")
    else:
        rows = _translations(base, codes, split)
    for sample in leap_samples(rows, str(base), remarks, seed if negate else None):
        remarks.read += 1
        yield sample
    if rejections is None:
        remarks.say()


def _translations(base: Path, languages: tuple[str, ...] | None, split: str) -> dict[str, Iterator[Row]]:
    """Find the files of several languages, English first."""
    name = _FILE.format(split=split)
    there = {p.parent.name: p for p in (*base.glob(f"*/{name}.gz"), *base.glob(f"*/{name}"))}
    codes = languages or chosen(english_first(there) or None)
    if codes is None:
        raise DataError(f"{base} has no translations; expected {base}/<language>/{name}")
    if missing := [code for code in codes if code not in there]:
        raise DataError(f"{base / missing[0] / name} does not exist; {base} has {' '.join(sorted(there)) or 'none'}")
    return {code: rows_of(there[code]) for code in codes}


def leap_samples(
    rows: Mapping[str, Iterator[Row]], where: str, rejections: Rejections, seed: int | None = None
) -> Iterator[ParallelSample]:
    """Join rows of several languages by their number; with a `seed`, negate every second statement."""
    for number, versions in enumerate(aligned(rows, where), 1):
        sample = _sample(number, versions, rejections)
        if sample is None:
            continue
        if seed is not None and random.Random(f"{seed}-{number}").random() < 0.5:
            sample = _opposite(sample, next(iter(versions.values()))[0], rejections)
        yield sample


def _sample(number: int, versions: Mapping[str, Row], rejections: Rejections) -> ParallelSample | None:
    first = next(iter(versions.values()))[0]
    contexts = {code: _units(row, where, code) for code, (where, row) in versions.items()}
    answers = {code: _answer(row, where) for code, (where, row) in versions.items()}
    counts = {code: len(units) for code, units in contexts.items()}
    identities = {code: row.get("id") for code, (_, row) in versions.items()}
    if len(set(map(str, identities.values()))) > 1:
        raise DataError(f"{first}: the row has the ids {identities}; expected the same rows in the same order")
    for kind, wrong, values in (
        ("no context", not any(counts.values()), counts),
        ("sentence counts differ", len(set(counts.values())) > 1, counts),
        ("labels differ", len(set(answers.values())) > 1, answers),
    ):
        if wrong:
            by_language = ", ".join(f"{value} in {code}" for code, value in values.items())
            rejections.add(first, kind, f"row {number} has {by_language}")
            return None
    questions = {code: field_of(row, "phrase", str, where) for code, (where, row) in versions.items()}
    text = " ".join(contexts.get("en") or next(iter(contexts.values())))
    group = f"{_DATASET}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    return ParallelSample(f"{_DATASET}-{number}", group, _DATASET, contexts, questions, next(iter(answers.values())))


def _units(row: Mapping[str, Any], where: str, language: str) -> tuple[str, ...]:
    """Return the rules where they are the context's text, else the context's sentences."""
    text = row.get("context")
    if not isinstance(text, str) or text.strip():
        text = field_of(row, "context", str, where)
    metadata = row.get("metadata")
    rules = metadata.get("rules") if isinstance(metadata, dict) else None
    units = tuple(rule.strip() for rule in rules if isinstance(rule, str)) if isinstance(rules, list) else ()
    same = "".join("".join(units).split()) == "".join(text.split())
    return units if same and all(units) else sentences(text, language)


def _answer(row: Mapping[str, Any], where: str) -> int:
    answer = field_of(row, "answer", (int, bool), where)
    if answer not in (0, 1):
        raise DataError(f"{where}: has the answer {answer}; expected 0 or 1")
    return int(answer)


def _opposite(sample: ParallelSample, where: str, rejections: Rejections) -> ParallelSample:
    text = negated(sample.question["en"])
    if text is None:
        reason = f"{sample.question['en']!r} has no verb that the rules know; it stays as it is"
        rejections.add(where, "not negated", reason, kept=True)
        return sample
    return replace(sample, question={"en": text}, label=1 - int(sample.label or 0), meta={"negated": True})

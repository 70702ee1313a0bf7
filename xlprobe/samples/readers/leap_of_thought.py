"""LeapOfThought: implicit and explicit taxonomic knowledge (Talmor et al. 2020, arXiv 2006.06609)."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from xlprobe.errors import DataError
from xlprobe.languages import get_language
from xlprobe.samples.readers.lines import field_of, json_lines
from xlprobe.samples.readers.rejected import Rejections
from xlprobe.samples.readers.ruletaker import sentences
from xlprobe.samples.types import ParallelSample

__all__ = ["negated", "read_leap_of_thought"]

_FILE = "randomized_hypernyms_training_mix_short_{split}.jsonl"
_NEGATIONS = (
    (r"\b(is|are|was|were|can|will) not\b", r"\1"),
    (r"\bcannot\b", "can"),
    (r"\bdoes not have\b", "has"),
    (r"\bdo not have\b", "have"),
    (r"\bdoes not desire\b", "desires"),
    (r"\b(is|are|was|were|can|will)\b", r"\1 not"),
    (r"\bhas\b", "does not have"),
    (r"\bhave\b", "do not have"),
    (r"\bdesires\b", "does not desire"),
)
"""What negates an English statement of the data set, and what takes a negation away; the first that fits is used."""


def negated(statement: str) -> str | None:
    """Return the opposite of an English statement, or None where it has none of the verbs of the data set."""
    for pattern, replacement in _NEGATIONS:
        text, count = re.subn(pattern, replacement, statement, count=1)
        if count:
            return text
    return None


def read_leap_of_thought(
    path: str | Path,
    *,
    languages: Sequence[str] | None = None,
    split: str = "dev",
    negate: bool = False,
    seed: int = 0,
    rejections: Rejections | None = None,
) -> Iterator[ParallelSample]:
    """Read LeapOfThought: rules are the context's units, the statement the question; 1 true, 0 false.

    `path` is an English file (jsonl, .gz), or a base directory of translations laid out as
    `<base>/<language>/randomized_hypernyms_training_mix_short_<split>.jsonl`, aligned by row. `negate` turns every
    second English statement, on average, into its opposite and flips the label (arXiv 2310.15258, section 4), as drawn
    from `seed` and the row's number; statements that cannot be negated by rule stay and go to `rejections`.
    """
    base = Path(path)
    own = rejections is None
    found = Rejections() if rejections is None else rejections
    if base.is_dir():
        if negate:
            raise DataError("negate=True needs English statements; translated files hold their negations already")
        rows = _translated(base, languages, split)
    else:
        rows = ((where, {"en": row}) for where, row in _numbered(base))
    for number, (where, versions) in enumerate(rows, 1):
        sample = _sample(number, where, versions, found)
        if sample is None:
            continue
        if negate and random.Random(f"{seed}-{number}").random() < 0.5:
            sample = _opposite(sample, where, found)
        found.read += 1
        yield sample
    if own:
        found.say()


def _numbered(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, row in json_lines(file):
        yield f"{file}, line {number}", row


def _translated(
    base: Path, languages: Sequence[str] | None, split: str
) -> Iterator[tuple[str, dict[str, dict[str, Any]]]]:
    name = _FILE.format(split=split)
    codes = list(languages or sorted(p.name for p in base.iterdir() if (p / name).exists()))
    if not codes:
        raise DataError(f"{base} has no translations; expected {base}/<language>/{name}")
    for code in codes:
        get_language(code)
    readers = [_numbered(base / code / name) for code in codes]
    while True:
        step = [next(reader, None) for reader in readers]
        present = [one for one in step if one is not None]
        if not present:
            return
        if len(present) < len(step):
            short = [code for code, one in zip(codes, step, strict=True) if one is None]
            raise DataError(f"{base}: {name} of {' '.join(short)} ends before the others do; expected the same rows")
        yield present[0][0], {code: row for code, (_, row) in zip(codes, present, strict=True)}


def _sample(
    number: int, where: str, versions: dict[str, dict[str, Any]], rejections: Rejections
) -> ParallelSample | None:
    contexts, questions, answers = {}, {}, set()
    for code, row in versions.items():
        rules = row.get("metadata", {}).get("rules") if isinstance(row.get("metadata"), dict) else None
        text = field_of(row, "context", str, where)
        # The rules are the sentences; the context is the same text in one piece.
        contexts[code] = tuple(rules) if rules and code == "en" else sentences(text)
        questions[code] = field_of(row, "phrase", str, where)
        answers.add(int(field_of(row, "answer", (int, bool), where)))
    if answers - {0, 1}:
        raise DataError(f"{where}: has the answers {sorted(answers)}; expected 0 or 1")
    if len(answers) > 1:
        rejections.add(where, "labels differ", f"row {number}: {answers} across languages")
        return None
    counts = {code: len(units) for code, units in contexts.items()}
    if len(set(counts.values())) > 1 or 0 in counts.values():
        rejections.add(where, "sentence counts differ", f"row {number}: {counts} sentences")
        return None
    identity = next(iter(versions.values())).get("id", number)
    key = f"leap-of-thought-{number}-{identity}"
    return ParallelSample(key, key, "leap-of-thought", contexts, questions, answers.pop())


def _opposite(sample: ParallelSample, where: str, rejections: Rejections) -> ParallelSample:
    text = negated(sample.question["en"])
    if text is None:
        rejections.add(where, "not negated", f"{sample.question['en']!r} has no verb that the rules know; kept as it is")
        return sample
    label = None if sample.label is None else 1 - sample.label
    return ParallelSample(sample.key, sample.group, sample.dataset, sample.context, {"en": text}, label)

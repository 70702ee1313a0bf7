"""Theories and the questions about them, in the shapes that RuleTaker, ProofWriter and PARARULE-Plus come in."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from xlprobe.errors import DataError
from xlprobe.samples.readers.labels import ENTAILMENT, OPEN_TRUTH, TRUTH, class_of
from xlprobe.samples.readers.lines import field_of
from xlprobe.samples.readers.sentences import sentences

__all__ = ["Asked", "Numbering", "TheoryText", "read_theory"]

_KEPT_META = ("strategy", "QLen", "QCat", "config")


@dataclass(frozen=True)
class Asked:
    """One question of a theory: its text, class index, QDep, and what else the file says about it."""

    text: str
    label: int | None
    depth: int | None
    meta: Mapping[str, Any]


@dataclass(frozen=True)
class TheoryText:
    """One row: the theory's id (None where it has none), its sentences, its questions, and the names of the classes.

    `names` is empty in a closed world (0 does not follow, 1 follows). `alone`: the row holds one question, so that
    other rows may ask more about the same theory.
    """

    where: str
    identity: str | None
    context: tuple[str, ...]
    questions: tuple[Asked, ...]
    names: tuple[str, ...] = ()
    alone: bool = False

    def up_to(self, max_depth: int | None) -> list[tuple[int, Asked]]:
        """Return the questions, with their places from 1, that are not deeper than `max_depth`."""
        asked = enumerate(self.questions, 1)
        return [(place, one) for place, one in asked if max_depth is None or (one.depth or 0) <= max_depth]


def read_theory(row: Mapping[str, Any], where: str, language: str = "en") -> TheoryText:
    """Check one row of a `context` (or `theory`) and its `questions`, or one `question`.

    Labels (or answers) and depths may be texts, as in PARARULE-Plus. ProofWriter's open world has a third answer,
    Unknown.
    """
    context = sentences(field_of(row, "theory" if "context" not in row else "context", str, where), language)
    identity = field_of(row, "id", str, where) if row.get("id") is not None else None
    alone = row.get("questions") is None and "question" in row
    questions = [row] if alone else list(_questions(row, where))
    names = _classes(row, questions)
    asked = tuple(
        _asked(question, names, where if alone else f"{where}, question {place}")
        for place, question in enumerate(questions, 1)
    )
    if alone and identity is None:
        identity = hashlib.sha256("\n".join(context).encode()).hexdigest()[:12]
    return TheoryText(where, identity, context, asked, names if names == OPEN_TRUTH else (), alone)


def _questions(row: Mapping[str, Any], where: str) -> Iterator[Any]:
    """Yield the questions of a list, of columns (as `datasets` may have them), or of an object by name."""
    questions = field_of(row, "questions", (list, dict), where)
    if questions == {}:
        raise DataError(f"{where}: 'questions' is {{}}; expected a list of questions")
    if isinstance(questions, list):
        yield from questions
    elif all(isinstance(column, list) for column in questions.values()):
        lengths = set(map(len, questions.values()))
        if len(lengths) > 1:
            raise DataError(f"{where}: the columns of 'questions' have {sorted(lengths)} entries; expected as many")
        for one in zip(*questions.values(), strict=True):
            yield dict(zip(questions, one, strict=True))
    else:
        yield from questions.values()


def _classes(row: Mapping[str, Any], questions: list[Any]) -> tuple[str, ...]:
    labels = [_first(question, "label", "answer") for question in questions if isinstance(question, Mapping)]
    texts = {label.lower() for label in labels if isinstance(label, str)}
    if any("entailment" in text for text in texts):
        return ENTAILMENT
    # ProofWriter's ids say which world is meant; the Hub's rows of both hold texts, its own files true and false.
    identity = str(row.get("id"))
    is_open = "-OWA-" in identity or ("theory" in row and "-CWA-" not in identity and texts)
    return OPEN_TRUTH if is_open else TRUTH


def _asked(question: Any, names: tuple[str, ...], where: str) -> Asked:
    column = "question" if isinstance(question, dict) and "question" in question and "text" not in question else "text"
    text = field_of(question, column, str, where)
    name = "answer" if "label" not in question and "answer" in question else "label"
    label = class_of(field_of(question, name, (bool, str), where), names, where)
    meta = field_of(question, "meta", dict, where) if question.get("meta") is not None else question
    raw = meta.get("QDep")
    depth = None if raw is None or raw == "" else str(raw)
    if depth is not None and not re.fullmatch(r"\d{1,3}", depth):
        raise DataError(f"{where}: QDep is {raw!r:.40}; expected a number from 0")
    kept = {name: meta[name] for name in _KEPT_META if meta.get(name) not in (None, "")}
    return Asked(text, label, None if depth is None else int(depth), kept)


def _first(row: Mapping[str, Any], *names: str) -> Any:
    return next((row[name] for name in names if row.get(name) is not None), None)


class Numbering:
    """Gives theories their groups and questions their numbers, over all rows of a file."""

    def __init__(self, dataset: str) -> None:
        self.dataset = dataset
        self._rows = 0
        self._asked: dict[str, int] = {}

    def start(self, theory: TheoryText) -> tuple[str, int]:
        """Return the theory's group, by its id or the row's number, and how many questions were asked about it before.

        Raises `DataError` where a whole theory's id was there before.
        """
        self._rows += 1
        identity = theory.identity or str(self._rows)
        before = self._asked.get(identity, 0)
        if before and not theory.alone:
            raise DataError(
                f"{theory.where}: the id {identity!r} was there before; expected every theory once in a file"
            )
        self._asked[identity] = before + max(1, len(theory.questions))
        return f"{self.dataset}-{identity}", before

"""Real RuleTaker problems in other languages: parsed, proved again, and worded by the rule base's grammars."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from xlprobe.errors import DataError
from xlprobe.samples.readers.lines import Row
from xlprobe.samples.readers.rejected import Rejections
from xlprobe.samples.readers.theories import Asked, Numbering, TheoryText, read_theory
from xlprobe.samples.rulebase.grammars import grammar, verbalise
from xlprobe.samples.rulebase.logic import Literal, Statement, Theory
from xlprobe.samples.rulebase.parser import parse_statement
from xlprobe.samples.rulebase.prover import Model, solve
from xlprobe.samples.types import ParallelSample

__all__ = ["verbalised_samples"]

NAMES = ("theories", "theories parsed", "questions", "labels agree", "depths given", "depths agree", "English again")
"""What `Rejections.tally` counts. Questions are those of at most the depth asked for."""


@dataclass(frozen=True)
class _Parsed:
    theory: Theory
    model: Model
    questions: dict[int, tuple[Asked, Literal]]


def verbalised_samples(
    rows: Iterable[Row], languages: tuple[str, ...], max_depth: int | None, rejections: Rejections
) -> Iterator[ParallelSample]:
    """Turn rows of English theories into problems in other languages, aligned unit by unit.

    English, if asked for, is the file's own. A theory that does not parse or cannot be solved, a question that does
    not parse, and one whose label the prover does not find, are left out; a depth other than the file's QDep (where
    the file gives QLen, so that there is a proof), a statement that the theory leaves undecided, and a sentence that is
    not worded alike again are kept. All of them go to `rejections`, whose `tally` counts what `NAMES` says.
    """
    for code in languages:
        grammar(code)
    numbering = Numbering("ruletaker")
    for where, row in rows:
        theory = read_theory(row, where)
        numbered = numbering.start(theory)
        parsed = _parsed(theory, max_depth, rejections)
        if parsed is not None:
            yield from _samples(theory, parsed, numbered, languages, rejections)


def _parsed(theory: TheoryText, max_depth: int | None, rejections: Rejections) -> _Parsed | None:
    asked = theory.up_to(max_depth)
    rejections.tally.update({"theories": 1, "questions": len(asked)})
    if theory.names:
        reason = f"{' or '.join(theory.names)} is asked in an open world, which the prover does not know"
        rejections.add(theory.where, "open world", f"{reason}; with it go {len(asked)} questions")
        return None
    try:
        statements = tuple(parse_statement(sentence) for sentence in theory.context)
    except DataError as error:
        rejections.add(theory.where, "theories not parsed", f"{error}; with it go {len(asked)} questions")
        return None
    questions = {}
    for place, one in asked:
        try:
            literal = parse_statement(one.text)
            if not isinstance(literal, Literal):
                raise DataError(f"got the rule {one.text!r}; expected a fact")
        except DataError as error:
            rejections.add(f"{theory.where}, question {place}", "questions not parsed", str(error))
            continue
        questions[place] = (one, literal)
    entities = [entity for _, q in questions.values() for entity in (q.subject, q.object) if entity is not None]
    whole = Theory(statements)
    try:
        model = solve(whole, entities)
    except DataError as error:
        rejections.add(theory.where, "theories not solved", f"{error}; with it go {len(asked)} questions")
        return None
    rejections.tally["theories parsed"] += 1
    return _Parsed(whole, model, questions)


def _samples(
    theory: TheoryText, parsed: _Parsed, numbered: tuple[str, int], languages: tuple[str, ...], rejections: Rejections
) -> Iterator[ParallelSample]:
    group, before = numbered
    pairs = zip(parsed.theory.statements, theory.context, strict=True)
    same = [_again(statement, text, theory.where, rejections) for statement, text in pairs]
    rejections.tally["English again"] += all(same)
    contexts = {
        code: theory.context if code == "en" else tuple(verbalise(one, code) for one in parsed.theory.statements)
        for code in languages
    }
    for place, (asked, literal) in parsed.questions.items():
        where = f"{theory.where}, question {place}"
        if not _agrees(asked, literal, parsed.model, where, rejections):
            continue
        _again(literal, asked.text, where, rejections)
        texts = {code: asked.text if code == "en" else verbalise(literal, code) for code in languages}
        yield ParallelSample(
            f"{group}-{before + place}", group, "ruletaker", contexts, texts, asked.label, asked.depth, asked.meta
        )


def _again(statement: Statement, text: str, where: str, rejections: Rejections) -> bool:
    """Whether the grammar words a parsed sentence as the file does."""
    again = verbalise(statement, "en")
    if again != text:
        rejections.add(where, "worded otherwise", f"{text!r} comes back as {again!r}", kept=True)
    return again == text


def _agrees(asked: Asked, literal: Literal, model: Model, where: str, rejections: Rejections) -> bool:
    """Whether the prover finds the file's label; its depth is compared where the file knows a proof."""
    answer = model.answer(literal)
    undecided = not model.undecided.isdisjoint((literal, literal.negated()))
    loop = "; its theory's negations go in a loop, so that no proof settles it" if undecided else ""
    if answer.label != bool(asked.label):
        reason = f"{asked.text!r} is {bool(asked.label)} in the file, {answer.label} by the prover{loop}"
        rejections.add(where, "undecided" if undecided else "labels differ", reason)
        return False
    rejections.tally["labels agree"] += 1
    if "QLen" in asked.meta and asked.depth is not None:
        rejections.tally["depths given"] += 1
        rejections.tally["depths agree"] += answer.depth == asked.depth
        if answer.depth != asked.depth:
            reason = f"{asked.text!r} has QDep {asked.depth} in the file, {answer.depth} by the prover{loop}"
            rejections.add(where, "undecided" if undecided else "depths differ", reason, kept=True)
            return True
    if undecided:
        rejections.add(where, "undecided", f"{asked.text!r} does not follow in the file either{loop}", kept=True)
    return True

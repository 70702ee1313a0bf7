"""Parallel reasoning problems by the thousand: balanced, without duplicates, in splits that share no theory."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from random import Random
from typing import Any

from xlprobe.errors import DataError
from xlprobe.languages import LANGUAGES
from xlprobe.samples.rulebase.grammars import grammar, verbalise
from xlprobe.samples.rulebase.logic import Literal, Theory
from xlprobe.samples.rulebase.proposals import Range, Table
from xlprobe.samples.rulebase.prover import Answer, solve
from xlprobe.samples.rulebase.theories import Shape, Words, random_theory, renamed
from xlprobe.samples.types import ParallelSample

__all__ = ["RULETAKER", "SHORT", "SMALL", "SPLITS", "generate", "split_of"]

SPLITS = {"train": range(6), "validation": range(6, 8), "test": range(8, 10)}
SMALL: Mapping[str, Any] = {
    "entities": (2, 2), "facts": (2, 3), "rules": (1, 1), "conditions": (1, 1), "kinds": ("attributes",),
    "depth": (0, 1), "negation": 0.02,
}  # fmt: skip
"""Options of `generate` for the smallest problems: two entities, their attributes, a rule, and at most one step of
reasoning."""
SHORT: Mapping[str, Any] = {
    "entities": (2, 3), "facts": (3, 4), "rules": (1, 2), "conditions": (1, 2), "depth": (0, 1), "negation": 0.2,
}  # fmt: skip
"""Options of `generate` for problems like RuleTaker's shortest ones: 4 to 6 sentences, attributes and relations, people
and animals, and at most one step of reasoning. The shipped checkpoints learned such ones; use split="test" for theories
that they have not seen."""
RULETAKER: Mapping[str, Any] = {
    "entities": (2, 4), "facts": (2, 8), "rules": (2, 8), "conditions": (1, 2), "depth": (0, 1, 2, 3), "negation": 0.2,
}  # fmt: skip
"""Options of `generate` for problems as large as RuleTaker's: 4 to 16 sentences, attributes and relations, people and
animals, and up to three steps of reasoning."""
LARGEST = {"facts": 40, "rules": 40, "conditions": 4}
"""Beyond these a theory fits no encoder, and a sentence no reader."""
MOST_PROBLEMS, MOST_QUESTIONS = 1_000_000, 100
"""All problems of a call are in memory, about 5 kB each; and no theory has that many atoms to ask about."""
TRIES, NAMINGS = 2000, 20
Slot = tuple[int, int, bool]
"""What a question shall be: its depth, its label, and whether it is positive."""


def split_of(theory: Theory) -> str:
    """Return the split that a theory belongs to, whatever the seed: by a hash that ignores order and wording."""
    bucket = int(theory.fingerprint(), 16) % 10
    return next(name for name, buckets in SPLITS.items() if bucket in buckets)


def generate(
    theories: int = 100,
    *,
    questions: int = 2,
    depth: int | Sequence[int] | Mapping[int, float] = (0, 1),
    languages: Sequence[str] = tuple(LANGUAGES),
    seed: int = 0,
    split: str | None = None,
    entities: Range = (2, 4),
    facts: Range = (3, 6),
    rules: Range = (1, 3),
    conditions: Range = (1, 2),
    kinds: Sequence[str] = ("attributes", "relations"),
    who: Sequence[str] = ("people", "animals"),
    negation: float = 0.3,
    held_out_vocabulary: bool = False,
    advance: Callable[[int], None] = lambda count: None,
) -> list[ParallelSample]:
    """Return `theories` x `questions` parallel problems; the same arguments give the same problems.

    `depth`: the proof depths, alike often, or with their weights. Labels are balanced within each depth.
    `split`: "train", "validation" or "test"; None draws theories of all three (`meta["split"]` says which). Splits
    share no theory, whatever the seeds. `entities`, `facts`, `rules`, `conditions` (of a rule): smallest and largest
    number; a theory has at least one fact about each entity and as many rules as its deepest question needs. `kinds`:
    "attributes" for theories of attributes only, "relations" for theories of both. `who`: "people", "animals".
    `negation`: how much is negated, 0 (nothing, in questions neither) to 1; up to 0.5, half of the theories negate
    nothing. `held_out_vocabulary`: the test split uses words that the other splits do not, and only those. `advance`
    is told the number of problems just made.

    Raises `DataError` where the arguments contradict each other or leave too few different theories.
    """
    weights = _weights(depth)
    shape = Shape(entities, facts, rules, conditions, tuple(kinds), tuple(who), negation)
    words = Words.of((split == "test") if held_out_vocabulary else None)
    _check(theories, questions, weights, shape, split, held_out_vocabulary)
    _check_sizes(shape, words)
    for code in languages:
        grammar(code)
    random = Random(f"xlprobe rulebase {seed} {split}")
    samples: list[ParallelSample] = []
    seen: set[str] = set()
    signs = (True, False) if negation > 0 else (True,)
    for slots in _plan(random, theories, questions, weights, signs):
        samples += _samples(*_theory(random, shape, words, slots, split, seen), languages)
        advance(len(slots))
    return samples


def _weights(depth: int | Sequence[int] | Mapping[int, float]) -> dict[int, float]:
    depths = (depth,) if isinstance(depth, int) else depth
    table = dict(depths) if isinstance(depths, Mapping) else dict.fromkeys(depths, 1.0)
    total = sum(table.values())
    if not table or total <= 0 or min(table.values()) < 0 or not all(0 <= d <= 5 for d in table):
        raise DataError(
            f"got depth={depth!r}; expected depths from 0 to 5, such as (0, 1), or weights as {{0: 0.5, 1: 0.5}}"
        )
    return {d: weight / total for d, weight in sorted(table.items()) if weight > 0}


def _check(
    theories: int, questions: int, weights: dict[int, float], shape: Shape, split: str | None, held_out: bool
) -> None:
    wrong = set(shape.kinds) - {"attributes", "relations"} | set(shape.who) - {"people", "animals"}
    if wrong or not shape.kinds or not shape.who:
        raise DataError(
            f"got kinds={shape.kinds}, who={shape.who}; expected kinds among attributes, relations and who among "
            "people, animals, at least one each"
        )
    if split is not None and split not in SPLITS:
        raise DataError(f"got split={split!r}; expected one of {' '.join(SPLITS)}, or None for all")
    if held_out and split is None:
        raise DataError("got held_out_vocabulary=True without a split; name one, since the words depend on it")
    if theories < 1 or questions < 1:
        raise DataError(f"got theories={theories}, questions={questions}; expected at least one of each")
    if questions > MOST_QUESTIONS or theories * questions > MOST_PROBLEMS:
        raise DataError(
            f"got theories={theories!s:.40}, questions={questions!s:.40}; expected at most {MOST_QUESTIONS} questions "
            f"of a theory and {MOST_PROBLEMS:,} problems in all, which are in memory together. Generate several files "
            "with different seeds"
        )
    if max(weights) > 0 and shape.rules[1] == 0:
        raise DataError(f"got depth {max(weights)} with rules=(0, 0); a proof of that depth needs rules. Allow some")
    if not 0 <= shape.negation <= 1:
        raise DataError(f"got negation={shape.negation}; expected a share from 0 to 1")


def _check_sizes(shape: Shape, words: Words) -> None:
    most = {"entities": min(len(words.who[name]) for name in shape.who), **LARGEST}
    for name, largest in most.items():
        low, high = getattr(shape, name)
        least = 0 if name == "rules" else 1
        if not least <= low <= high <= largest:
            raise DataError(
                f"got {name}=({low}, {high}); expected a smallest and a largest number, from {least} to {largest}"
            )


def _plan(
    random: Random, theories: int, questions: int, weights: dict[int, float], signs: Sequence[bool]
) -> Iterator[list[Slot]]:
    """Yield for each theory what its questions shall be, the depths of each label spread evenly over the theories."""
    pools = {label: _pool(random, label, (theories * questions + 1) // 2, weights, signs) for label in (0, 1)}
    for number in range(theories):
        slots = [pools[(number + place) % 2].pop() for place in range(questions)]
        random.shuffle(slots)
        yield slots


def _pool(random: Random, label: int, count: int, weights: dict[int, float], signs: Sequence[bool]) -> list[Slot]:
    """Return the slots of one label, each depth as often as its weight says and everywhere alike often."""
    counts = {depth: int(weight * count) for depth, weight in weights.items()}
    by_rest = sorted(weights, key=lambda d: (counts[d] - weights[d] * count, d))
    for depth in by_rest[: count - sum(counts.values())]:
        counts[depth] += 1
    placed = [
        ((n + random.random()) / many, (depth, label, signs[(n + place) % len(signs)]))
        for place, (depth, many) in enumerate(counts.items())
        for n in range(many)
    ]
    return [slot for _, slot in sorted(placed)]


def _theory(
    random: Random, shape: Shape, words: Words, slots: list[Slot], split: str | None, seen: set[str]
) -> tuple[Theory, list[Literal]]:
    """Return a theory not seen before, and a question for each slot."""
    wanted = Counter((depth, _holds(label, positive)) for depth, label, positive in slots)
    for _ in range(TRIES):
        candidate = random_theory(random, shape, words, wanted)
        if candidate is None:
            continue
        theory, table = candidate
        # To fall into the wanted split takes several tries, and other names are cheaper than another theory.
        for _ in range(NAMINGS):
            key = theory.fingerprint()
            if key not in seen and (split is None or split_of(theory) == split):
                seen.add(key)
                return theory, _questions(random, table, slots)
            theory, table = renamed(random, theory, table, words)
    raise DataError(
        f"found no further theory with questions of (depth, label, positive) {slots!s:.200} in {TRIES} tries, after "
        f"{len(seen)}; allow more entities, rules or other numbers of facts, or ask for fewer theories or questions"
    )


def _holds(label: int, positive: bool) -> bool:
    """Whether the atom that is asked for, or its negation, holds: a negated question has the other label."""
    return (label == 1) == positive


def _questions(random: Random, table: Table, slots: list[Slot]) -> list[Literal]:
    """Return one question for each slot, about different atoms."""
    left = {cell: random.sample(atoms, len(atoms)) for cell, atoms in table.items()}
    atoms = [left[depth, _holds(label, positive)].pop() for depth, label, positive in slots]
    return [atom if slot[2] else atom.negated() for atom, slot in zip(atoms, slots, strict=True)]


def _samples(theory: Theory, questions: Sequence[Literal], languages: Sequence[str]) -> Iterator[ParallelSample]:
    """Yield a theory's questions as parallel problems."""
    model, text = solve(theory), repr(theory.statements)
    group = f"rulebase-{theory.fingerprint()}"
    context = {code: tuple(verbalise(one, code) for one in theory.statements) for code in languages}
    for question in questions:
        answer = model.answer(question)
        yield ParallelSample(
            key=f"rulebase-{hashlib.sha256(f'{text} {question}'.encode()).hexdigest()[:16]}",
            group=group,
            dataset="rulebase",
            context=context,
            question={code: verbalise(question, code) for code in languages},
            label=int(answer.label),
            depth=answer.depth,
            meta={"split": split_of(theory), "by_failure": answer.by_failure, "proof": _proof(answer)},
        )


def _proof(answer: Answer) -> list[dict[str, Any]]:
    return [
        {
            "statement": step.statement,
            "depth": step.depth,
            "gives": verbalise(step.literal, "en"),
            "from": [verbalise(premise, "en") for premise in step.premises],
        }
        for step in answer.proof
    ]

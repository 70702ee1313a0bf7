"""Parallel reasoning problems by the thousand: balanced, without duplicates, in splits that share no theory."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from random import Random
from typing import Any

from xlprobe.errors import DataError
from xlprobe.languages import LANGUAGES
from xlprobe.samples.rulebase.grammars import grammar, verbalise
from xlprobe.samples.rulebase.logic import Literal, Theory
from xlprobe.samples.rulebase.prover import Answer, Model
from xlprobe.samples.rulebase.theories import Range, Shape, Words, random_theory
from xlprobe.samples.types import ParallelSample

__all__ = ["SMALL", "SPLITS", "generate", "parallel_sample", "split_of"]

SPLITS = {"train": range(6), "validation": range(6, 8), "test": range(8, 10)}
SMALL: Mapping[str, Any] = {
    "entities": (2, 2), "facts": (2, 3), "rules": (1, 1), "conditions": (1, 1), "kinds": ("attributes",),
    "depth": (0, 1), "negation": 0.02,
}  # fmt: skip
"""Options of `generate` for the kind of problem that the shipped checkpoints learned: two entities, their attributes, a
rule, and at most one step of reasoning. Use split="test" for theories that they have not seen."""
TRIES = 5000
Slot = tuple[int, int, bool]


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
    number; a theory has at least one fact about each entity and as many rules as its deepest question needs.
    `kinds`: "attributes" for theories of attributes only, "relations" for theories of both. `who`: "people", "animals".
    `negation`: how much is negated, 0 (nothing, in questions neither) to 1. `held_out_vocabulary`: the test split uses
    words that the other splits do not, and only those. `advance` is told the number of problems just made.

    Raises `DataError` where the arguments contradict each other or leave too few different theories.
    """
    weights = _weights(depth)
    shape = Shape(entities, facts, rules, conditions, tuple(kinds), tuple(who), negation)
    _check(theories, questions, weights, shape, split, held_out_vocabulary)
    for code in languages:
        grammar(code)
    words = Words.of((split == "test") if held_out_vocabulary else None)
    random = Random(f"xlprobe rulebase {seed} {split}")
    samples: list[ParallelSample] = []
    seen: set[str] = set()
    for slots in _plan(random, theories, questions, weights, negation > 0):
        theory, model, asked = _theory(random, shape, words, slots, split, seen)
        samples += [parallel_sample(theory, question, model.answer(question), languages) for question in asked]
        advance(len(asked))
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
    for name in ("entities", "facts", "rules", "conditions"):
        low, high = getattr(shape, name)
        least = 0 if name == "rules" else 1
        if not least <= low <= high:
            raise DataError(f"got {name}=({low}, {high}); expected a smallest and a largest number, from {least} on")
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
    if max(weights) > 0 and shape.rules[1] == 0:
        raise DataError(f"got depth {max(weights)} with rules=(0, 0); a proof of that depth needs rules. Allow some")
    if not 0 <= shape.negation <= 1:
        raise DataError(f"got negation={shape.negation}; expected a share from 0 to 1")


def _plan(
    random: Random, theories: int, questions: int, weights: dict[int, float], negation: bool
) -> Iterator[list[Slot]]:
    """Yield for each theory what its questions shall be: (depth, label, whether positive)."""
    pools: dict[int, list[Slot]] = {}
    half = (theories * questions + 1) // 2
    for label in (0, 1):
        counts = {depth: int(weight * half) for depth, weight in weights.items()}
        by_rest = sorted(weights, key=lambda d: (counts[d] - weights[d] * half, d))
        for depth in by_rest[: half - sum(counts.values())]:
            counts[depth] += 1
        signs = (True, False) if negation else (True,)
        pools[label] = [(d, label, signs[n % len(signs)]) for d, count in counts.items() for n in range(count)]
        random.shuffle(pools[label])
    for number in range(theories):
        labels = [(number + place) % 2 for place in range(questions)] if questions % 2 else [0, 1] * (questions // 2)
        slots = [pools[label].pop() for label in labels]
        random.shuffle(slots)
        yield slots


def _theory(
    random: Random, shape: Shape, words: Words, slots: list[Slot], split: str | None, seen: set[str]
) -> tuple[Theory, Model, list[Literal]]:
    deepest = max(max(0, slot[0] - (not _proved(slot))) for slot in slots)
    failing = [slot[0] for slot in slots if not _proved(slot) and slot[0] > 0]
    for _ in range(TRIES):
        found = random_theory(random, shape, words, deepest, failing)
        if found is None:
            continue
        theory, model, atoms = found
        key = theory.fingerprint()
        if key in seen or (split is not None and split_of(theory) != split):
            continue
        asked = _questions(random, model, atoms, slots)
        if asked is not None:
            seen.add(key)
            return theory, model, asked
    raise DataError(
        f"found no further theory with questions of (depth, label, positive) {slots} in {TRIES} tries, after "
        f"{len(seen)}; allow more entities, facts or rules, or ask for fewer theories"
    )


def _proved(slot: Slot) -> bool:
    """Whether a slot asks for an atom that is proved, or its negation."""
    return (slot[1] == 1) == slot[2]


def _questions(random: Random, model: Model, atoms: list[Literal], slots: list[Slot]) -> list[Literal] | None:
    """Return one question for each slot, about different atoms; None where the theory has none."""
    table: dict[tuple[int, bool], list[Literal]] = {}
    for atom in atoms:
        answer = model.answer(atom)
        table.setdefault((answer.depth, answer.label), []).append(atom)
    chosen: list[Literal] = []
    for depth, label, positive in slots:
        # What is asked for positively has the label of its atom; a negated question has the other.
        options = [atom for atom in table.get((depth, _proved((depth, label, positive))), ()) if atom not in chosen]
        if not options:
            return None
        chosen.append(random.choice(options))
    return [atom if slot[2] else atom.negated() for atom, slot in zip(chosen, slots, strict=True)]


def parallel_sample(
    theory: Theory, question: Literal, answer: Answer, languages: Sequence[str], *, dataset: str = "rulebase"
) -> ParallelSample:
    """Return a theory and a question as a parallel problem."""
    text = repr((theory.statements, question))
    meta: dict[str, Any] = {
        "split": split_of(theory),
        "by_failure": answer.by_failure,
        "proof": [
            {
                "statement": step.statement,
                "depth": step.depth,
                "gives": verbalise(step.literal, "en"),
                "from": [verbalise(premise, "en") for premise in step.premises],
            }
            for step in answer.proof
        ],
    }
    return ParallelSample(
        key=f"{dataset}-{hashlib.sha256(text.encode()).hexdigest()[:16]}",
        group=f"{dataset}-{theory.fingerprint()}",
        dataset=dataset,
        context={code: tuple(verbalise(one, code) for one in theory.statements) for code in languages},
        question={code: verbalise(question, code) for code in languages},
        label=int(answer.label),
        depth=answer.depth,
        meta=meta,
    )

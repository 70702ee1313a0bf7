"""Random theories that hold atoms of the wanted proof depths."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

from xlprobe.samples.rulebase.logic import Entity, Literal, Rule, Statement, Theory
from xlprobe.samples.rulebase.proposals import Cell, Range, Scene, Table, by_cell, propose
from xlprobe.samples.rulebase.prover import Model, solve
from xlprobe.samples.rulebase.vocabulary import ANIMALS, ATTRIBUTES, HELD_OUT, PEOPLE, RELATIONS

__all__ = ["Shape", "Words", "random_theory", "renamed"]

DRAWS, CANDIDATES = 30, 3
GAIN = 4
"""How many of the wanted atoms one rule can be hoped to give; a theory that lacks more is given up."""


@dataclass(frozen=True)
class Shape:
    """How large theories are, and what they speak of; see `generate` for the fields."""

    entities: Range
    facts: Range
    rules: Range
    conditions: Range
    kinds: tuple[str, ...]
    who: tuple[str, ...]
    negation: float


@dataclass(frozen=True)
class Words:
    """The words that theories draw from."""

    who: dict[str, tuple[Entity, ...]]
    attributes: tuple[str, ...]
    relations: tuple[str, ...]

    @classmethod
    def of(cls, held_out: bool | None) -> Words:
        """Return the whole vocabulary (None), its held-out part (True), or the rest (False)."""

        def keep(word: str) -> bool:
            return held_out is None or (word in HELD_OUT) == held_out

        groups = {"people": PEOPLE, "animals": ANIMALS}
        return cls(
            {name: tuple(entity for entity in group if keep(entity.name)) for name, group in groups.items()},
            tuple(filter(keep, ATTRIBUTES)),
            tuple(filter(keep, RELATIONS)),
        )


def random_theory(
    random: Random, shape: Shape, words: Words, wanted: Mapping[Cell, int]
) -> tuple[Theory, Table] | None:
    """Return a theory that holds as many atoms of each cell as wanted, and its atoms by cell; None where unlucky.

    The theory grows rule by rule, each the best of some that were drawn at random.
    """
    depth = max(depth for depth, _ in wanted)
    scene = _scene(random, shape, words, depth)
    facts = _facts(random, shape, scene)
    if facts is None:
        return None
    grown = _grown(facts, scene, wanted)
    for left in range(max(random.randint(*shape.rules), depth), 0, -1):
        if grown is None or grown.missing.total() > GAIN * left:
            return None
        grown = _longer(random, grown, scene, wanted)
    if grown is None or grown.missing:
        return None
    statements = random.sample(grown.statements, len(grown.statements))
    return Theory(tuple(statements)), grown.table


def renamed(random: Random, theory: Theory, table: Table, words: Words) -> tuple[Theory, Table]:
    """Return the same theory, and its atoms by cell, with other names and words in the place of its own."""
    group = words.who["people" if theory.entities[0].kind == "person" else "animals"]
    who = dict(zip(group, random.sample(group, len(group)), strict=True))
    said: dict[str, str] = {}
    for kind in (words.attributes, words.relations):
        said.update(zip(kind, random.sample(kind, len(kind)), strict=True))

    def literal(one: Literal) -> Literal:
        subject, object_ = (None if entity is None else who[entity] for entity in (one.subject, one.object))
        return Literal(subject, said[one.predicate], object_, one.positive)

    def statement(one: Statement) -> Statement:
        if isinstance(one, Literal):
            return literal(one)
        return Rule(tuple(map(literal, one.conditions)), literal(one.conclusion), one.form)

    return Theory(tuple(map(statement, theory.statements))), {c: list(map(literal, a)) for c, a in table.items()}


@dataclass(frozen=True)
class _Grown:
    """A theory under way, what follows from it, its atoms by cell, and how many of each cell are still missing."""

    statements: tuple[Statement, ...]
    model: Model
    table: Table
    missing: Counter[Cell]


def _grown(statements: tuple[Statement, ...], scene: Scene, wanted: Mapping[Cell, int]) -> _Grown | None:
    """Return a theory with what follows; None where it contradicts itself, or its negations go in a loop."""
    model = solve(Theory(statements))
    if model.undecided or any(literal.negated() in model.steps for literal in model.steps):
        return None
    table = by_cell(model, scene.atoms)
    missing = Counter({c: n for c, count in wanted.items() if (n := count - len(table.get(c, ()))) > 0})
    return _Grown(statements, model, table, missing)


def _longer(random: Random, grown: _Grown, scene: Scene, wanted: Mapping[Cell, int]) -> _Grown | None:
    """Return the theory with one rule more, which leaves the fewest atoms missing; None where none was found."""
    candidates: list[_Grown] = []
    for _ in range(DRAWS):
        rule = propose(random, scene, grown.model, grown.table, grown.missing)
        if rule is None or rule in grown.statements:
            continue
        longer = _grown((*grown.statements, rule), scene, wanted)
        if longer is not None:
            candidates.append(longer)
            if not longer.missing or len(candidates) == CANDIDATES:
                break
    return min(candidates, key=lambda one: one.missing.total(), default=None)


def _scene(random: Random, shape: Shape, words: Words, depth: int) -> Scene:
    kind, who = random.choice(shape.kinds), random.choice(shape.who)
    entities = tuple(random.sample(words.who[who], random.randint(*shape.entities)))
    relations = tuple(random.sample(words.relations, min(3, len(words.relations)))) if kind == "relations" else ()
    size = 4 if relations else max(7, depth + 4)
    attributes = tuple(random.sample(words.attributes, min(size, len(words.attributes))))
    atoms = [Literal(entity, name) for entity in entities for name in attributes]
    atoms += [Literal(one, name, two) for one in entities for name in relations for two in entities if one != two]
    # As in RuleTaker, about half of the theories negate nothing, and the others so much the more.
    share = max(0.5, shape.negation)
    negation = shape.negation / share if random.random() < share else 0.0
    return Scene(entities, tuple(atoms), who == "people", shape.conditions, negation)


def _facts(random: Random, shape: Shape, scene: Scene) -> tuple[Literal, ...] | None:
    """Return at least one fact about each entity; None where there is not so much to tell."""
    count = max(random.randint(*shape.facts), len(scene.entities))
    chosen = {random.choice(scene.about(entity)): None for entity in scene.entities}
    rest = [atom for atom in scene.atoms if atom not in chosen]
    if count - len(chosen) > len(rest):
        return None
    chosen.update(dict.fromkeys(random.sample(rest, count - len(chosen))))
    return tuple(atom.negated() if random.random() < scene.negation / 2 else atom for atom in chosen)

"""Random theories that reach a wanted proof depth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from xlprobe.samples.rulebase.logic import Entity, Literal, Rule, Statement, Theory
from xlprobe.samples.rulebase.prover import Model, solve
from xlprobe.samples.rulebase.vocabulary import ANIMALS, ATTRIBUTES, HELD_OUT, PEOPLE, RELATIONS

__all__ = ["Shape", "Words", "random_theory"]

Range = tuple[int, int]


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


@dataclass(frozen=True)
class _Scene:
    """The entities and words of one theory."""

    entities: tuple[Entity, ...]
    attributes: tuple[str, ...]
    relations: tuple[str, ...]
    people: bool

    def atoms(self) -> list[Literal]:
        found = [Literal(entity, name) for entity in self.entities for name in self.attributes]
        found += [
            Literal(entity, name, other)
            for entity in self.entities
            for name in self.relations
            for other in self.entities
            if other != entity
        ]
        return found


def random_theory(
    random: Random, shape: Shape, words: Words, depth: int, failures: Sequence[int] = ()
) -> tuple[Theory, Model, list[Literal]] | None:
    """Return a theory in which something has this proof depth, its model, and the atoms to ask for; None where unlucky.

    `failures`: depths, from 1 on, at which a proof shall fail.
    """
    scene = _scene(random, shape, words, depth)
    atoms = scene.atoms()
    facts = _facts(random, shape, scene, atoms)
    theory = Theory(tuple(facts))
    rules: list[Rule] = []
    model = solve(theory)
    wanted = max(random.randint(*shape.rules), depth + len(failures))
    for number in range(wanted):
        if number < depth:
            rule = _chained(random, shape, scene, model, atoms)
        elif number < depth + len(failures):
            rule = _failing(random, shape, scene, model, atoms, failures[number - depth])
        else:
            rule = _loose(random, shape, scene, atoms)
        if rule is None or rule in rules:
            if number < depth + len(failures):
                return None
            continue
        rules.append(rule)
        theory = Theory((*facts, *rules))
        model = solve(theory)
    if model.undecided or any(literal.negated() in model.steps for literal in model.steps):
        return None
    statements: list[Statement] = [*facts, *rules]
    random.shuffle(statements)
    theory = Theory(tuple(statements))
    return theory, solve(theory), atoms


def _scene(random: Random, shape: Shape, words: Words, depth: int) -> _Scene:
    kind, who = random.choice(shape.kinds), random.choice(shape.who)
    group = words.who[who]
    size = min(random.randint(*shape.entities), len(group))
    attributes = words.attributes
    if kind == "relations":
        attributes = tuple(random.sample(words.attributes, min(4, len(words.attributes))))
    elif len(attributes) > max(7, depth + 4):
        attributes = tuple(random.sample(words.attributes, max(7, depth + 4)))
    relations = words.relations if kind == "relations" else ()
    if len(relations) > 3:
        relations = tuple(random.sample(relations, 3))
    return _Scene(tuple(random.sample(group, size)), attributes, relations, who == "people")


def _facts(random: Random, shape: Shape, scene: _Scene, atoms: Sequence[Literal]) -> list[Literal]:
    count = max(random.randint(*shape.facts), len(scene.entities))
    chosen: dict[Literal, None] = {}
    for entity in scene.entities:
        chosen[random.choice([atom for atom in atoms if atom.subject == entity])] = None
    rest = [atom for atom in atoms if atom not in chosen]
    chosen.update(dict.fromkeys(random.sample(rest, min(count - len(chosen), len(rest) // 2))))
    return [atom.negated() if random.random() < shape.negation / 2 else atom for atom in chosen]


def _chained(random: Random, shape: Shape, scene: _Scene, model: Model, atoms: Sequence[Literal]) -> Rule | None:
    """Return a rule that goes one step deeper than all that is proved so far."""
    deepest = max((step.depth for literal, step in model.steps.items() if literal.positive), default=0)
    starts = [literal for literal, step in model.steps.items() if step.depth == deepest and literal.positive]
    if not starts:
        return None
    start = random.choice(starts)
    entity = start.subject
    others = [atom for atom in atoms if atom.subject == entity and atom != start]
    conditions = [start]
    for atom in random.sample(others, min(random.randint(*shape.conditions) - 1, len(others))):
        if atom in model.steps:
            conditions.append(atom)
        elif random.random() < shape.negation:
            conditions.append(atom.negated())
    taken = {condition.predicate for condition in conditions}
    goals = [a for a in atoms if a not in model.steps and a.negated() not in model.steps and a.predicate not in taken]
    same = [goal for goal in goals if goal.subject == entity]
    if start.object is not None and random.random() < 0.3:
        same = [goal for goal in goals if goal.subject == start.object] or same
    if not same:
        return None
    return _worded(random, scene, conditions, random.choice(same), general=random.random() < 0.8)


def _failing(
    random: Random, shape: Shape, scene: _Scene, model: Model, atoms: Sequence[Literal], depth: int
) -> Rule | None:
    """Return a rule that fails, at this depth, for something that no rule gives so far."""
    missing = [a for a in atoms if a not in model.steps and model.failure_depth(a) == depth - 1]
    if shape.negation > 0:
        # A negated condition fails where its atom is proved.
        missing += [a.negated() for a, step in model.steps.items() if a.positive and step.depth == depth - 1]
    if not missing:
        return None
    condition = random.choice(missing)
    own = [a for a in atoms if a.subject == condition.subject and a.predicate != condition.predicate]
    goals = [a for a in own if a not in model.steps and a.negated() not in model.steps and not model.failure_depth(a)]
    given = [a for a in own if a in model.steps]
    if not goals:
        return None
    goal = random.choice(goals)
    given = [a for a in given if a.predicate != goal.predicate]
    conditions = [condition, random.choice(given)] if given and random.random() < 0.6 else [condition]
    return _worded(random, scene, conditions, goal, general=random.random() < 0.5)


def _loose(random: Random, shape: Shape, scene: _Scene, atoms: Sequence[Literal]) -> Rule | None:
    """Return a rule at random, which may or may not apply."""
    entity = random.choice(scene.entities)
    own = [atom for atom in atoms if atom.subject == entity]
    count = min(random.randint(*shape.conditions), len(own) - 1)
    if count < 1:
        return None
    *conditions, conclusion = random.sample(own, count + 1)
    if any(conclusion.predicate == condition.predicate for condition in conditions):
        return None
    signed = [c.negated() if random.random() < shape.negation / 2 else c for c in conditions]
    if random.random() < shape.negation / 3:
        conclusion = conclusion.negated()
    return _worded(random, scene, signed, conclusion, general=random.random() < 0.8)


def _worded(random: Random, scene: _Scene, conditions: list[Literal], conclusion: Literal, general: bool) -> Rule:
    """Return the rule about these entities, or (general) about anyone in the place of the conditions' subject."""
    random.shuffle(conditions)
    # As RuleTaker does: attributes side by side, first what holds.
    conditions.sort(key=lambda c: (not c.is_attribute, c.is_attribute and not c.positive))
    if not general:
        return Rule(tuple(conditions), conclusion, "ground")
    subject = conditions[0].subject
    opened = tuple(Literal(None, c.predicate, c.object, c.positive) for c in conditions)
    if conclusion.subject == subject:
        conclusion = Literal(None, conclusion.predicate, conclusion.object, conclusion.positive)
    people = scene.people and random.random() < 0.7
    plain = conclusion.subject is None and conclusion.is_attribute
    if plain and all(c.is_attribute and c.positive for c in opened) and random.random() < 0.5:
        return Rule(opened, conclusion, random.choice(["", "all_"]) + ("people" if people else "things"))
    return Rule(opened, conclusion, "someone" if people else "something")

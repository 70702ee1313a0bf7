"""Random rules that bring a theory nearer to the proof depths that are wanted of it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from random import Random

from xlprobe.samples.rulebase.logic import Entity, Literal, Rule
from xlprobe.samples.rulebase.prover import Model

__all__ = ["Cell", "Range", "Scene", "Table", "by_cell", "propose"]

Range = tuple[int, int]
Cell = tuple[int, bool]
"""A proof depth, and whether an atom of that depth holds."""
Table = dict[Cell, list[Literal]]
"""Atoms by cell."""


@dataclass(frozen=True)
class Scene:
    """The entities of one theory, all that may be said of them, and how its rules are made.

    `conditions`: the smallest and largest number of a rule's conditions. `negation`: how much is negated, 0 to 1.
    """

    entities: tuple[Entity, ...]
    atoms: tuple[Literal, ...]
    people: bool
    conditions: Range
    negation: float

    def about(self, *entities: Entity | None) -> list[Literal]:
        """Return the atoms whose subject is one of these entities."""
        return [atom for atom in self.atoms if atom.subject in entities]


def by_cell(model: Model, atoms: Sequence[Literal]) -> Table:
    """Return the atoms by their depth and whether they hold."""
    table: Table = {}
    for atom in atoms:
        table.setdefault((model.depth(atom), atom in model.steps), []).append(atom)
    return table


def propose(random: Random, scene: Scene, model: Model, table: Table, missing: Collection[Cell]) -> Rule | None:
    """Return a rule that may give one of the missing atoms, or any rule where none is missing; None where unlucky."""
    deep = [cell for cell in missing if cell[0] > 0]
    if not deep:
        return _loose(random, scene)
    depth, holds = random.choice(deep)
    # What shall not hold can also be refuted.
    refutes = not holds and random.random() < scene.negation
    start = _start(random, table, depth, holds or refutes, scene.negation > 0)
    others = None if start is None else _others(random, scene, model, start, depth)
    if start is None or others is None:
        return None
    about = start.object if start.object is not None and random.random() < 0.3 else start.subject
    taken = {start.predicate, *(other.predicate for other in others)}
    goals = [
        atom
        for (at, given), atoms in table.items()
        if at < depth and not given
        for atom in atoms
        if atom.subject == about and atom.predicate not in taken and atom.negated() not in model.steps
    ]
    if not goals:
        return None
    goal = random.choice(goals)
    return _worded(random, scene, [start, *others], goal.negated() if refutes else goal, random.random() < 0.8)


def _start(random: Random, table: Table, depth: int, holds: bool, negation: bool) -> Literal | None:
    """Return the first condition of a rule that is to prove something at this depth, or to fail there.

    It is as deep as the theory allows so far. A negated condition fails where its atom is proved.
    """
    for below in range(depth - 1, -1, -1):
        conditions = list(table.get((below, holds), ()))
        if negation and not holds:
            conditions += [atom.negated() for atom in table.get((below, True), ())]
        if conditions:
            return random.choice(conditions)
    return None


def _others(random: Random, scene: Scene, model: Model, start: Literal, depth: int) -> list[Literal] | None:
    """Return further conditions that hold, about the same subject or the object; None where there are too few."""
    count = random.randint(*scene.conditions) - 1
    about = scene.about(start.subject, start.object) if random.random() < 0.3 else scene.about(start.subject)
    rest = [atom for atom in about if atom.predicate != start.predicate or atom.object != start.object]
    random.shuffle(rest)
    hold = [atom for atom in rest if atom in model.steps and model.steps[atom].depth < depth]
    fail = [atom.negated() for atom in rest if atom not in model.steps] if scene.negation > 0 else []
    conditions = []
    for _ in range(count):
        first, second = (fail, hold) if random.random() < scene.negation else (hold, fail)
        if first or second:
            conditions.append((first or second).pop())
    return conditions if len(conditions) >= scene.conditions[0] - 1 else None


def _loose(random: Random, scene: Scene) -> Rule | None:
    """Return a rule at random, which may or may not apply."""
    own = scene.about(random.choice(scene.entities))
    count = random.randint(*scene.conditions)
    if count >= len(own):
        return None
    *conditions, conclusion = random.sample(own, count + 1)
    if any(conclusion.predicate == condition.predicate for condition in conditions):
        return None
    signed = [c.negated() if random.random() < scene.negation / 2 else c for c in conditions]
    if random.random() < scene.negation / 3:
        conclusion = conclusion.negated()
    return _worded(random, scene, signed, conclusion, random.random() < 0.8)


def _worded(random: Random, scene: Scene, conditions: list[Literal], conclusion: Literal, general: bool) -> Rule:
    """Return the rule about these entities, or (general) about anyone in the place of the first condition's subject."""
    subject = conditions[0].subject
    if not general:
        return Rule(_ordered(random, conditions), conclusion, "ground")
    opened = _ordered(random, [_unbound(condition, subject) for condition in conditions])
    head = _unbound(conclusion, subject)
    people = scene.people and random.random() < 0.7
    plain = all(c.subject is None and c.is_attribute for c in (*opened, head)) and all(c.positive for c in opened)
    if plain and random.random() < 0.5:
        return Rule(opened, head, random.choice(["", "all_"]) + ("people" if people else "things"))
    return Rule(opened, head, "someone" if people else "something")


def _unbound(literal: Literal, entity: Entity | None) -> Literal:
    """Return the literal with the rule's variable for a subject that is this entity."""
    return literal if literal.subject != entity else Literal(None, literal.predicate, literal.object, literal.positive)


def _ordered(random: Random, conditions: Sequence[Literal]) -> tuple[Literal, ...]:
    """Return conditions as RuleTaker tells them: attributes side by side, what holds before what does not.

    What is said of the variable comes first, in any order.
    """
    attributes = random.random() < 0.5
    mixed = random.sample(list(conditions), len(conditions))

    def place(c: Literal) -> tuple[bool, bool, bool]:
        return c.subject is not None, c.is_attribute == attributes, c.is_attribute and not c.positive

    return tuple(sorted(mixed, key=place))

"""Facts, rules and theories of RuleTaker's kind, as values (Clark et al. 2020, arXiv 2002.05867)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from typing import Literal as OneOf

from xlprobe.errors import DataError

__all__ = ["FORMS", "QUANTIFIED", "Entity", "Literal", "Rule", "Statement", "Theory"]

QUANTIFIED = ("people", "things", "all_people", "all_things")
FORMS = ("ground", "someone", "something", *QUANTIFIED)
"""How a rule is worded: with named entities only, with a variable, or about people or things with attributes."""


@dataclass(frozen=True)
class Entity:
    """A person, called by name, or an animal, called by its kind."""

    name: str
    kind: OneOf["person", "animal"]


@dataclass(frozen=True, eq=False, init=False)
class Literal:
    """An atom, or its negation: an attribute of a subject (object None) or a relation between subject and object.

    A subject of None is the variable of a rule ("someone", "something", and later "they", "it"). Equal literals are one
    object, since to hash and compare their fields would take most of the time of a proof.
    """

    subject: Entity | None
    predicate: str
    object: Entity | None
    positive: bool

    def __new__(
        cls, subject: Entity | None, predicate: str, object: Entity | None = None, positive: bool = True
    ) -> Literal:
        """Return the one literal of these fields."""
        key = (subject, predicate, object, positive)
        known = _LITERALS.get(key)
        if known is None:
            known = super().__new__(cls)
            vars(known).update(zip(("subject", "predicate", "object", "positive"), key, strict=True))
            known = _LITERALS.setdefault(key, known)
        return known

    def __reduce__(self) -> tuple[Any, ...]:
        return Literal, (self.subject, self.predicate, self.object, self.positive)

    @property
    def is_attribute(self) -> bool:
        """Whether this gives an attribute, not a relation."""
        return self.object is None

    @cached_property
    def _other(self) -> Literal:
        return Literal(self.subject, self.predicate, self.object, not self.positive)

    def negated(self) -> Literal:
        """Return the same atom with the other sign."""
        return self._other

    def bound(self, entity: Entity) -> Literal:
        """Return the literal with its variable replaced by an entity."""
        return self if self.subject is not None else Literal(entity, self.predicate, self.object, self.positive)


_LITERALS: dict[tuple[Entity | None, str, Entity | None, bool], Literal] = {}


@dataclass(frozen=True)
class Rule:
    """Conditions that together give a conclusion; `form` is one of `FORMS`.

    Raises `DataError` where the form cannot word the rule: a variable that no condition introduces, or a
    quantified form ("Kind people are big.") with anything but an attribute that follows from attributes that hold.
    """

    conditions: tuple[Literal, ...]
    conclusion: Literal
    form: str

    def __post_init__(self) -> None:
        open_ = any(condition.subject is None for condition in self.conditions)
        if self.form not in FORMS or not self.conditions:
            raise DataError(
                f"got a rule of form {self.form!r} with {len(self.conditions)} conditions; expected at least one "
                f"condition and a form of {' '.join(FORMS)}"
            )
        if open_ == (self.form == "ground") or (self.conclusion.subject is None and not open_):
            raise DataError(
                f"got the form {self.form!r} for {self.conditions} -> {self.conclusion}; expected 'ground' exactly "
                "where no condition has a variable, and a variable in the conclusion only where a condition has it"
            )
        if self.form in QUANTIFIED and not (
            self.conclusion.subject is None
            and self.conclusion.is_attribute
            and all(c.subject is None and c.is_attribute and c.positive for c in self.conditions)
        ):
            raise DataError(f"the form {self.form!r} can only say that what has attributes has another; got {self}")


Statement = Literal | Rule


@dataclass(frozen=True)
class Theory:
    """Facts and rules in the order in which they are told."""

    statements: tuple[Statement, ...]

    @property
    def facts(self) -> tuple[Literal, ...]:
        """The facts, in order."""
        return tuple(s for s in self.statements if isinstance(s, Literal))

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules, in order."""
        return tuple(s for s in self.statements if isinstance(s, Rule))

    @property
    def entities(self) -> tuple[Entity, ...]:
        """The entities named anywhere, in the order of their first mention."""
        entities: dict[Entity, None] = {}
        for statement in self.statements:
            literals = (statement,) if isinstance(statement, Literal) else (*statement.conditions, statement.conclusion)
            for literal in literals:
                for entity in (literal.subject, literal.object):
                    if entity is not None:
                        entities[entity] = None
        return tuple(entities)

    def fingerprint(self) -> str:
        """Return a hash (16 hex digits) that ignores the order of statements and conditions, and the form of rules."""
        lines = sorted(_canonical(statement) for statement in self.statements)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def _canonical(statement: Statement) -> str:
    if isinstance(statement, Rule):
        return "&".join(sorted(map(_canonical, statement.conditions))) + ">" + _canonical(statement.conclusion)
    subject = "?" if statement.subject is None else statement.subject.name
    object_ = "" if statement.object is None else statement.object.name
    return f"{'+' if statement.positive else '-'}{subject} {statement.predicate} {object_}"

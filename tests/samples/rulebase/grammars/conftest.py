"""Rules of all shapes: RuleTaker's own, where its files are there, and an enumeration that needs no file."""

from __future__ import annotations

import gzip
import json
from itertools import product
from pathlib import Path

import pytest

from xlprobe.samples.readers.sentences import sentences
from xlprobe.samples.rulebase import Literal, Rule, parse_statement
from xlprobe.samples.rulebase.logic import Entity
from xlprobe.samples.rulebase.vocabulary import ENTITIES

# Of every gender that a language may have, and of two.
CASTS = [
    tuple(ENTITIES[name] for name in names)
    for names in (
        ("dog", "lion", "bear", "tiger"),
        ("cat", "cow", "mouse", "bald eagle"),
        ("rabbit", "squirrel", "cat", "lion"),
        ("mouse", "bear", "squirrel", "dog"),
        ("Bob", "Anne", "Gary", "Fiona"),
        ("Erin", "Charlie", "Anne", "Dave"),
    )
]


def recast(rule: Rule, cast: tuple[Entity, ...]) -> Rule:
    """The same rule about others, in the order in which they are named."""
    roles: dict[Entity, Entity] = {}

    def play(entity: Entity | None) -> Entity | None:
        return None if entity is None else roles.setdefault(entity, cast[len(roles)])

    *conditions, conclusion = (
        Literal(play(one.subject), one.predicate, play(one.object), one.positive)
        for one in (*rule.conditions, rule.conclusion)
    )
    return Rule(tuple(conditions), conclusion, rule.form)


def shape(rule: Rule) -> tuple[object, ...]:
    """What remains of a rule without its words: form, who, whom, sign."""
    roles: dict[Entity, int] = {}
    return rule.form, *(
        (
            one.subject and roles.setdefault(one.subject, len(roles)),
            one.object and roles.setdefault(one.object, len(roles)),
            one.positive,
        )
        for one in (*rule.conditions, rule.conclusion)
    )


def enumerated() -> list[Rule]:
    """Rules with a variable, of one to three conditions, each about it or one of two others, for every cast."""
    one, other = CASTS[0][:2]
    about = [Literal(None, "red"), Literal(None, "big", None, False), Literal(None, "see", one)]
    about += [Literal(None, "like", one), Literal(None, "eat", other, False)]
    about += [Literal(one, "cold"), Literal(one, "see", other), Literal(one, "like", other), Literal(other, "see", one)]
    few = [about[0], about[1], about[2], about[5], about[6]]
    ends = [*about, Literal(None, "visit", other)]
    found = []
    for conditions in [*product(about, repeat=1), *product(about, repeat=2), *product(few, repeat=3)]:
        if any(condition.subject is None for condition in conditions):
            found += [Rule(conditions, end, form) for end in ends for form in ("someone", "something")]
    return [recast(rule, cast) for cast in CASTS for rule in found]


@pytest.fixture(scope="session")
def rules() -> list[Rule]:
    """An enumeration of rules with a variable."""
    return enumerated()


@pytest.fixture(scope="session")
def ruletaker_rules(shared_data: Path) -> list[Rule]:
    """All different rules of RuleTaker's dev files."""
    told: dict[str, None] = {}
    for path in sorted((shared_data / "ruletaker").glob("depth-*/dev.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                told.update(dict.fromkeys(sentences(json.loads(line)["context"])))
    statements = map(parse_statement, told)
    return list(dict.fromkeys(one for one in statements if isinstance(one, Rule)))


@pytest.fixture(scope="session")
def ruletaker_shapes(ruletaker_rules: list[Rule]) -> list[Rule]:
    """A rule of every shape that RuleTaker has, for every cast."""
    one_each = {shape(rule): rule for rule in ruletaker_rules}
    return [recast(rule, cast) for rule in one_each.values() for cast in CASTS]

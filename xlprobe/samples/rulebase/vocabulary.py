"""RuleTaker's vocabulary: who, which attributes, which relations."""

from __future__ import annotations

from xlprobe.samples.rulebase.logic import Entity

__all__ = ["ANIMALS", "ATTRIBUTES", "ENTITIES", "HELD_OUT", "PEOPLE", "RELATIONS", "WOMEN"]

PEOPLE = tuple(Entity(name, "person") for name in ["Anne", "Bob", "Charlie", "Dave", "Erin", "Fiona", "Gary", "Harry"])
WOMEN = frozenset({"Anne", "Erin", "Fiona"})
ANIMALS = tuple(
    Entity(name, "animal")
    for name in ("bald eagle", "bear", "cat", "cow", "dog", "lion", "mouse", "rabbit", "squirrel", "tiger")
)
ENTITIES = {entity.name: entity for entity in (*PEOPLE, *ANIMALS)}
ATTRIBUTES = (
    "big",
    "blue",
    "cold",
    "furry",
    "green",
    "kind",
    "nice",
    "quiet",
    "red",
    "rough",
    "round",
    "smart",
    "white",
    "young",
)
RELATIONS = ("chase", "eat", "like", "need", "see", "visit")

HELD_OUT = frozenset(
    {"Dave", "Fiona", "Gary", "Harry", "cow", "mouse", "squirrel", "tiger"}
    | {"cold", "quiet", "round", "smart", "young"}
    | {"need", "visit"}
)
"""What only the test split uses where the vocabulary is held out; the other splits use the rest."""

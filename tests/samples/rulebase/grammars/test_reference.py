"""Whom a reader of each language takes a rule's pronouns and missing subjects to be: the rule's variable, and no other.

A reader goes by the language's preferences, written down in `READERS` by hand, and not by what the grammar meant. A
pronoun points at what agrees with it, but which: what was named last, or what was the subject of the last clause? It is
clear only where both are the same. A subject left out of a further condition ("someone sees the dog and is red") is
that of the clause before; where only agreement tells, it has to be as clear as a pronoun. "That person" takes up
"someone", since whoever has a name is called by it. English is RuleTaker's own: "they" and "it" stand everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from xlprobe.samples.rulebase import Literal, Rule
from xlprobe.samples.rulebase.grammars import available, grammar
from xlprobe.samples.rulebase.grammars.base import Grammar, Mention
from xlprobe.samples.rulebase.logic import Entity
from xlprobe.samples.rulebase.vocabulary import ENTITIES, WOMEN

VARIABLE = "the variable"
ANY = frozenset("mfn")


@dataclass(frozen=True)
class Reader:
    """What a reader of a language goes by. Genders (or noun classes) are single letters; who is in no list is "m".

    `variables`: the genders of someone and something. `again`: the words that take up the one and the other.
    `pronouns`: what each can point at. `by_agreement`: whether a missing subject is found by agreement alone.
    `inverted`: verbs whose subject is what is liked, as in Spanish.
    """

    variables: tuple[str, str]
    again: tuple[str, str]
    pronouns: Mapping[str, str] = field(default_factory=dict)
    feminine: frozenset[str] = WOMEN
    neuter: frozenset[str] = frozenset()
    by_agreement: bool = False
    inverted: frozenset[str] = frozenset()

    def gender(self, entity: Entity) -> str:
        return "f" if entity.name in self.feminine else "n" if entity.name in self.neuter else "m"


ANIMALS = frozenset(one.name for one in ENTITIES.values() if one.kind == "animal")
READERS = {
    "de": Reader(
        ("m", "n"),
        ("diese Person", "dieses Ding"),
        {"er": "m", "es": "n"},
        WOMEN | {"cat", "cow", "mouse"},
        frozenset({"rabbit", "squirrel"}),
    ),
    "es": Reader(
        ("m", "m"),
        ("esa persona", "esa cosa"),
        feminine=WOMEN | {"bald eagle", "cow", "squirrel"},
        inverted=frozenset({"like"}),
    ),
    "fr": Reader(("m", "f"), ("cette personne", "cette chose"), {"il": "m", "elle": "f"}, WOMEN | {"cow", "mouse"}),
    "ru": Reader(
        ("m", "n"),
        ("этот кто-то", "это нечто"),
        {"он": "m", "оно": "n"},
        WOMEN | {"cat", "cow", "dog", "mouse", "squirrel"},
    ),
    "ar": Reader(("m", "m"), ("ذلك الشخص", "ذلك الشيء"), {"فإنه": "m"}, WOMEN | {"cow"}, by_agreement=True),
    # Farsi has no genders; Chinese writes men, women and animals apart; Swahili parts the living from things.
    "fa": Reader(("m", "n"), ("آن شخص", "آن چیز"), {"او": "mf", "آن": "mfn"}),
    "zh": Reader(("m", "n"), ("这个人", "这个东西"), {"他": "m", "它": "n"}, neuter=ANIMALS),
    "sw": Reader(("m", "n"), ("mtu huyo", "kitu hicho"), feminine=frozenset(), by_agreement=True),
    # Turkish has no genders either; in Hindi a verb without its subject does not go by gender alone.
    "tr": Reader(("m", "m"), ("o kişi", "o şey"), feminine=frozenset()),
    "hi": Reader(("m", "f"), ("व्यक्ति", "चीज़"), {"वह": "mf", "उसे": "mf"}, WOMEN | {"cat", "cow", "squirrel"}),
}
languages = pytest.mark.parametrize("language", [code for code in available() if code != "en"])


class Hearing:
    """What a reader of a rule has heard so far: clauses, each with its subject and object and their genders."""

    def __init__(self, reader: Reader, rule: Rule) -> None:
        self.reader = reader
        self.form = rule.form == "something"
        self.clauses: list[list[tuple[Entity | str, str]]] = []

    def subject(self, text: str, place: str) -> set[Entity | str]:
        """Everybody that a clause of the variable can be about."""
        words = f" {text} " if " " in text else text
        if self.clauses and any(taken in text for taken in self.reader.again):
            return {VARIABLE} if self.reader.again[self.form] in text else {"another"}
        for pronoun, genders in self.reader.pronouns.items():
            if f" {pronoun} " in words or words.startswith(pronoun):
                return self._pointed_at(genders)
        if not any(name == VARIABLE for clause in self.clauses for name, _ in clause):
            return {VARIABLE}
        if place == "conclusion" or self.reader.by_agreement:
            own = self.reader.variables[self.form] if self.reader.by_agreement else ANY
            return self._pointed_at(own)
        return {self.clauses[-1][0][0]}

    def _pointed_at(self, genders: str | frozenset[str]) -> set[Entity | str]:
        agreeing = [[name for name, gender in clause if gender in genders] for clause in self.clauses]
        clause = next((clause for clause in reversed(agreeing) if clause), ["nobody"])
        return {clause[0], clause[-1]}

    def add(self, literals: tuple[Literal, ...]) -> None:
        one = literals[0]
        who = VARIABLE if one.subject is None else one.subject
        gender = self.reader.variables[self.form] if one.subject is None else self.reader.gender(one.subject)
        named: list[tuple[Entity | str, str]] = [(who, gender)]
        if one.object is not None:
            named.append((one.object, self.reader.gender(one.object)))
        self.clauses.append(named[::-1] if one.predicate in self.reader.inverted else named)


def misread(language: str, rule: Rule) -> str:
    """The sentence of a rule if its reader takes the variable for somebody else, or cannot tell; else ""."""
    words = grammar(language)
    hearing = Hearing(READERS[language], rule)
    wrong: list[str] = []

    def clause(who: Mention, literals: tuple[Literal, ...], place: str) -> str:
        text = type(words).clause(words, who, literals, place)
        if literals[0].subject is None and hearing.subject(text, place) != {VARIABLE}:
            wrong.append(text)
        hearing.add(literals)
        return text

    words.clause = clause
    try:
        sentence = words.verbalise(rule)
    finally:
        del words.clause
    return sentence if wrong else ""


def test_every_language_has_its_reader():
    assert set(READERS) == set(available()) - {"en"}


@languages
def test_nobody_but_the_variable_can_be_meant(language, rules):
    assert [said for said in (misread(language, rule) for rule in rules) if said] == []


@languages
def test_nor_in_any_shape_that_ruletaker_has(language, ruletaker_shapes):
    assert len(ruletaker_shapes) > 1000
    assert [said for said in (misread(language, rule) for rule in ruletaker_shapes) if said] == []


@languages
@pytest.mark.parametrize("how", ["pronoun", "nothing"])
def test_the_reader_finds_what_pronouns_everywhere_would_mislead(language, how, rules, monkeypatch):
    """The wording of before: a pronoun, or nothing, wherever the variable comes again."""
    pronouns = [*READERS[language].pronouns, ""] if how == "pronoun" else [""]

    def refer(self: Grammar, variable: object, turn: object, last: Mention) -> Mention:
        thing = variable is self.something
        return Mention(pronouns[min(thing, len(pronouns) - 1)].removeprefix("فإن"), last.form)

    monkeypatch.setattr(type(grammar(language)), "refer", refer)
    few = rules[::5]
    found = {said for said in (misread(language, rule) for rule in few) if said}
    assert len(found) > len(few) / 10

"""Swahili: noun classes. People and animals agree as class 1, things as class 7, in the plural as classes 2 and 8."""

from __future__ import annotations

from xlprobe.samples.rulebase.grammars.base import Grammar, Place, Subject, listed, runs
from xlprobe.samples.rulebase.logic import Entity, Literal

__all__ = ["GRAMMAR"]

ANIMALS = {
    "bald eagle": "tai kipara",
    "bear": "dubu",
    "cat": "paka",
    "cow": "ng'ombe",
    "dog": "mbwa",
    "lion": "simba",
    "mouse": "panya",
    "rabbit": "sungura",
    "squirrel": "kindi",
    "tiger": "chui milia",
}
PERSON, PEOPLE, THING, THINGS = range(4)


def _adjective(stem: str) -> tuple[str, ...]:
    """Return an adjective in the four classes; before e the prefixes are mw-, w-, ch-, vy-."""
    prefixes = ("mw", "w", "ch", "vy") if stem.startswith("e") else ("m", "wa", "ki", "vi")
    return tuple(prefix + stem for prefix in prefixes)


def _of(noun: str) -> tuple[str, ...]:
    """Return the quality that a noun gives: "of green", which agrees in its first letters."""
    return tuple(f"{link} {noun}" for link in ("wa", "wa", "cha", "vya"))


# one form for each class
ATTRIBUTES = {
    "big": _adjective("kubwa"),
    "blue": _of("rangi ya buluu"),
    "cold": _of("baridi"),
    "furry": ("mwenye manyoya", "wenye manyoya", "chenye manyoya", "vyenye manyoya"),
    "green": _of("rangi ya kijani"),
    "kind": _adjective("ema"),
    "nice": _adjective("zuri"),
    "quiet": _adjective("tulivu"),
    "red": _adjective("ekundu"),
    "rough": _of("kukwaruza"),
    "round": _of("mviringo"),
    "smart": _adjective("erevu"),
    "white": _adjective("eupe"),
    "young": ("kijana", "vijana", "kichanga", "vichanga"),
}
# The verb with the prefix of its object (always a person or an animal): what holds, what does not.
RELATIONS = {
    "chase": ("mfukuza", "mfukuzi"),
    "eat": ("mla", "mli"),
    "like": ("mpenda", "mpendi"),
    "need": ("mhitaji", "mhitaji"),
    "see": ("mwona", "mwoni"),
    "visit": ("mtembelea", "mtembelei"),
}
# The prefix of the subject, with the tense or the negation.
SUBJECTS = {PERSON: ("ana", "ha"), THING: ("kina", "haki")}
VARIABLE = {
    "someone": ("mtu fulani", PERSON),
    "they": ("mtu huyo", PERSON),
    "something": ("kitu fulani", THING),
    "it": ("kitu hicho", THING),
}


class Swahili(Grammar):
    code = "sw"
    conditional = "ikiwa {}, basi {}"
    also = " na "

    def name(self, entity: Entity) -> str:
        """Return a person's name, or the kind of animal; there are no articles."""
        return entity.name if entity.kind == "person" else ANIMALS[entity.name]

    def clause(self, subject: Subject, literals: tuple[Literal, ...], place: Place) -> str:
        who, noun_class = (self.name(subject.entity), PERSON) if subject.entity else VARIABLE[subject.word]
        return f"{who} {self.predicate(literals, noun_class)}"

    def predicate(self, literals: tuple[Literal, ...], noun_class: int) -> str:
        """Return what is said of a subject of this class: "ni mkubwa na si mwekundu", "hampendi Anne"."""
        first = literals[0]
        if first.object is not None:
            prefix = SUBJECTS[noun_class][not first.positive]
            return f"{prefix}{RELATIONS[first.predicate][not first.positive]} {self.name(first.object)}"
        parts = []
        for run in runs(literals):
            verb = "ni" if run[0].positive else "si"
            parts.append(f"{verb} {listed([ATTRIBUTES[one.predicate][noun_class] for one in run], ' na ')}")
        return " na ".join(parts)

    def quantified(self, attributes: tuple[str, ...], conclusion: Literal, people: bool, every: bool) -> str:
        if every and not conclusion.positive:
            noun_class, noun, who = (PERSON, "mtu", "ambaye") if people else (THING, "kitu", "ambacho")
            given = listed([ATTRIBUTES[attribute][noun_class] for attribute in attributes], " na ")
            return f"hakuna {noun} {given} {who} {self.predicate((conclusion.negated(),), noun_class)}"
        noun_class = PEOPLE if people else THINGS
        noun, all_ = ("watu", "wote") if people else ("vitu", "vyote")
        given = listed([ATTRIBUTES[attribute][noun_class] for attribute in attributes], " na ")
        return f"{noun} {f'{all_} ' if every else ''}{given} {self.predicate((conclusion,), noun_class)}"


GRAMMAR = Swahili()

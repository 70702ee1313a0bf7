"""Swahili: noun classes. People and animals agree as class 1, things as class 7, in the plural as classes 2 and 8."""

from __future__ import annotations

from xlprobe.samples.rulebase.grammars.base import Grammar, Mention, Place, Turn, Variable, listed, runs
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
    "rough": _adjective("kali"),
    "round": _of("mviringo"),
    "smart": _adjective("erevu"),
    "white": _adjective("eupe"),
    "young": ("mwenye umri mdogo", "wenye umri mdogo", "chenye umri mdogo", "vyenye umri mdogo"),
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
# "who is", before attributes
RELATIVES = ("aliye", "walio", "kilicho", "vilivyo")


class Swahili(Grammar):
    code = "sw"
    conditional = "ikiwa {}, basi {}"
    # "Na" alone would first join the nouns: "needs the bear and the bear".
    also = ", na pia "
    along = " na "
    someone = Variable(Mention("mtu", PERSON), Mention("mtu huyo", PERSON))
    something = Variable(Mention("kitu", THING), Mention("kitu hicho", THING))

    def name(self, entity: Entity) -> str:
        """Return a person's name, or the kind of animal; there are no articles."""
        return entity.name if entity.kind == "person" else ANIMALS[entity.name]

    def named(self, entity: Entity) -> Mention:
        return Mention(self.name(entity), PERSON)

    def drops(self, turn: Turn) -> bool:
        # After an object, which is of the same class, the verb could be about that.
        return turn.alone

    def clause(self, who: Mention, literals: tuple[Literal, ...], place: Place) -> str:
        return f"{who.text} {self.predicate(literals, who.form)}".lstrip()

    def predicate(self, literals: tuple[Literal, ...], noun_class: int) -> str:
        """Return what is said of a subject of this class: "ni mkubwa na si mwekundu", "hampendi Anne"."""
        first = literals[0]
        if first.object is not None:
            prefix = SUBJECTS[noun_class][not first.positive]
            return f"{prefix}{RELATIONS[first.predicate][not first.positive]} {self.name(first.object)}"
        phrases = []
        for run in runs(literals):
            verb = "ni" if run[0].positive else "si"
            phrases.append(f"{verb} {listed([ATTRIBUTES[one.predicate][noun_class] for one in run], ' na ')}")
        return " na ".join(phrases)

    def quantified(self, attributes: tuple[str, ...], conclusion: Literal, people: bool, every: bool) -> str:
        if every and not conclusion.positive:
            noun_class, noun, who = (PERSON, "mtu", "ambaye") if people else (THING, "kitu", "ambacho")
            given = self.given(attributes, noun_class)
            return f"hakuna {noun} {given} {who} {self.predicate((conclusion.negated(),), noun_class)}"
        noun_class = PEOPLE if people else THINGS
        noun, all_ = ("watu", "wote") if people else ("vitu", "vyote")
        given = self.given(attributes, noun_class)
        return f"{noun} {f'{all_} ' if every else ''}{given} {self.predicate((conclusion,), noun_class)}"

    def given(self, attributes: tuple[str, ...], noun_class: int) -> str:
        """Return what narrows a noun down; two attributes make a clause, since "na" alone could add other people."""
        relative = f"{RELATIVES[noun_class]} " if len(attributes) > 1 else ""
        return relative + listed([ATTRIBUTES[attribute][noun_class] for attribute in attributes], " na ")


GRAMMAR = Swahili()

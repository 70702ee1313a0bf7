"""Spanish: gender and number agreement, personal "a" and its contraction, subjects left out where the verb tells."""

from __future__ import annotations

import re

from xlprobe.samples.rulebase.grammars.base import Grammar, Mention, Place, Turn, Variable, listed, runs
from xlprobe.samples.rulebase.logic import Entity, Literal
from xlprobe.samples.rulebase.vocabulary import WOMEN

__all__ = ["GRAMMAR"]

# noun with its article, gender ("el águila" is feminine)
ANIMALS = {
    "bald eagle": ("el águila calva", "f"),
    "bear": ("el oso", "m"),
    "cat": ("el gato", "m"),
    "cow": ("la vaca", "f"),
    "dog": ("el perro", "m"),
    "lion": ("el león", "m"),
    "mouse": ("el ratón", "m"),
    "rabbit": ("el conejo", "m"),
    "squirrel": ("la ardilla", "f"),
    "tiger": ("el tigre", "m"),
}
# masculine, feminine, feminine plural (people and things are feminine in the plural)
ATTRIBUTES = {
    "big": ("grande", "grande", "grandes"),
    "blue": ("azul", "azul", "azules"),
    "cold": ("frío", "fría", "frías"),
    "furry": ("peludo", "peluda", "peludas"),
    "green": ("verde", "verde", "verdes"),
    "kind": ("amable", "amable", "amables"),
    "nice": ("agradable", "agradable", "agradables"),
    "quiet": ("tranquilo", "tranquila", "tranquilas"),
    "red": ("rojo", "roja", "rojas"),
    "rough": ("áspero", "áspera", "ásperas"),
    "round": ("redondo", "redonda", "redondas"),
    "smart": ("inteligente", "inteligente", "inteligentes"),
    "white": ("blanco", "blanca", "blancas"),
    "young": ("joven", "joven", "jóvenes"),
}
RELATIONS = {
    "chase": "persigue",
    "eat": "se come",
    "need": "necesita",
    "see": "ve",
    "visit": "visita",
}
MASCULINE, FEMININE, FEMININE_PLURAL = range(3)


class Spanish(Grammar):
    code = "es"
    conditional = "si {}, entonces {}"
    also = " y "
    someone = Variable(Mention("alguien"), Mention("esa persona", FEMININE), Mention(""))
    something = Variable(Mention("algo"), Mention("esa cosa", FEMININE), Mention(""))

    def named(self, entity: Entity) -> Mention:
        feminine = entity.name in WOMEN if entity.kind == "person" else ANIMALS[entity.name][1] == "f"
        return Mention(self.name(entity), FEMININE if feminine else MASCULINE)

    def drops(self, turn: Turn) -> bool:
        # "Se come a la vaca" is also "one eats the cow"; "le" can be the animal just named; what is liked is a subject.
        verb = turn.literals[0].predicate
        unclear = verb == "eat" or (verb == "like" and not turn.alone) or turn.before[0].predicate == "like"
        return turn.continues and not unclear

    def clause(self, who: Mention, literals: tuple[Literal, ...], place: Place) -> str:
        if literals[0].predicate == "like":
            assert literals[0].object is not None
            no = "" if literals[0].positive else "no "
            whom = f"a {who.text} " if who.text else ""
            return f"{whom}{no}le gusta {self.name(literals[0].object)}"
        return f"{who.text} {self.predicate(literals, who.form)}".lstrip()

    def name(self, entity: Entity) -> str:
        """Return a name, or an animal with its article."""
        return entity.name if entity.kind == "person" else ANIMALS[entity.name][0]

    def predicate(self, literals: tuple[Literal, ...], form: int) -> str:
        """Return the verb phrase; a relation is always that of one."""
        first = literals[0]
        if first.object is not None:
            no = "" if first.positive else "no "
            return f"{no}{RELATIONS[first.predicate]} a {self.name(first.object)}"
        be = "son" if form == FEMININE_PLURAL else "es"
        phrases = []
        for run in runs(literals):
            verb = be if run[0].positive else f"no {be}"
            phrases.append(f"{verb} {listed([ATTRIBUTES[one.predicate][form] for one in run], ' y ')}")
        return " y ".join(phrases)

    def quantified(self, attributes: tuple[str, ...], conclusion: Literal, people: bool, every: bool) -> str:
        if every and not conclusion.positive:
            given = listed([ATTRIBUTES[attribute][FEMININE] for attribute in attributes], " y ")
            return (
                f"ninguna {'persona' if people else 'cosa'} {given} {self.predicate((conclusion.negated(),), FEMININE)}"
            )
        given = listed([ATTRIBUTES[attribute][FEMININE_PLURAL] for attribute in attributes], " y ")
        noun = "personas" if people else "cosas"
        return f"{'todas ' if every else ''}las {noun} {given} {self.predicate((conclusion,), FEMININE_PLURAL)}"

    def polish(self, sentence: str) -> str:
        return re.sub(r"\by (?=i)", "e ", re.sub(r"\b([Aa]) el ", r"\1l ", sentence))


GRAMMAR = Spanish()

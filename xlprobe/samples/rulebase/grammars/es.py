"""Spanish: gender and number agreement, personal "a" and its contraction, subjects left out where the verb tells."""

from __future__ import annotations

import re

from xlprobe.samples.rulebase.grammars.base import Grammar, Place, Subject, listed, runs
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
# singular, plural
RELATIONS = {
    "chase": ("persigue", "persiguen"),
    "eat": ("se come", "se comen"),
    "like": ("aprecia", "aprecian"),
    "need": ("necesita", "necesitan"),
    "see": ("ve", "ven"),
    "visit": ("visita", "visitan"),
}
VARIABLE = {"someone": "alguien ", "something": "algo ", "they": "", "it": ""}


class Spanish(Grammar):
    code = "es"
    conditional = "si {}, entonces {}"
    also = " y "

    def clause(self, subject: Subject, literals: tuple[Literal, ...], place: Place) -> str:
        entity = subject.entity
        form = 0
        if entity is not None:
            form = int(entity.name in WOMEN if entity.kind == "person" else ANIMALS[entity.name][1] == "f")
        who = f"{self.name(entity)} " if entity else VARIABLE[subject.word]
        return who + self.predicate(literals, form)

    def name(self, entity: Entity) -> str:
        """Return a name, or an animal with its article."""
        return entity.name if entity.kind == "person" else ANIMALS[entity.name][0]

    def predicate(self, literals: tuple[Literal, ...], form: int) -> str:
        """Return the verb phrase; form is 0 masculine, 1 feminine, 2 feminine plural."""
        first = literals[0]
        if first.object is not None:
            verb = RELATIONS[first.predicate][form == 2]
            return f"{'' if first.positive else 'no '}{verb} a {self.name(first.object)}"
        be = "son" if form == 2 else "es"
        parts = []
        for run in runs(literals):
            verb = be if run[0].positive else f"no {be}"
            parts.append(f"{verb} {listed([ATTRIBUTES[one.predicate][form] for one in run], ' y ')}")
        return " y ".join(parts)

    def quantified(self, attributes: tuple[str, ...], conclusion: Literal, people: bool, every: bool) -> str:
        if every and not conclusion.positive:
            given = listed([ATTRIBUTES[attribute][1] for attribute in attributes], " y ")
            return f"ninguna {'persona' if people else 'cosa'} {given} {self.predicate((conclusion.negated(),), 1)}"
        given = listed([ATTRIBUTES[attribute][2] for attribute in attributes], " y ")
        noun = "personas" if people else "cosas"
        return f"{'todas ' if every else ''}las {noun} {given} {self.predicate((conclusion,), 2)}"

    def polish(self, sentence: str) -> str:
        return re.sub(r"\by (?=i)", "e ", sentence.replace(" a el ", " al "))


GRAMMAR = Spanish()

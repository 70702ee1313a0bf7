"""French: gender and number agreement, elision, contraction of articles."""

from __future__ import annotations

import re

from xlprobe.samples.rulebase.grammars.base import Grammar, Place, Subject, listed, runs
from xlprobe.samples.rulebase.logic import Entity, Literal
from xlprobe.samples.rulebase.vocabulary import WOMEN

__all__ = ["GRAMMAR"]

ANIMALS = {
    "bald eagle": ("aigle chauve", "m"),
    "bear": ("ours", "m"),
    "cat": ("chat", "m"),
    "cow": ("vache", "f"),
    "dog": ("chien", "m"),
    "lion": ("lion", "m"),
    "mouse": ("souris", "f"),
    "rabbit": ("lapin", "m"),
    "squirrel": ("écureuil", "m"),
    "tiger": ("tigre", "m"),
}
# masculine, feminine, feminine plural (people and things are feminine in the plural)
ATTRIBUTES = {
    "big": ("grand", "grande", "grandes"),
    "blue": ("bleu", "bleue", "bleues"),
    "cold": ("froid", "froide", "froides"),
    "furry": ("poilu", "poilue", "poilues"),
    "green": ("vert", "verte", "vertes"),
    "kind": ("gentil", "gentille", "gentilles"),
    "nice": ("sympathique", "sympathique", "sympathiques"),
    "quiet": ("calme", "calme", "calmes"),
    "red": ("rouge", "rouge", "rouges"),
    "rough": ("rugueux", "rugueuse", "rugueuses"),
    "round": ("rond", "ronde", "rondes"),
    "smart": ("intelligent", "intelligente", "intelligentes"),
    "white": ("blanc", "blanche", "blanches"),
    "young": ("jeune", "jeune", "jeunes"),
}
# verb (singular, plural), what follows it, preposition
RELATIONS = {
    "chase": ("poursuit", "poursuivent", "", ""),
    "eat": ("mange", "mangent", "", ""),
    "like": ("aime", "aiment", "", ""),
    "need": ("a", "ont", " besoin", "de "),
    "see": ("voit", "voient", "", ""),
    "visit": ("rend", "rendent", " visite", "à "),
}
VARIABLE = {"someone": "quelqu'un", "something": "quelque chose", "they": "il", "it": "cela"}


class French(Grammar):
    code = "fr"
    conditional = "si {}, alors {}"
    also = " et si "

    def name(self, entity: Entity) -> str:
        """Return a name, or an animal with its article (before elision)."""
        if entity.kind == "person":
            return entity.name
        noun, gender = ANIMALS[entity.name]
        return f"{'le' if gender == 'm' else 'la'} {noun}"

    def clause(self, subject: Subject, literals: tuple[Literal, ...], place: Place) -> str:
        entity = subject.entity
        form = 0
        if entity is not None:
            form = int(entity.name in WOMEN if entity.kind == "person" else ANIMALS[entity.name][1] == "f")
        who = self.name(entity) if entity else VARIABLE[subject.word]
        return f"{who} {self.predicate(literals, form)}"

    def predicate(self, literals: tuple[Literal, ...], form: int, no: str = " pas") -> str:
        """Return the verb phrase; form is 0 masculine, 1 feminine, 2 feminine plural; `no` goes with "ne"."""
        if literals[0].object is None:
            return self.attributes(literals, form, no)
        literal = literals[0]
        singular, plural, rest, preposition = RELATIONS[literal.predicate]
        verb = plural if form == 2 else singular
        if not literal.positive:
            verb = f"ne {verb}{no}"
        return f"{verb}{rest} {preposition}{self.name(literals[0].object)}"

    def attributes(self, literals: tuple[Literal, ...], form: int, no: str) -> str:
        """Return "est grand et rouge et n'est pas bleu": what holds shares a verb, what does not has its own."""
        be = "sont" if form == 2 else "est"
        parts = []
        for run in runs(literals):
            verb = be if run[0].positive else f"ne {be}{no}"
            parts.append(f"{verb} {listed([ATTRIBUTES[one.predicate][form] for one in run], ' et ')}")
        return " et ".join(parts)

    def quantified(self, attributes: tuple[str, ...], conclusion: Literal, people: bool, every: bool) -> str:
        if every and not conclusion.positive:
            given = listed([ATTRIBUTES[attribute][1] for attribute in attributes], " et ")
            return f"aucune {'personne' if people else 'chose'} {given} {self.predicate((conclusion,), 1, '')}"
        noun = "personnes" if people else "choses"
        given = listed([ATTRIBUTES[attribute][2] for attribute in attributes], " et ")
        return f"{'toutes ' if every else ''}les {noun} {given} {self.predicate((conclusion,), 2)}"

    def polish(self, sentence: str) -> str:
        sentence = re.sub(r"\b(l|L)[ea] (?=[aéo])", r"\1'", sentence)
        sentence = re.sub(r"\bne (?=[aeo])", "n'", sentence)
        sentence = re.sub(r"\bde (?=[AE])", "d'", sentence)
        sentence = re.sub(r"\b(s|S)i il\b", r"\1'il", sentence)
        return sentence.replace(" de le ", " du ").replace(" à le ", " au ")


GRAMMAR = French()

"""French: gender and number agreement, elision, contraction of articles."""

from __future__ import annotations

import re

from xlprobe.samples.rulebase.grammars.base import Grammar, Mention, Place, Variable, listed, runs
from xlprobe.samples.rulebase.logic import Entity, Literal
from xlprobe.samples.rulebase.vocabulary import WOMEN

__all__ = ["GRAMMAR"]

ANIMALS = {
    "bald eagle": ("pygargue à tête blanche", "m"),
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
# verb, what follows it, preposition
RELATIONS = {
    "chase": ("poursuit", "", ""),
    "eat": ("mange", "", ""),
    "like": ("aime", "", ""),
    "need": ("a", " besoin", "de "),
    "see": ("voit", "", ""),
    "visit": ("rend", " visite", "à "),
}
MASCULINE, FEMININE, FEMININE_PLURAL = range(3)


class French(Grammar):
    code = "fr"
    conditional = "si {}, alors {}"
    also = " et si "
    along = " et "
    someone = Variable(Mention("quelqu'un"), Mention("cette personne", FEMININE), Mention("il"))
    something = Variable(Mention("une chose", FEMININE), Mention("cette chose", FEMININE), Mention("elle", FEMININE))

    def name(self, entity: Entity) -> str:
        """Return a name, or an animal with its article (before elision)."""
        if entity.kind == "person":
            return entity.name
        noun, gender = ANIMALS[entity.name]
        return f"{'le' if gender == 'm' else 'la'} {noun}"

    def named(self, entity: Entity) -> Mention:
        feminine = entity.name in WOMEN if entity.kind == "person" else ANIMALS[entity.name][1] == "f"
        return Mention(self.name(entity), FEMININE if feminine else MASCULINE)

    def clause(self, who: Mention, literals: tuple[Literal, ...], place: Place) -> str:
        return f"{who.text} {self.predicate(literals, who.form)}".lstrip()

    def predicate(self, literals: tuple[Literal, ...], form: int, no: str = " pas") -> str:
        """Return the verb phrase, which agrees with `form`; `no` goes with "ne"."""
        if literals[0].object is None:
            return self.attributes(literals, form, no)
        literal = literals[0]
        verb, rest, preposition = RELATIONS[literal.predicate]
        if not literal.positive:
            verb = f"ne {verb}{no}"
        return f"{verb}{rest} {preposition}{self.name(literals[0].object)}"

    def attributes(self, literals: tuple[Literal, ...], form: int, no: str) -> str:
        """Return "est grand et rouge et n'est pas bleu": what holds shares a verb, what does not has its own."""
        be = "sont" if form == FEMININE_PLURAL else "est"
        phrases = []
        for run in runs(literals):
            verb = be if run[0].positive else f"ne {be}{no}"
            phrases.append(f"{verb} {listed([ATTRIBUTES[one.predicate][form] for one in run], ' et ')}")
        return " et ".join(phrases)

    def quantified(self, attributes: tuple[str, ...], conclusion: Literal, people: bool, every: bool) -> str:
        if every and not conclusion.positive:
            given = listed([ATTRIBUTES[attribute][FEMININE] for attribute in attributes], " et ")
            return f"aucune {'personne' if people else 'chose'} {given} {self.predicate((conclusion,), FEMININE, '')}"
        noun = "personnes" if people else "choses"
        given = listed([ATTRIBUTES[attribute][FEMININE_PLURAL] for attribute in attributes], " et ")
        return f"{'toutes ' if every else ''}les {noun} {given} {self.predicate((conclusion,), FEMININE_PLURAL)}"

    def polish(self, sentence: str) -> str:
        sentence = re.sub(r"\b(l|L)[ea] (?=[aéo])", r"\1'", sentence)
        sentence = re.sub(r"\bne (?=[aeo])", "n'", sentence)
        sentence = re.sub(r"\bde (?=[AE])", "d'", sentence)
        return sentence.replace(" de le ", " du ").replace(" à le ", " au ")


GRAMMAR = French()

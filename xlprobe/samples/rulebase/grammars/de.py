"""German: case, word order (verb last after "wenn", verb before the subject after "dann"), adjective endings."""

from __future__ import annotations

from xlprobe.samples.rulebase.grammars.base import Grammar, Place, Subject, listed
from xlprobe.samples.rulebase.logic import Entity, Literal

__all__ = ["GRAMMAR"]

# nominative, accusative
ANIMALS = {
    "bald eagle": ("der Weißkopfseeadler", "den Weißkopfseeadler"),
    "bear": ("der Bär", "den Bären"),
    "cat": ("die Katze", "die Katze"),
    "cow": ("die Kuh", "die Kuh"),
    "dog": ("der Hund", "den Hund"),
    "lion": ("der Löwe", "den Löwen"),
    "mouse": ("die Maus", "die Maus"),
    "rabbit": ("das Kaninchen", "das Kaninchen"),
    "squirrel": ("das Eichhörnchen", "das Eichhörnchen"),
    "tiger": ("der Tiger", "den Tiger"),
}
ATTRIBUTES = {
    "big": "groß",
    "blue": "blau",
    "cold": "kalt",
    "furry": "pelzig",
    "green": "grün",
    "kind": "freundlich",
    "nice": "nett",
    "quiet": "ruhig",
    "red": "rot",
    "rough": "rau",
    "round": "rund",
    "smart": "klug",
    "white": "weiß",
    "young": "jung",
}
# singular, plural
RELATIONS = {
    "chase": ("jagt", "jagen"),
    "eat": ("frisst", "fressen"),
    "like": ("mag", "mögen"),
    "need": ("braucht", "brauchen"),
    "see": ("sieht", "sehen"),
    "visit": ("besucht", "besuchen"),
}
PERSON_EATS = ("isst", "essen")
VARIABLE = {"someone": "jemand", "something": "etwas", "they": "er", "it": "es"}


class German(Grammar):
    code = "de"
    conditional = "wenn {}, dann {}"
    also = " und "

    def clause(self, subject: Subject, literals: tuple[Literal, ...], place: Place) -> str:
        entity = subject.entity
        who = self.name(entity, 0) if entity else VARIABLE[subject.word]
        person = entity.kind == "person" if entity else subject.word in ("someone", "they")
        verb, rest = self.predicate(literals, False, person)
        parts = {
            "main": (who, verb, rest),
            "condition": (who, rest, verb),
            "conclusion": (verb, who, rest),
        }
        return " ".join(parts[place])

    def name(self, entity: Entity, case: int) -> str:
        """Return a name, or an animal with its article; case is 0 nominative, 1 accusative."""
        return entity.name if entity.kind == "person" else ANIMALS[entity.name][case]

    def predicate(self, literals: tuple[Literal, ...], plural: bool, person: bool) -> tuple[str, str]:
        """Return the verb and what belongs to it: ("ist", "groß und nicht rot"), ("mag", "den Hund nicht")."""
        first = literals[0]
        if first.object is None:
            words = [("" if one.positive else "nicht ") + ATTRIBUTES[one.predicate] for one in literals]
            return ("sind" if plural else "ist"), listed(words, " und ")
        verbs = PERSON_EATS if person and first.predicate == "eat" else RELATIONS[first.predicate]
        return verbs[plural], self.name(first.object, 1) + ("" if first.positive else " nicht")

    def quantified(self, attributes: tuple[str, ...], conclusion: Literal, people: bool, every: bool) -> str:
        if every and not conclusion.positive:
            given = ", ".join(ATTRIBUTES[attribute] + ("er" if people else "es") for attribute in attributes)
            verb, rest = self.predicate((conclusion.negated(),), False, people)
            return f"kein {given} {'Mensch' if people else 'Ding'} {verb} {rest}"
        ending = "en" if every else "e"
        given = ", ".join(ATTRIBUTES[attribute] + ending for attribute in attributes)
        verb, rest = self.predicate((conclusion,), True, people)
        return f"{'alle ' if every else ''}{given} {'Menschen' if people else 'Dinge'} {verb} {rest}"


GRAMMAR = German()

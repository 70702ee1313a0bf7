"""German: case, word order (verb last after "wenn", verb before the subject after "dann"), adjective endings."""

from __future__ import annotations

from xlprobe.samples.rulebase.grammars.base import Grammar, Mention, Place, Turn, Variable, listed
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
    "eat": ("verspeist", "verspeisen"),
    "like": ("mag", "mögen"),
    "need": ("braucht", "brauchen"),
    "see": ("sieht", "sehen"),
    "visit": ("besucht", "besuchen"),
}


class German(Grammar):
    code = "de"
    conditional = "wenn {}, dann {}"
    also = " und "
    someone = Variable(Mention("jemand"), Mention("diese Person"), Mention("er"))
    # No "es": "dann ist es kalt" speaks of the weather.
    something = Variable(Mention("etwas"), Mention("dieses Ding"))

    def named(self, entity: Entity) -> Mention:
        return Mention(self.name(entity, 0))

    def drops(self, turn: Turn) -> bool:
        # "... und die Katze jagt" is also "and the cat hunts", where the accusative is not seen.
        verb, other = turn.literals[0].predicate, turn.literals[0].object
        unclear = verb in ("chase", "see") and other is not None and self.name(other, 0) == self.name(other, 1)
        return turn.continues and not unclear

    def clause(self, who: Mention, literals: tuple[Literal, ...], place: Place) -> str:
        verb, rest = self.predicate(literals, False)
        orders = {
            "main": (who.text, verb, rest),
            "condition": (who.text, rest, verb),
            "conclusion": (verb, who.text, rest),
        }
        return " ".join(word for word in orders[place] if word)

    def name(self, entity: Entity, case: int) -> str:
        """Return a name, or an animal with its article; case is 0 nominative, 1 accusative."""
        return entity.name if entity.kind == "person" else ANIMALS[entity.name][case]

    def predicate(self, literals: tuple[Literal, ...], plural: bool) -> tuple[str, str]:
        """Return the verb and what belongs to it: ("ist", "groß und nicht rot"), ("mag", "den Hund nicht")."""
        first = literals[0]
        if first.object is None:
            words = [("" if one.positive else "nicht ") + ATTRIBUTES[one.predicate] for one in literals]
            return ("sind" if plural else "ist"), listed(words, " und ")
        return RELATIONS[first.predicate][plural], self.name(first.object, 1) + ("" if first.positive else " nicht")

    def quantified(self, attributes: tuple[str, ...], conclusion: Literal, people: bool, every: bool) -> str:
        if every and not conclusion.positive:
            given = ", ".join(ATTRIBUTES[attribute] + ("er" if people else "es") for attribute in attributes)
            verb, rest = self.predicate((conclusion.negated(),), False)
            return f"kein {given} {'Mensch' if people else 'Ding'} {verb} {rest}"
        ending = "en" if every else "e"
        given = ", ".join(ATTRIBUTES[attribute] + ending for attribute in attributes)
        verb, rest = self.predicate((conclusion,), True)
        return f"{'alle ' if every else ''}{given} {'Menschen' if people else 'Dinge'} {verb} {rest}"


GRAMMAR = German()

"""English, in RuleTaker's own words."""

from __future__ import annotations

from xlprobe.samples.rulebase.grammars.base import Grammar, Mention, Place, Turn, Variable
from xlprobe.samples.rulebase.logic import Entity, Literal

__all__ = ["GRAMMAR"]

SINGULAR, PLURAL = 0, 1
THEY, IT = Mention("they", PLURAL), Mention("it", SINGULAR)


class English(Grammar):
    code = "en"
    conditional = "if {} then {}"
    also = " and "
    someone = Variable(Mention("someone"), THEY, THEY)
    something = Variable(Mention("something"), IT, IT)

    def name(self, entity: Entity) -> str:
        """Return a person's name, or the kind of animal with its article."""
        return entity.name if entity.kind == "person" else f"the {entity.name}"

    def named(self, entity: Entity) -> Mention:
        return Mention(self.name(entity))

    def drops(self, turn: Turn) -> bool:
        return False

    def clause(self, who: Mention, literals: tuple[Literal, ...], place: Place) -> str:
        return f"{who.text} {self.predicate(literals, who.form == PLURAL)}"

    def predicate(self, literals: tuple[Literal, ...], plural: bool) -> str:
        """Return the verb phrase: "is big and not red", "do not need Anne"."""
        first = literals[0]
        if first.object is None:
            listed = " and ".join(("" if one.positive else "not ") + one.predicate for one in literals)
            return f"{'are' if plural else 'is'} {listed}"
        verb = first.predicate
        if not first.positive:
            verb = f"{'do' if plural else 'does'} not {verb}"
        elif not plural:
            verb += "s"
        return f"{verb} {self.name(first.object)}"

    def quantified(self, attributes: tuple[str, ...], conclusion: Literal, people: bool, every: bool) -> str:
        noun = "people" if people else "things"
        return f"{'all ' if every else ''}{', '.join(attributes)} {noun} {self.predicate((conclusion,), True)}"


GRAMMAR = English()

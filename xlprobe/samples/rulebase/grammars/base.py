"""What the grammars of all languages share: the order of clauses in a statement, and its outer form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal as OneOf

from xlprobe.samples.rulebase.logic import QUANTIFIED, Entity, Literal, Rule, Statement

__all__ = ["Grammar", "Mention", "Place", "Turn", "Variable", "groups", "listed", "runs"]

Said = Sequence[tuple[Literal, ...]]
Place = OneOf["main", "condition", "conclusion"]
"""Where a clause stands: alone, after "if", or after "then"; languages differ in word order and mood."""


@dataclass(frozen=True)
class Mention:
    """Words for somebody or something in a sentence: a noun, a pronoun, or "" where the subject is left out.

    `form` is what the rest of the clause agrees with (gender, number or class), in the grammar's own numbering.
    """

    text: str
    form: int = 0


@dataclass(frozen=True)
class Variable:
    """How a language speaks of a rule's variable.

    `first`: where it is introduced ("someone"). `again`: what can mean nothing else ("that person"). `pronoun`: what
    stands where nothing else was named; None where a pronoun would mislead even there.
    """

    first: Mention
    again: Mention
    pronoun: Mention | None = None


@dataclass(frozen=True)
class Turn:
    """A clause about a variable that was named before: its literals, its place, and the literals of the clause before.

    `alone`: all clauses before gave attributes of the variable, so that nothing else was named.
    """

    literals: tuple[Literal, ...]
    place: Place
    before: tuple[Literal, ...]
    alone: bool

    @property
    def continues(self) -> bool:
        """Whether the clause before has the variable as its subject, too."""
        return self.before[0].subject is None


def groups(conditions: tuple[Literal, ...]) -> list[tuple[Literal, ...]]:
    """Join attributes of the variable that stand beside each other into one clause: "someone is big and not red".

    What holds after what does not begins a new clause, since "someone is not red and big" could be misread.
    """
    clauses: list[tuple[Literal, ...]] = []
    for literal in conditions:
        if clauses and _continues(clauses[-1][-1], literal):
            clauses[-1] += (literal,)
        else:
            clauses.append((literal,))
    return clauses


def _continues(last: Literal, literal: Literal) -> bool:
    variable = last.subject is None and literal.subject is None
    return variable and last.is_attribute and literal.is_attribute and (last.positive or not literal.positive)


def runs(literals: tuple[Literal, ...]) -> list[tuple[Literal, ...]]:
    """Part attributes of one subject into what one verb can say: all that holds together, what does not each alone."""
    phrases: list[tuple[Literal, ...]] = []
    for literal in literals:
        if phrases and literal.positive and phrases[-1][-1].positive:
            phrases[-1] += (literal,)
        else:
            phrases.append((literal,))
    return phrases


def listed(words: Sequence[str], last: str, others: str = ", ") -> str:
    """Return "a", "a and b", "a, b and c"; `last` is " and "."""
    *rest, final = words
    return others.join(rest) + (last if rest else "") + final


class Grammar:
    """The wording of statements in one language; see the package's docstring for what a language provides."""

    code: str = ""
    conditional: str = ""
    also: str = ""
    along: str | None = None
    stop: str = "."
    someone: Variable
    something: Variable

    def named(self, entity: Entity) -> Mention:
        """Return an entity as the subject of a clause."""
        raise NotImplementedError

    def clause(self, who: Mention, literals: tuple[Literal, ...], place: Place) -> str:
        """Return a clause about a subject: one literal, or (in conditions) several attributes."""
        raise NotImplementedError

    def quantified(self, attributes: tuple[str, ...], conclusion: Literal, people: bool, every: bool) -> str:
        """Return the sentence, without stop, that people or things with these attributes have another."""
        raise NotImplementedError

    def verbalise(self, statement: Statement) -> str:
        """Return the statement as one sentence."""
        if isinstance(statement, Literal):
            assert statement.subject is not None
            text = self.clause(self.named(statement.subject), (statement,), "main")
        elif statement.form in QUANTIFIED:
            people, every = statement.form.endswith("people"), statement.form.startswith("all")
            attributes = tuple(condition.predicate for condition in statement.conditions)
            text = self.quantified(attributes, statement.conclusion, people, every)
        else:
            text = self._conditional(statement)
        return self.polish(self.capital(text) + self.stop)

    def capital(self, text: str) -> str:
        """Return the text with the first letter that a sentence has; Turkish makes İ of i."""
        return text[0].upper() + text[1:]

    def polish(self, sentence: str) -> str:
        """Return the finished sentence; a language may join words here."""
        return sentence

    def refer(self, variable: Variable, turn: Turn, last: Mention) -> Mention:
        """Return how a clause takes up the variable; `last` is how the clause about it before did.

        The conclusion says the pronoun only where nothing else was named and it does not act ("it eats the cat" is in
        many languages also "the cat eats it"). A further condition leaves the subject out if `drops` allows it.
        """
        if turn.place == "conclusion":
            plain = turn.alone and turn.literals[0].is_attribute
            return variable.pronoun if plain and variable.pronoun else variable.again
        return Mention("", last.form) if self.drops(turn) else variable.again

    def drops(self, turn: Turn) -> bool:
        """Whether a further condition about the variable is understood without its subject."""
        return turn.continues

    def _conditional(self, rule: Rule) -> str:
        said = [*groups(rule.conditions), (rule.conclusion,)]
        clauses: list[str] = []
        shared: list[bool] = []
        last: Mention | None = None
        for number, literals in enumerate(said):
            place: Place = "condition" if number < len(said) - 1 else "conclusion"
            who, drops = self._subject(rule, said[:number], literals, place, last)
            if literals[0].subject is None:
                last = who
            clauses.append(self.clause(who, literals, place))
            shared.append(drops)
        return self.conditional.format(self.join(clauses[:-1], shared[1:-1]), clauses[-1])

    def _subject(
        self, rule: Rule, before: Said, literals: tuple[Literal, ...], place: Place, last: Mention | None
    ) -> tuple[Mention, bool]:
        """Return the subject of a clause, and whether it is a condition that shares the one of the clause before."""
        if literals[0].subject is not None:
            return self.named(literals[0].subject), False
        variable = self.someone if rule.form == "someone" else self.something
        if last is None:
            return variable.first, False
        alone = all(one.subject is None and one.is_attribute for group in before for one in group)
        turn = Turn(literals, place, before[-1], alone)
        return self.refer(variable, turn, last), place == "condition" and self.drops(turn)

    def join(self, clauses: list[str], shared: list[bool]) -> str:
        """Return the conditions of a rule as one text; `shared`: which, from the second on, share a subject."""
        text = clauses[0]
        for clause, one in zip(clauses[1:], shared, strict=True):
            text += (self.along if one and self.along is not None else self.also) + clause
        return text

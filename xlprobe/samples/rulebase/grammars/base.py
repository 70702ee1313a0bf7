"""What the grammars of all languages share: the order of clauses in a statement, and its outer form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal as OneOf

from xlprobe.samples.rulebase.logic import QUANTIFIED, Entity, Literal, Rule, Statement

__all__ = ["Grammar", "Place", "Subject", "groups", "listed", "runs"]

Place = OneOf["main", "condition", "conclusion"]
"""Where a clause stands: alone, after "if", or after "then"; languages differ in word order and mood."""


@dataclass(frozen=True)
class Subject:
    """Who a clause is about: an entity, or the variable of a rule.

    `word` is "" for an entity; "someone" or "something" where the variable is first met; "they" or "it" afterwards.
    """

    word: str
    entity: Entity | None = None


def groups(conditions: tuple[Literal, ...]) -> list[tuple[Literal, ...]]:
    """Join attributes of the variable that stand beside each other into one clause: "someone is big and not red".

    What holds after what does not begins a new clause, since "someone is not red and big" could be misread.
    """
    found: list[tuple[Literal, ...]] = []
    for literal in conditions:
        if found and _continues(found[-1][-1], literal):
            found[-1] += (literal,)
        else:
            found.append((literal,))
    return found


def _continues(last: Literal, literal: Literal) -> bool:
    variable = last.subject is None and literal.subject is None
    return variable and last.is_attribute and literal.is_attribute and (last.positive or not literal.positive)


def runs(literals: tuple[Literal, ...]) -> list[tuple[Literal, ...]]:
    """Part attributes of one subject into what one verb can say: all that holds together, what does not each alone."""
    found: list[tuple[Literal, ...]] = []
    for literal in literals:
        if found and literal.positive and found[-1][-1].positive:
            found[-1] += (literal,)
        else:
            found.append((literal,))
    return found


def listed(words: Sequence[str], last: str, others: str = ", ") -> str:
    """Return "a", "a and b", "a, b and c"; `last` is " and "."""
    *rest, final = words
    return others.join(rest) + (last if rest else "") + final


class Grammar:
    """The wording of statements in one language; see the package's docstring for what a language provides."""

    code: str = ""
    conditional: str = ""
    also: str = ""
    stop: str = "."

    def clause(self, subject: Subject, literals: tuple[Literal, ...], place: Place) -> str:
        """Return a clause about the subject: one literal, or (in conditions) several attributes."""
        raise NotImplementedError

    def quantified(self, attributes: tuple[str, ...], conclusion: Literal, people: bool, every: bool) -> str:
        """Return the sentence, without stop, that people or things with these attributes have another."""
        raise NotImplementedError

    def verbalise(self, statement: Statement) -> str:
        """Return the statement as one sentence."""
        if isinstance(statement, Literal):
            text = self.clause(Subject("", statement.subject), (statement,), "main")
        elif statement.form in QUANTIFIED:
            people, every = statement.form.endswith("people"), statement.form.startswith("all")
            attributes = tuple(condition.predicate for condition in statement.conditions)
            text = self.quantified(attributes, statement.conclusion, people, every)
        else:
            text = self._conditional(statement)
        return self.polish(text[0].upper() + text[1:] + self.stop)

    def polish(self, sentence: str) -> str:
        """Return the finished sentence; a language may join words here."""
        return sentence

    def _conditional(self, rule: Rule) -> str:
        first, later = ("someone", "they") if rule.form == "someone" else ("something", "it")
        clauses = []
        for group in groups(rule.conditions):
            entity = group[0].subject
            clauses.append(self.clause(Subject("" if entity else first, entity), group, "condition"))
            if entity is None:
                first = later
        entity = rule.conclusion.subject
        conclusion = self.clause(Subject("" if entity else later, entity), (rule.conclusion,), "conclusion")
        return self.conditional.format(self.join(clauses), conclusion)

    def join(self, clauses: list[str]) -> str:
        """Return the conditions of a rule as one text."""
        return self.also.join(clauses)

"""Statements of every kind, for tests of all grammars."""

from __future__ import annotations

from itertools import combinations, islice, permutations, product
from random import Random

import pytest

from xlprobe.samples.rulebase import Literal, Rule
from xlprobe.samples.rulebase.logic import QUANTIFIED, Statement
from xlprobe.samples.rulebase.vocabulary import ATTRIBUTES, ENTITIES, RELATIONS


def every_fact() -> list[Literal]:
    """All facts that the vocabulary allows, 4,000 or so."""
    who = list(ENTITIES.values())
    atoms = [Literal(one, attribute) for one in who for attribute in ATTRIBUTES]
    atoms += [Literal(one, verb, other) for verb in RELATIONS for one, other in permutations(who, 2)]
    return [literal for atom in atoms for literal in (atom, atom.negated())]


def every_quantified_rule() -> list[Rule]:
    """All rules about people or things with one attribute or two."""
    found = []
    for given in [*combinations(ATTRIBUTES, 1), *permutations(ATTRIBUTES, 2)]:
        conditions = tuple(Literal(None, attribute) for attribute in given)
        for form, attribute, sign in product(QUANTIFIED, ATTRIBUTES, (True, False)):
            if attribute not in given:
                found.append(Rule(conditions, Literal(None, attribute, None, sign), form))
    return found


def random_rules(count: int, seed: int = 0) -> list[Rule]:
    """Different rules of one to four conditions, with named subjects and variables in any order."""
    random = Random(seed)
    who = list(ENTITIES.values())[5:11]

    def literal(open_: bool) -> Literal:
        subject = None if open_ else random.choice(who)
        other = None if random.random() < 0.6 else random.choice([one for one in who if one != subject])
        word = random.choice(ATTRIBUTES[:5] if other is None else RELATIONS[:3])
        return Literal(subject, word, other, random.random() < 0.6)

    def rules():
        while True:
            form = random.choice(("someone", "something", "ground"))
            conditions = tuple(literal(form != "ground" and random.random() < 0.7) for _ in range(random.randint(1, 4)))
            if form == "ground" or any(condition.subject is None for condition in conditions):
                yield Rule(conditions, literal(form != "ground" and random.random() < 0.6), form)

    return list(dict.fromkeys(islice(rules(), count)))


@pytest.fixture(scope="session")
def statements() -> list[Statement]:
    """Facts, quantified rules and conditional rules, all different."""
    quantified = every_quantified_rule()
    return [*every_fact(), *Random(0).sample(quantified, 4000), *random_rules(4000)]

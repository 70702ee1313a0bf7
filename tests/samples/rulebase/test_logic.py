from __future__ import annotations

import copy
import pickle

import pytest

from xlprobe.errors import DataError
from xlprobe.samples.rulebase import Entity, Literal, Rule, Theory, parse_statement, parse_theory

ANNE, BOB = Entity("Anne", "person"), Entity("Bob", "person")
KIND, BIG = Literal(None, "kind"), Literal(None, "big")


def test_a_literal_is_a_value():
    sees = Literal(ANNE, "see", BOB)
    assert sees == Literal(ANNE, "see", BOB)
    assert hash(sees) == hash(Literal(ANNE, "see", BOB))
    assert len({sees, sees.negated(), sees.negated().negated(), Literal(BOB, "see", ANNE)}) == 3
    assert not sees.is_attribute
    assert Literal(ANNE, "big").is_attribute


def test_equal_literals_are_one_object():
    literal = Literal(ANNE, "big")
    assert Literal(Entity("Anne", "person"), predicate="big", positive=True) is literal
    assert pickle.loads(pickle.dumps(literal)) is literal
    assert copy.deepcopy(literal) is literal
    assert literal.negated() is Literal(ANNE, "big", None, False)
    assert repr(literal) == f"Literal(subject={ANNE!r}, predicate='big', object=None, positive=True)"


def test_binding_fills_the_variable_only():
    assert KIND.negated().bound(ANNE) == Literal(ANNE, "kind", None, False)
    assert Literal(BOB, "kind").bound(ANNE) == Literal(BOB, "kind")
    assert Literal(None, "see", BOB).bound(BOB) == Literal(BOB, "see", BOB)


@pytest.mark.parametrize(
    ("conditions", "conclusion", "form", "message"),
    [
        ((), BIG, "someone", "with 0 conditions; expected at least one"),
        ((KIND,), BIG, "everyone", "form 'everyone'"),
        ((KIND,), BIG, "ground", "expected 'ground' exactly where no condition has a variable"),
        ((KIND.bound(ANNE),), BIG.bound(ANNE), "someone", "expected 'ground' exactly"),
        ((KIND.bound(ANNE),), BIG, "ground", "a variable in the conclusion only where a condition has it"),
        ((KIND.negated(),), BIG, "people", "can only say that what has attributes"),
        ((Literal(None, "see", BOB),), BIG, "all_things", "can only say"),
        ((KIND,), BIG.bound(ANNE), "all_people", "can only say"),
    ],
)
def test_a_form_that_cannot_word_the_rule_is_an_error(conditions, conclusion, form, message):
    with pytest.raises(DataError, match=message):
        Rule(conditions, conclusion, form)


def test_a_theory_knows_its_parts():
    theory = parse_theory("If someone sees Bob then they need the cat. Anne is kind. The dog chases Anne.")
    assert [entity.name for entity in theory.entities] == ["Bob", "cat", "Anne", "dog"]
    assert theory.facts == (parse_statement("Anne is kind."), parse_statement("The dog chases Anne."))
    assert len(theory.rules) == 1


def test_the_fingerprint_ignores_order_and_wording():
    told = parse_theory("Anne is kind. Bob is big. If someone is kind and big then they are red.")
    again = parse_theory("All big, kind people are red. Bob is big. Anne is kind.")
    assert told.fingerprint() == again.fingerprint() == Theory(told.statements[::-1]).fingerprint()
    for other in (
        "Anne is kind. Bob is big. If someone is kind and big then they are not red.",
        "Bob is kind. Anne is big. If someone is kind and big then they are red.",
        "Anne is kind. Bob is big.",
        "Anne is kind. Bob is big. If Anne is kind and Anne is big then Anne is red.",
    ):
        assert parse_theory(other).fingerprint() != told.fingerprint()


def test_who_does_what_to_whom_tells_theories_apart():
    assert parse_theory("Anne sees Bob.").fingerprint() != parse_theory("Bob sees Anne.").fingerprint()

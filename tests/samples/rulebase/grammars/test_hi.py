"""Hindi: gender in adjectives and verbs, the oblique case, and the dative of who needs something."""

from __future__ import annotations

import pytest

from xlprobe.samples.rulebase import parse_statement, verbalise


def said(english: str) -> str:
    return verbalise(parse_statement(english), "hi")


@pytest.mark.parametrize(
    ("who", "adjective", "verb"),
    [("Bob", "नीला", "देखता"), ("Anne", "नीली", "देखती"), ("The dog", "नीला", "देखता"), ("The cow", "नीली", "देखती")],
)
def test_adjectives_and_verbs_agree_in_gender(who, adjective, verb):
    assert said(f"{who} is blue.").split()[-2] == adjective
    assert said(f"{who} sees Gary.").split()[-2] == verb
    assert said(f"{who} does not see Gary.").split()[-3:-1] == ["नहीं", verb]


def test_the_variable_agrees_as_its_noun_does():
    assert said("If someone is cold then they are blue.") == "यदि एक व्यक्ति ठंडा है, तो वह नीला है।"
    assert said("If something is cold then it is blue.") == "यदि एक चीज़ ठंडी है, तो वह नीली है।"
    assert said("Cold people are blue.") == "ठंडे लोग नीले हैं।"
    assert said("Cold things are not blue.") == "ठंडी चीज़ें नीली नहीं हैं।"


@pytest.mark.parametrize("verb", ["chases", "eats", "likes", "needs", "sees", "visits"])
def test_objects_are_oblique(verb):
    for animal, oblique in {"dog": "कुत्ते", "mouse": "चूहे", "bald eagle": "गंजे उकाब", "cat": "बिल्ली"}.items():
        assert f" {oblique} " in said(f"Bob {verb} the {animal}.")


def test_who_needs_something_is_in_the_dative_and_always_named():
    assert said("The dog needs Anne.") == "कुत्ते को ऐनी की ज़रूरत है।"
    rule = "If someone is cold and they need the dog then they need the cat."
    assert said(rule) == ("यदि एक व्यक्ति ठंडा है और उस व्यक्ति को कुत्ते की ज़रूरत है, तो उस व्यक्ति को बिल्ली की ज़रूरत है।")

from __future__ import annotations

import pytest

from xlprobe.errors import DataError
from xlprobe.samples.rulebase import Literal, Rule, parse_statement, parse_theory, verbalise
from xlprobe.samples.rulebase.vocabulary import ENTITIES


def test_what_english_says_is_read_back_the_same(statements):
    assert [one for one in statements if parse_statement(verbalise(one, "en")) != one] == []


def test_a_sentence_becomes_its_logic():
    assert parse_statement("The bald eagle does not chase Anne.") == Literal(
        ENTITIES["bald eagle"], "chase", ENTITIES["Anne"], False
    )
    assert parse_statement("If someone is kind and not red and they see the cow then they are big.") == Rule(
        (
            Literal(None, "kind"),
            Literal(None, "red", None, False),
            Literal(None, "see", ENTITIES["cow"]),
        ),
        Literal(None, "big"),
        "someone",
    )
    assert parse_statement("All round, cold things are not nice.") == Rule(
        (Literal(None, "round"), Literal(None, "cold")), Literal(None, "nice", None, False), "all_things"
    )


def test_a_theory_is_a_text_or_its_sentences():
    text = "Anne is kind. The cat sees Bob."
    assert parse_theory(text) == parse_theory(["Anne is kind.", "The cat sees Bob."])
    assert len(parse_theory(text + "\n Bob is big.").statements) == 3


@pytest.mark.parametrize(
    "sentence",
    [
        "",
        "Anne is kind",
        "Anne is tall.",
        "Zoe is kind.",
        "Anne kind.",
        "anne is kind.",
        "Anne are kind.",
        "Anne see Bob.",
        "Anne does not sees Bob.",
        "Someone is kind.",
        "They are kind.",
        "If someone is kind then it is big.",
        "If they are kind then they are big.",
        "If someone is kind then someone is big.",
        "If Anne is kind then they are big.",
        "If someone is kind they are big.",
        "If someone is kind then they are big then they are red.",
        "Kind people is big.",
        "Kind people see Anne.",
        "All kind people are very big.",
        "Is Anne kind?",
    ],
)
def test_other_sentences_are_errors_that_quote_them(sentence):
    with pytest.raises(
        DataError, match="cannot read .*expected a fact or rule in RuleTaker's English|expected at least"
    ):
        parse_statement(sentence)


@pytest.mark.parametrize(
    ("sentence", "words"),
    [
        ("Arthur is a bird.", "Arthur, a, bird"),
        ("If the circuit has the switch and the dog is big then the circuit is on.", "circuit, has, switch, on"),
    ],
)
def test_words_that_the_grammars_lack_are_named(sentence, words):
    with pytest.raises(DataError, match=f"has words that the grammars lack: {words}; expected"):
        parse_statement(sentence)


def test_known_words_in_a_wrong_order_are_not_said_to_lack():
    with pytest.raises(DataError) as error:
        parse_statement("The dog is not.")
    assert "lack" not in str(error.value)


def test_the_error_names_the_first_sentence_that_is_not_read():
    with pytest.raises(DataError, match="cannot read 'Bob is a nurse.'"):
        parse_theory("Anne is kind. Bob is a nurse. Nobody is big.")

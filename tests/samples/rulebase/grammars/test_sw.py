"""Swahili, the language of docs/how-to/add_a_language.md: noun classes, and that its file alone makes it known."""

from __future__ import annotations

import pytest

from xlprobe.languages import LANGUAGES
from xlprobe.samples import generate
from xlprobe.samples.rulebase import parse_statement, verbalise
from xlprobe.samples.rulebase.grammars import available
from xlprobe.samples.rulebase.vocabulary import ATTRIBUTES


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_adjectives_agree_with_the_class_of_the_noun(attribute):
    english = {
        "person": f"Anne is {attribute}.",
        "people": f"Kind people are {attribute}.",
        "thing": f"If something is kind then it is {attribute}.",
        "things": f"Kind things are {attribute}.",
    }
    said = {form: verbalise(parse_statement(text), "sw").rpartition(" ni ")[2] for form, text in english.items()}
    first = {"person": "mw", "people": "w", "thing": "kc", "things": "v"}
    assert all(said[form][0] in first[form] for form in said), said


def test_it_is_found_but_not_among_the_default_eight():
    assert "sw" in available()
    assert "sw" not in LANGUAGES
    (sample,) = generate(theories=1, questions=1, languages=("en", "sw"))
    assert sample.languages == ("en", "sw")

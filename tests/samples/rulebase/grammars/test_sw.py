"""Swahili, the language of docs/adding_a_language.md: reviewed sentences, and noun classes."""

from __future__ import annotations

import pytest

from xlprobe.languages import LANGUAGES
from xlprobe.samples import generate
from xlprobe.samples.rulebase import parse_statement, verbalise
from xlprobe.samples.rulebase.grammars import available
from xlprobe.samples.rulebase.vocabulary import ATTRIBUTES

REVIEWED = {
    "Anne is kind.": "Anne ni mwema.",
    "Bob is not young.": "Bob si mchanga.",
    "The cow is not white.": "Ng'ombe si mweupe.",
    "The bald eagle needs the dog.": "Tai kipara anamhitaji mbwa.",
    "Anne does not like Erin.": "Anne hampendi Erin.",
    "The mouse does not eat the bald eagle.": "Panya hamli tai kipara.",
    "Gary sees the lion.": "Gary anamwona simba.",
    "The tiger does not chase the rabbit.": "Chui milia hamfukuzi sungura.",
    "If someone is kind and smart and not red then they are big.": (
        "Ikiwa mtu fulani ni mwema na mwerevu na si mwekundu, basi mtu huyo ni mkubwa."
    ),
    "If something chases the lion and it is furry then the lion does not need the cow.": (
        "Ikiwa kitu fulani kinamfukuza simba na kitu hicho ni chenye manyoya, basi simba hamhitaji ng'ombe."
    ),
    "If something does not visit the bear then it is red.": (
        "Ikiwa kitu fulani hakimtembelei dubu, basi kitu hicho ni chekundu."
    ),
    "If Anne is quiet and the cow is not quiet then Fiona is not nice.": (
        "Ikiwa Anne ni mtulivu na ng'ombe si mtulivu, basi Fiona si mzuri."
    ),
    "Kind, smart people are big.": "Watu wema na werevu ni wakubwa.",
    "All kind, young people are not smart.": "Watu wote wema na wachanga si werevu.",
    "Cold, round things are not nice.": "Vitu vya baridi na vya mviringo si vizuri.",
    "All white things are furry.": "Vitu vyote vyeupe ni vyenye manyoya.",
}


@pytest.mark.parametrize(("english", "swahili"), REVIEWED.items())
def test_reviewed_sentences(english, swahili):
    assert verbalise(parse_statement(english), "sw") == swahili


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

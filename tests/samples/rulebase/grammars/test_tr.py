"""Turkish: vowel harmony, the accusative, and its own capital letter."""

from __future__ import annotations

import pytest

from xlprobe.samples.rulebase import parse_statement, verbalise
from xlprobe.samples.rulebase.vocabulary import ATTRIBUTES, ENTITIES, RELATIONS

BACK, FRONT, ROUND = "aıou", "eiöü", "oöuü"


def said(english: str) -> str:
    return verbalise(parse_statement(english), "tr")


def last_vowel(word: str) -> str:
    return next(letter for letter in reversed(word) if letter in BACK + FRONT)


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_suffixes_take_the_vowel_and_the_consonant_of_their_word(attribute):
    word = said(f"Bob is {attribute}.").removeprefix("Bob ").rstrip(".")
    condition, conclusion = said(f"If Bob is {attribute} then Bob is {attribute}.").rstrip(".").split(", ")
    before = last_vowel(word)
    suffix = conclusion.removeprefix(f"Bob {word}")
    assert suffix[0] == ("t" if word[-1] in "çfhkpsşt" else "d")
    assert suffix[1] == {(1, 1): "u", (1, 0): "ı", (0, 1): "ü", (0, 0): "i"}[before in BACK, before in ROUND]
    assert suffix[2:] == "r"
    glide = "y" if word[-1] in BACK + FRONT else ""
    assert condition == f"Eğer Bob {word}{glide}{'sa' if before in BACK else 'se'}"


@pytest.mark.parametrize("verb", RELATIONS)
@pytest.mark.parametrize("animal", [name for name, entity in ENTITIES.items() if entity.kind == "animal"])
def test_a_definite_object_has_its_case(verb, animal):
    noun = said(f"The {animal} is red.").removesuffix(" kırmızı.").lower().replace("i̇", "i")
    object_ = (
        said(f"Bob {verb}s the {animal}.").removeprefix("Bob ").rsplit(" ", 2 if verb in ("need", "visit") else 1)[0]
    )
    vowel = last_vowel(noun)
    expected = "a" if vowel in BACK else "e"
    if verb != "need":
        expected = {"a": "ı", "e": "i"}[expected] if vowel not in ROUND else {"a": "u", "e": "ü"}[expected]
    assert object_[-1] == expected
    assert object_[: len(noun) - 1] == noun[:-1]
    assert len(object_) == len(noun) + (2 if noun[-1] in BACK + FRONT else 1)


@pytest.mark.parametrize(
    ("english", "first"),
    [
        ("Kind people are red.", "İyi"),
        ("The cow is red.", "İnek"),
        ("The bear is red.", "Ayı"),
        ("Big things are red.", "İri"),
    ],
)
def test_a_sentence_begins_with_its_own_capital(english, first):
    assert said(english).split()[0] == first


def test_what_is_told_of_one_and_what_is_true_of_all():
    assert said("Anne is kind.") == "Anna iyi kalpli."
    assert said("If someone is not kind then they are not big.") == "Eğer biri iyi kalpli değilse, o kişi iri değildir."
    assert said("All kind people are not big.") == "Hiçbir iyi kalpli insan iri değildir."

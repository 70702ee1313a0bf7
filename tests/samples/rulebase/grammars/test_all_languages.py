"""What holds for the grammar of every language."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict

import pytest
import regex

from xlprobe.errors import DataError
from xlprobe.languages import KNOWN_LANGUAGES, LANGUAGES, get_language
from xlprobe.samples.rulebase import Literal, Rule, parse_statement, verbalise
from xlprobe.samples.rulebase.grammars import available, grammar
from xlprobe.samples.rulebase.logic import QUANTIFIED
from xlprobe.samples.rulebase.vocabulary import ATTRIBUTES, ENTITIES, RELATIONS

languages = pytest.mark.parametrize("language", available())


def fact(text: str, language: str) -> str:
    return verbalise(parse_statement(text), language)


def test_the_eight_are_there_and_three_more():
    assert set(available()) >= {*LANGUAGES, "sw", "tr", "hi"}
    assert set(available()) <= set(KNOWN_LANGUAGES)
    with pytest.raises(DataError, match=f"no grammar for 'tlh'; there is one for {' '.join(available())}"):
        grammar("tlh")


@languages
def test_distinct_logic_gives_distinct_sentences(language, statements):
    said = defaultdict(set)
    for statement in statements:
        # Not through the cache, which would keep them all.
        said[grammar(language).verbalise(statement)].add(statement)
    assert [texts for texts in said.items() if len(texts[1]) > 1] == []


@languages
def test_sentences_are_well_formed_text(language, statements):
    known, stop = get_language(language), grammar(language).stop
    script = "Hani" if known.script == "Hans" else known.script
    letters = rf"\p{{sc={script}}}\p{{M}}\u200C"
    # Where sentences are not parted by blanks, words are not either.
    form = regex.compile(rf"[{letters}][{letters}\p{{P}}{known.separator}]*[{letters}]{re.escape(stop)}")
    # Words are apart by one blank, a comma stands at its word, a stop at the end only.
    loose = re.compile(rf"  | [,،.]|[,،](?! )|{re.escape(stop)}(?!$)")
    texts = [grammar(language).verbalise(one) for one in statements]
    assert [text for text in texts if not form.fullmatch(text) or loose.search(text) or text[0].islower()] == []
    assert [text for text in texts if not unicodedata.is_normalized("NFC", text)] == []


@languages
def test_forms_of_a_rule_are_worded_apart(language):
    conditions, conclusion = (Literal(None, "kind"),), Literal(None, "big")
    forms = ("someone", "something", *QUANTIFIED)
    assert len({verbalise(Rule(conditions, conclusion, form), language) for form in forms}) == len(forms)


def endings(language: str, sentences: list[str]) -> list[str]:
    return [fact(sentence, language).rstrip(".").split(" ")[-1] for sentence in sentences]


@pytest.mark.parametrize(
    ("language", "man", "woman", "masculine", "feminine"),
    [
        ("fr", "blanc", "blanche", "The dog", "The cow"),
        ("es", "blanco", "blanca", "The dog", "The bald eagle"),
        ("ru", "белый", "белая", "The lion", "The dog"),
        ("ar", "أبيض", "بيضاء", "The cat", "The cow"),
    ],
)
def test_attributes_agree_in_gender(language, man, woman, masculine, feminine):
    asked = [f"{who} is white." for who in ("Bob", "Anne", masculine, feminine)]
    assert endings(language, asked) == [man, woman, man, woman]


@pytest.mark.parametrize("animal", [e.name for e in ENTITIES.values() if e.kind == "animal"])
def test_german_objects_are_in_the_accusative(animal):
    subject = fact(f"The {animal} is big.", "de").removesuffix(" ist groß.")
    object_ = fact(f"Anne sees the {animal}.", "de").removeprefix("Anne sieht ").rstrip(".")
    article = {"Der": "den", "Die": "die", "Das": "das"}[subject.split()[0]]
    noun = subject.split()[1]
    assert object_ in (f"{article} {noun}", f"{article} {noun}n", f"{article} {noun}en")
    weak = {"Löwe", "Bär"}
    assert (object_.split()[1] != noun) == (noun in weak)


def test_german_verbs_stand_where_the_clause_wants_them():
    said = fact("If someone sees the dog and they are not big then they do not like Anne.", "de")
    assert said == "Wenn jemand den Hund sieht und nicht groß ist, dann mag diese Person Anne nicht."


@pytest.mark.parametrize("verb", RELATIONS)
def test_french_contracts_and_elides(verb):
    said = " ".join(
        fact(f"The dog {sign.format(verb)} {whom}.", "fr")
        for sign in ("{}s", "does not {}")
        for whom in ("Anne", "the bald eagle", "the bear", "the squirrel", "the lion", "the cow")
    )
    assert not re.search(r"\b([dD]e|[lL]e|[lL]a|ne) [aeéoAE]|\bde le\b|\bà le\b", said)


def test_spanish_contracts_and_writes_e_before_i():
    assert fact("Bob sees the dog.", "es") == "Bob ve al perro."
    assert fact("If someone is kind and smart then they are big.", "es").startswith("Si alguien es amable e int")


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_chinese_qualities_are_negated_without_hen(attribute):
    holds, fails = fact(f"Bob is {attribute}.", "zh"), fact(f"Bob is not {attribute}.", "zh")
    assert fails in (holds.replace("很", "不"), holds.replace("是", "不是"))


def test_farsi_conditions_are_in_the_subjunctive():
    said = fact("If someone needs the cat then they are big.", "fa")
    assert said.split("،")[0].endswith("نیاز داشته باشد")
    assert said.endswith("بزرگ است.")


def test_arabic_negates_verbs_and_nouns_each_in_its_way():
    assert " لا " in fact("The dog does not see the cat.", "ar")
    assert fact("The cow is not big.", "ar").split()[1] == "ليست"
    assert fact("If the dog is not big then Bob is red.", "ar").startswith("إذا لم يكن")


def test_russian_needs_the_prepositional_and_sees_the_accusative():
    assert fact("Bob needs Fiona.", "ru") == "Боб нуждается в Фионе."
    assert fact("Bob needs the lion.", "ru") == "Боб нуждается во льве."
    assert fact("Bob sees Fiona.", "ru") == "Боб видит Фиону."

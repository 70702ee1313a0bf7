"""Sentences that were read and corrected one by one: a file a language, line by line the same as en.tsv.

Each line has a sentence and, after a tab, what it must not be read as.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from xlprobe.samples.rulebase import Rule, parse_statement, verbalise
from xlprobe.samples.rulebase.grammars import available
from xlprobe.samples.rulebase.logic import QUANTIFIED
from xlprobe.samples.rulebase.vocabulary import ATTRIBUTES, ENTITIES, RELATIONS

FILES = Path(__file__).parent / "reviewed"


def reviewed(language: str) -> list[tuple[str, str]]:
    lines = (FILES / f"{language}.tsv").read_text(encoding="utf-8").splitlines()
    return [(sentence, note) for sentence, note in (line.split("\t") for line in lines)]


ENGLISH = [parse_statement(sentence) for sentence, _ in reviewed("en")]


@pytest.mark.parametrize("language", available())
def test_every_language_words_the_reviewed_sentences(language):
    assert [verbalise(one, language) for one in ENGLISH] == [sentence for sentence, _ in reviewed(language)]


@pytest.mark.parametrize("language", available())
def test_every_sentence_says_what_it_must_not_be_read_as(language):
    assert len(ENGLISH) >= 40
    assert [sentence for sentence, note in reviewed(language) if not note.strip()] == []


def test_the_reviewed_sentences_hold_the_whole_vocabulary():
    text = " ".join(sentence for sentence, _ in reviewed("en"))
    assert [word for word in (*ATTRIBUTES, *ENTITIES, *RELATIONS) if word not in text] == []


def relations(rules) -> set[tuple[tuple[int | None, int | None], ...]]:
    """Who does something to whom in rules with relations: None is the variable, the others are numbered."""
    found = set()
    for rule in rules:
        literals = (*rule.conditions, rule.conclusion)
        if rule.form not in QUANTIFIED and any(one.object for one in literals):
            who: dict[object, int] = {}
            found.add(
                tuple(
                    tuple(one and who.setdefault(one, len(who)) for one in (literal.subject, literal.object))
                    for literal in literals
                )
            )
    return found


def test_the_reviewed_sentences_have_every_shape_that_ruletaker_has(ruletaker_rules):
    reviewed_shapes = relations(one for one in ENGLISH if isinstance(one, Rule))
    assert len(reviewed_shapes) >= 130
    assert relations(ruletaker_rules) - reviewed_shapes == set()

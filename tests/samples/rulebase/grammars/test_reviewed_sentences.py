"""Sentences that were read and corrected one by one, a file a language, line by line the same as en.txt."""

from __future__ import annotations

from pathlib import Path

import pytest

from xlprobe.samples.rulebase import parse_statement, verbalise
from xlprobe.samples.rulebase.grammars import available

FILES = Path(__file__).parent / "reviewed"
ENGLISH = (FILES / "en.txt").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("language", available())
def test_every_language_words_the_reviewed_sentences(language):
    reviewed = (FILES / f"{language}.txt").read_text(encoding="utf-8").splitlines()
    assert len(ENGLISH) >= 10
    assert [verbalise(parse_statement(english), language) for english in ENGLISH] == reviewed


def test_the_reviewed_sentences_hold_the_whole_vocabulary():
    from xlprobe.samples.rulebase.vocabulary import ATTRIBUTES, ENTITIES, RELATIONS

    text = " ".join(ENGLISH)
    assert [word for word in (*ATTRIBUTES, *ENTITIES, *RELATIONS) if word not in text] == []

from __future__ import annotations

import pytest

from xlprobe.samples.readers import negated


@pytest.mark.parametrize(
    ("statement", "opposite"),
    [
        ("A bee is part of hive.", "A bee is not part of hive."),
        ("A bee is capable of swim.", "A bee is not capable of swim."),
        ("A reed has a vacuole.", "A reed does not have a vacuole."),
        ("Bees have legs.", "Bees do not have legs."),
        ("A drake desires fly.", "A drake does not desire fly."),
        ("Drakes desire food.", "Drakes do not desire food."),
        ("Bees can fly.", "Bees can not fly."),
        ("The old man is the opposite of  boy.", "The old man is not the opposite of  boy."),
        # Nouns that look like verbs.
        ("A can has a lid.", "A can does not have a lid."),
        ("A will is a document.", "A will is not a document."),
        ("A can can rust.", "A can can not rust."),
        ("A free will is a thing.", "A free will is not a thing."),
        ("An iris has a stem.", "An iris does not have a stem."),
        ("A has-been is sad.", "A has-been is not sad."),
    ],
)
def test_statements_are_negated_and_back(statement, opposite):
    assert negated(statement) == opposite
    assert negated(opposite) == statement


def test_only_the_first_verb_counts():
    assert negated("A bee is not what has legs.") == "A bee is what has legs."
    assert negated("A bee cannot sing.") == "A bee can sing."


@pytest.mark.parametrize("statement", ["Bees sing.", "is", "Has.", "", "The is."])
def test_what_has_no_known_verb_is_not_negated(statement):
    assert negated(statement) is None


def test_all_real_rules_are_negated_and_back(shared_data):
    from xlprobe.samples.readers import read_leap_of_thought

    path = shared_data / "leap_of_thought" / "hypernyms_training_mix_short_dev.jsonl.gz"
    sentences = {unit for sample in read_leap_of_thought(path) for unit in sample.context["en"]}
    assert len(sentences) > 2000
    for sentence in sentences:
        opposite = negated(sentence)
        assert opposite is not None
        assert (" not " in opposite) != (" not " in sentence)
        assert negated(opposite) == sentence

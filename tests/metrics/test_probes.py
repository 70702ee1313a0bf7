"""Known answers of the description length, and probes on planted representations."""

import math

import numpy as np
import pytest

from xlprobe.errors import DataError
from xlprobe.metrics import language_mdl_bits, language_probe, online_code_length


def planted(offset, items=60, width=16, languages=3, seed=0, identity=1.0):
    rng = np.random.default_rng(seed)
    meaning = identity * rng.normal(size=(items, width))
    return {
        f"l{number}": meaning + offset * rng.normal(size=width) + rng.normal(size=meaning.shape)
        for number in range(languages)
    }


def test_online_code_length_known_answer():
    assert online_code_length((0.8, 0.8, 0.9, 0.9, 0.9, 0.9), 2, 2) == pytest.approx(3.251869, abs=1e-6)
    assert online_code_length([0.5] * 6, 2, 2) == 8
    with pytest.raises(DataError, match="classes=1"):
        online_code_length([0.5], 0, 1)


def test_probe_finds_a_planted_language_and_nothing_else():
    found, nothing = language_probe(planted(3.0)), language_probe(planted(0.0))
    assert found.accuracy > 0.95
    assert found.chance == pytest.approx(1 / 3)
    assert abs(nothing.accuracy - 1 / 3) < 0.12


def test_selectivity_tells_language_from_memory():
    # Wide representations in which every item can be told from every other: the control task can be memorised.
    memorable = language_probe(planted(0.0, items=40, width=200, identity=3.0))
    plain = language_probe(planted(3.0, items=60, width=4, identity=0.1))
    assert memorable.control > 0.9
    assert memorable.selectivity < 0
    assert plain.accuracy > 0.9
    assert plain.selectivity > 0.4


def test_no_translation_of_a_test_item_is_seen_in_training():
    # Three groups of equal items whose "language" is a random mark of the group: held out, it cannot be known.
    rng = np.random.default_rng(0)
    marks = np.repeat(rng.normal(size=(12, 50)), 10, axis=0)
    flip = np.repeat(rng.choice([-1.0, 1.0], size=(12, 1)), 10, axis=0)
    data = {"a": marks * flip, "b": -marks * flip}
    groups = np.repeat(np.arange(12), 10).tolist()
    assert language_probe(data).accuracy > 0.95
    assert language_probe(data, groups).accuracy < 0.75


def test_description_length_falls_with_a_planted_language():
    short, uniform = language_mdl_bits(planted(3.0))
    long, _ = language_mdl_bits(planted(0.0))
    assert uniform == pytest.approx(180 * math.log2(3))
    assert short < 0.5 * uniform
    assert long > 0.9 * uniform


def test_same_seed_same_numbers_and_shift_changes_nothing():
    data = planted(0.5)
    moved = {name: part + 7.0 for name, part in data.items()}
    assert language_probe(data, seed=3) == language_probe(data, seed=3)
    assert language_probe(moved).accuracy == pytest.approx(language_probe(data).accuracy, abs=0.02)
    assert language_mdl_bits(moved)[0] == pytest.approx(language_mdl_bits(data)[0], rel=1e-2)


def test_too_few_groups_are_undefined():
    data = planted(1.0, items=4)
    assert math.isnan(language_probe(data).accuracy)
    assert math.isnan(language_probe(data).selectivity)
    assert math.isnan(language_mdl_bits(planted(1.0, items=3))[0])


def test_bad_input_is_named():
    with pytest.raises(DataError, match="at least two languages"):
        language_probe({"en": np.zeros((4, 2))})
    with pytest.raises(DataError, match="2 groups for 60 items"):
        language_probe(planted(0.0), ["a", "b"])

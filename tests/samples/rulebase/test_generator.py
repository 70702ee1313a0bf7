from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from itertools import product
from pathlib import Path

import pytest

from xlprobe.errors import DataError
from xlprobe.languages import LANGUAGES
from xlprobe.samples import RULETAKER, generate
from xlprobe.samples.rulebase import parse_statement, parse_theory, prove
from xlprobe.samples.rulebase.generator import SPLITS, split_of
from xlprobe.samples.rulebase.prover import solve
from xlprobe.samples.rulebase.vocabulary import ATTRIBUTES, ENTITIES, HELD_OUT, RELATIONS

WORDS = {*ATTRIBUTES, *RELATIONS, *ENTITIES}


def words_of(sample) -> set[str]:
    """Return the vocabulary that a problem uses."""
    text = " ".join([*sample.context["en"], sample.question["en"]])
    return {word for word in WORDS if word in text.replace("bald eagle", "")} | (
        {"bald eagle"} if "bald eagle" in text else set()
    )


@pytest.fixture(scope="module")
def problems():
    """Problems of every depth, in two languages."""
    return generate(120, questions=4, depth=range(6), languages=("en", "fr"), seed=5, rules=(1, 7), facts=(3, 7))


def test_labels_and_depths_are_balanced(problems):
    counts = Counter((sample.depth, sample.label) for sample in problems)
    assert counts == {(depth, label): 40 for depth in range(6) for label in (0, 1)}


def test_depths_follow_their_weights():
    samples = generate(60, questions=2, depth={0: 3, 2: 1}, languages=("en",), seed=1)
    assert Counter(sample.depth for sample in samples) == {0: 90, 2: 30}
    assert Counter(sample.depth for sample in generate(5, depth=1, languages=("en",))) == {1: 10}


def test_half_of_the_questions_are_negated_whatever_their_label(problems):
    negated = Counter((sample.label, " not " in sample.question["en"]) for sample in problems)
    assert all(100 <= count <= 140 for count in negated.values())
    assert len(negated) == 4


def test_labels_and_depths_are_the_provers(problems):
    for sample in problems:
        answer = prove(parse_theory(sample.context["en"]), parse_statement(sample.question["en"]))
        assert (answer.label, answer.depth) == (bool(sample.label), sample.depth)
        assert sample.meta["by_failure"] == answer.by_failure
        assert [step["statement"] for step in sample.meta["proof"]] == [step.statement for step in answer.proof]


def test_nothing_is_there_twice(problems):
    assert len({sample.key for sample in problems}) == len(problems)
    assert len({sample.group for sample in problems}) == 120
    for sample in problems:
        assert len(set(sample.context["en"])) == len(sample.context["en"])
    assert len({(frozenset(sample.context["en"]), sample.question["en"]) for sample in problems}) == len(problems)


def test_no_theory_contradicts_itself(problems):
    for sample in problems:
        follows = solve(parse_theory(sample.context["en"])).steps
        assert not any(literal.negated() in follows for literal in follows)


def test_languages_are_aligned_unit_by_unit():
    samples = generate(5, languages=(*LANGUAGES, "sw"), seed=2)
    for sample in samples:
        assert sample.languages == (*LANGUAGES, "sw")
        assert len({len(units) for units in sample.context.values()}) == 1
        assert len(set(sample.question.values())) == 9


def test_splits_share_no_theory_whatever_the_seed():
    groups = {
        split: {s.group for seed in (1, 2) for s in generate(40, languages=("en",), seed=seed, split=split)}
        for split in SPLITS
    }
    train, validation, test = groups.values()
    assert train.isdisjoint(validation | test)
    assert validation.isdisjoint(test)
    for split in SPLITS:
        (sample, *_) = generate(1, languages=("en",), seed=3, split=split)
        assert sample.meta["split"] == split == split_of(parse_theory(sample.context["en"]))


def test_without_a_split_theories_of_all_three_come():
    shares = Counter(sample.meta["split"] for sample in generate(200, questions=1, languages=("en",)))
    assert shares["train"] > shares["validation"] > 0
    assert shares["test"] > 0


def test_a_vocabulary_can_be_held_out():
    def used(split):
        samples = generate(40, languages=("en",), split=split, held_out_vocabulary=True)
        return set().union(*map(words_of, samples))

    assert used("test") == HELD_OUT
    assert used("train") == WORDS - HELD_OUT


@pytest.mark.parametrize(
    ("arguments", "absent"),
    [
        ({"kinds": ("attributes",)}, set(RELATIONS)),
        ({"who": ("animals",)}, {name for name, entity in ENTITIES.items() if entity.kind == "person"}),
        ({"negation": 0.0}, {" not "}),
        ({"rules": (0, 0), "depth": 0}, {"If ", " people ", " things "}),
    ],
)
def test_what_is_excluded_does_not_come(arguments, absent):
    samples = generate(30, languages=("en",), **arguments)
    text = " ".join(" ".join([*s.context["en"], s.question["en"]]) for s in samples)
    assert [word for word in absent if word in text] == []


@pytest.mark.parametrize("questions", [8, 16])
def test_a_theory_of_ruletakers_size_has_questions_of_every_kind(questions):
    sizes = {"entities": (2, 4), "facts": (4, 12), "rules": (3, 8)}
    samples = generate(12, questions=questions, depth=range(4), languages=("en",), seed=3, **sizes)
    assert Counter(Counter(sample.group for sample in samples).values()) == {questions: 12}
    for start in range(0, len(samples), questions):
        asked = samples[start : start + questions]
        cells = Counter((sample.depth, sample.label) for sample in asked)
        assert set(cells) == set(product(range(4), (0, 1)))
        assert max(cells.values()) <= questions // 8 + 1
        assert {" not " in sample.question["en"] for sample in asked} == {True, False}
        theory = parse_theory(asked[0].context["en"])
        assert 4 <= len(theory.facts) <= 12
        assert 3 <= len(theory.rules) <= 8


def test_the_preset_makes_problems_of_ruletakers_kind():
    samples = generate(60, languages=("en",), seed=1, **RULETAKER)
    theories = [parse_theory(sample.context["en"]) for sample in samples]
    assert {len(theory.statements) for theory in theories} >= set(range(6, 15))
    assert all(4 <= len(theory.statements) <= 16 for theory in theories)
    assert Counter((sample.depth, sample.label) for sample in samples) == dict.fromkeys(product(range(4), (0, 1)), 15)
    text = " ".join(" ".join(sample.context["en"]) for sample in samples)
    assert [word for word in WORDS if word not in text] == []


def test_conditions_speak_of_the_object_too():
    rules = [
        rule for sample in generate(200, languages=("en",), seed=4) for rule in parse_theory(sample.context["en"]).rules
    ]
    named = [rule for rule in rules if rule.form != "ground" and any(c.subject is not None for c in rule.conditions)]
    assert named
    for rule in named:
        places = [c.subject is not None for c in rule.conditions]
        assert places == sorted(places)
        assert {c.subject for c in rule.conditions if c.subject} <= {c.object for c in rule.conditions}


def test_sizes_are_kept():
    samples = generate(30, languages=("en",), entities=(2, 2), facts=(4, 4), rules=(2, 3), conditions=(2, 2), seed=8)
    for sample in samples:
        theory = parse_theory(sample.context["en"])
        assert len(theory.facts) == 4
        assert 2 <= len(theory.rules) <= 3
        assert all(len(rule.conditions) == 2 for rule in theory.rules)


def test_the_same_seed_gives_the_same_bytes_in_every_process():
    code = (
        "import hashlib, json; from xlprobe.samples import generate;"
        "found = generate(12, depth=(0, 1, 2, 3), languages=('en', 'fr', 'zh'), seed=7);"
        "text = json.dumps([[s.key, s.context, s.question, s.label, s.depth, s.meta] for s in found]);"
        "print(hashlib.sha256(text.encode()).hexdigest())"
    )
    root = Path(__file__).parents[3]
    hashes = [
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(root)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert hashes[0] == hashes[1]
    assert len(hashes[0]) == 65
    first, second = (generate(3, languages=("en",), seed=seed) for seed in (7, 8))
    assert first == generate(3, languages=("en",), seed=7)
    assert {s.key for s in first}.isdisjoint(s.key for s in second)


def test_progress_is_told():
    made = []
    generate(4, questions=3, languages=("en",), advance=made.append)
    assert made == [3, 3, 3, 3]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"theories": 0}, "theories=0, questions=2; expected at least one of each"),
        ({"theories": 10**30}, "expected at most 100 questions of a theory and 1,000,000 problems in all"),
        ({"theories": 1, "questions": 10**12}, "questions=1000000000000; expected at most 100"),
        ({"depth": 6}, "got depth=6; expected depths from 0 to 5"),
        ({"depth": (0, 7)}, "expected depths from 0 to 5"),
        ({"depth": ()}, "expected depths from 0 to 5"),
        ({"facts": (4, 3)}, r"got facts=\(4, 3\); expected a smallest and a largest"),
        ({"entities": (0, 2)}, r"got entities=\(0, 2\); expected .* from 1 to 8"),
        ({"entities": (2, 5), "split": "test", "held_out_vocabulary": True}, "from 1 to 4"),
        ({"rules": (999, 999)}, r"got rules=\(999, 999\); expected .* from 0 to 40"),
        ({"facts": (3, 41)}, "from 1 to 40"),
        ({"kinds": ("verbs",)}, "expected kinds among attributes, relations"),
        ({"who": ()}, "at least one each"),
        ({"split": "dev"}, "got split='dev'; expected one of train validation test"),
        ({"held_out_vocabulary": True}, "without a split"),
        ({"rules": (0, 0)}, "needs rules"),
        ({"negation": 1.5}, "expected a share from 0 to 1"),
        ({"languages": ("en", "xx")}, "no grammar for 'xx'"),
    ],
)
def test_wrong_arguments_are_errors(arguments, message):
    with pytest.raises(DataError, match=message):
        generate(**({"theories": 2} | arguments))


def test_too_few_different_theories_are_an_error(monkeypatch):
    monkeypatch.setattr("xlprobe.samples.rulebase.generator.TRIES", 30)
    with pytest.raises(DataError, match="found no further theory .* in 30 tries, after .* allow more entities"):
        generate(
            2000, questions=1, depth=0, languages=("en",), entities=(1, 1), facts=(1, 1), rules=(0, 0),
            kinds=("attributes",), who=("people",), negation=0.0,
        )  # fmt: skip

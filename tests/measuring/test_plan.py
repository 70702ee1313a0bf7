from __future__ import annotations

from dataclasses import replace

import pytest

from xlprobe.errors import DataError
from xlprobe.languages import expand_pairs, language_id
from xlprobe.measuring.plan import Version, _chosen, paired_batches, plan, plan_shards
from xlprobe.samples.encoding import Encoder

PAIRS = [("en", "fr"), ("fr", "en")]


def comparisons(plans):
    return [c for one in plans for c in one.comparisons]


def test_every_problem_has_reference_floor_and_chance(tiny):
    problems = tiny.problems(theories=5, questions=2)
    plans = plan(problems, PAIRS)
    found = comparisons(plans)
    assert len(plans) == len(problems)
    for number, problem in enumerate(problems):
        mine = [c for c in found if c.left.problem == number]
        (reference,) = (c for c in mine if c.left == Version(number, "en", "fr"))
        assert reference.right == Version(number, "en", "en")
        assert reference.by_token
        switched = [c for c in mine if c.left == Version(number, "fr", "en")]
        assert {(c.reference, c.by_token) for c in switched} == {("fr-fr", True), ("en-en", False)}
        for code in ("en", "fr"):
            (floor,) = (c for c in mine if c.condition == "floor" and c.left.context_language == code)
            (chance,) = (c for c in mine if c.condition == "chance" and c.left.context_language == code)
            other, stranger = problems[floor.right.problem], problems[chance.right.problem]
            assert other.group == problem.group
            assert other.key != problem.key
            assert stranger.group != problem.group


@pytest.mark.parametrize(("theories", "observations"), [(2, 1), (3, 1), (4, 2), (5, 2), (6, 3), (7, 3)])
def test_theories_count_two_by_two_for_chance_and_an_odd_one_with_the_last_two(tiny, theories, observations):
    problems = tiny.problems(theories, 2)
    chance = [c for c in comparisons(plan(problems, PAIRS)) if c.condition == "chance"]
    assert {problems[c.left.problem].key for c in chance} == {problem.key for problem in problems}
    assert len({c.group for c in chance}) == observations
    named = {}
    for c in chance:
        named.setdefault(problems[c.left.problem].group, set()).add(c.group)
    assert all(len(names) == 1 for names in named.values())
    for c in chance:
        # Both sides are of one observation, under the name of one of its theories.
        assert named[problems[c.right.problem].group] == named[c.group] == {c.group}


def test_a_single_question_has_no_floor_and_a_single_theory_no_chance(tiny):
    assert not [c for c in comparisons(plan(tiny.problems(3, 1), PAIRS)) if c.condition == "floor"]
    assert not [c for c in comparisons(plan(tiny.problems(1, 3), PAIRS)) if c.condition == "chance"]


def test_both_sides_of_every_comparison_are_in_one_batch_and_rows_are_owned_once(tiny):
    problems = tiny.problems(theories=5, questions=3)
    pairs = expand_pairs("*-*", ["en", "fr", "zh"])
    plans = plan(problems, pairs, forced=True)
    encoder = Encoder(tiny.tokenizers["xlm-roberta"]())
    for size in (1, 40, 1000):
        owned, compared = [], []
        for batch in paired_batches(problems, plans, encoder, size):
            assert len(batch.versions) == len(set(batch.versions)) == len(batch)
            owned += [batch.versions[row] for row in batch.owned.tolist()]
            these = batch.comparisons
            sides = these.left.tolist(), these.right.tolist(), these.condition, these.by_token.tolist()
            for left, right, condition, by_token in zip(*sides, strict=True):
                compared.append((batch.versions[left], batch.versions[right], condition, by_token))
                assert left in batch.owned
        assert len(owned) == len(set(owned))
        expected = [(c.left, c.right, c.condition, c.by_token) for c in comparisons(plans)]
        assert sorted(compared, key=repr) == sorted(expected, key=repr)


@pytest.mark.parametrize("forced", [False, True])
def test_a_batch_holds_what_is_compared_rather_than_run_it_twice(tiny, forced):
    problems = tiny.problems(theories=6, questions=2)
    pairs = [(one, other) for one in ("en", "fr", "zh") for other in ("en", "fr", "zh")]
    plans = plan(problems, pairs, forced=forced)
    (theory, neighbour), encoder = (plans[:2], plans[2:4]), Encoder(tiny.tokenizers["xlm-roberta"]())
    whole = len({version for one in (*theory, *neighbour) for version in one.versions})
    for size, most in ((whole, whole), (whole // 2, whole // 2 * 5 // 4)):
        batches = list(paired_batches(problems, plans, encoder, size))
        assert max(map(len, batches)) <= most
        run_for_others = sum(len(batch) - len(batch.owned) for batch in batches)
        assert (run_for_others == 0) == (size == whole), size


def test_long_texts_are_in_smaller_batches_however_the_work_is_cut(tiny):
    short, long = tiny.problems(theories=12, questions=2), tiny.problems(theories=2, questions=2)
    eightfold = [{code: units * 8 for code, units in one.context.items()} for one in long]
    long = [
        replace(one, key=f"long {one.key}", group=f"long {one.group}", context=context)
        for one, context in zip(long, eightfold, strict=True)
    ]
    pairs, encoder = [("en", "fr"), ("fr", "en")], Encoder(tiny.tokenizers["xlm-roberta"]())
    plans = plan([*short, *long], pairs)
    sizes = [(batch.input_ids.shape[1], len(batch)) for batch in paired_batches([*short, *long], plans, encoder, 20)]
    usual = sizes[-1][1]
    assert sizes[0][0] > 3 * sizes[-1][0]
    assert sizes[0][1] <= usual / 2
    pieces = [one for piece in plan_shards(plans, 20, 1) for one in paired_batches([*short, *long], piece, encoder, 20)]
    assert [(one.input_ids.shape[1], len(one)) for one in pieces] == sizes
    alike = list(paired_batches(short, plan(short, pairs), encoder, 20))
    assert {len(batch) for batch in alike} == {usual}


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([13, 22, 31, 36], 4),  # a little more than asked for, and a tenth less for each problem
        ([10, 18, 30, 40], 3),  # nothing is saved
        ([10, 12, 31], 2),  # these two are compared with each other, the third with somebody else
        ([50], 1),
    ],
)
def test_a_batch_ends_where_it_pays(sizes, expected):
    assert _chosen(sizes, 32) == expected


def test_forced_versions_say_that_the_question_is_in_another_language(tiny):
    problems = tiny.problems(2, 2)
    encoder = Encoder(tiny.tokenizers["bert"]())
    (batch,) = paired_batches(problems, plan(problems, PAIRS, forced=True), encoder, 1000)
    for row, version in enumerate(batch.versions):
        question = batch.language_ids[row][batch.segment_ids[row] == 1]
        expected = version.routed_as or version.question_language
        assert set(question.tolist()) == {language_id(expected)}
        text = version.question_language
        assert batch.samples[row].question_language == text


def test_one_forced_version_serves_all_questions_of_a_context(tiny):
    pairs = expand_pairs("*-*", ["en", "fr", "zh"])
    for one in plan(tiny.problems(2, 2), pairs, forced=True):
        assert sorted(v.context_language for v in one.versions if v.routed_as) == ["en", "fr", "zh"]
        assert sum(c.condition == "forced" for c in one.comparisons) == 6


def test_nothing_to_measure_is_an_error():
    with pytest.raises(DataError, match="no problems"):
        plan([], PAIRS)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("en-fr", [("en", "fr")]),
        ("en-*", [("en", "fr"), ("en", "zh")]),
        ("*-en, en-fr", [("fr", "en"), ("zh", "en"), ("en", "fr")]),
        ("en-en en-fr en-fr", [("en", "en"), ("en", "fr")]),
    ],
)
def test_pairs_expand(text, expected):
    assert expand_pairs(text, ["en", "fr", "zh"]) == expected
    assert len(expand_pairs("*-*", ["en", "fr", "zh"])) == 9


@pytest.mark.parametrize("text", ["en", "en-", "EN-fr", "en-xx", "en-de"])
def test_wrong_pairs_are_errors(text):
    with pytest.raises(DataError):
        expand_pairs(text, ["en", "fr", "zh"])

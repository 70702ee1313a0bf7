"""The order of examples is a function of the seed alone."""

from __future__ import annotations

import pytest

from xlprobe.errors import DataError
from xlprobe.training.stream import Mix, Stream, uniform


def test_each_epoch_is_a_permutation():
    stream = Stream(list(range(10)), batch_size=5, steps=4, seed=1)
    items = [value for _, value in (stream[place] for place in range(len(stream)))]
    assert len(items) == 20
    assert sorted(items[:10]) == sorted(items[10:]) == list(range(10))
    assert items[:10] != items[10:]


def test_items_do_not_depend_on_the_order_of_asking():
    stream, again = (Stream(list("abcdefgh"), batch_size=2, steps=9, seed=3, length=ord) for _ in range(2))
    forwards = [stream[place] for place in range(18)]
    backwards = [again[place] for place in reversed(range(18))]
    assert forwards == backwards[::-1]


def test_seeds_differ():
    orders = {tuple(Stream(list(range(20)), batch_size=4, steps=5, seed=s)[p][1] for p in range(20)) for s in range(3)}
    assert len(orders) == 3


def test_batches_hold_similar_lengths():
    stream = Stream([7, 1, 5, 3, 8, 2, 6, 4], batch_size=2, steps=4, seed=0, length=int)
    batches = [{stream[2 * number][1], stream[2 * number + 1][1]} for number in range(4)]
    assert sorted(map(sorted, batches)) == [[1, 2], [3, 4], [5, 6], [7, 8]]


def test_no_examples_is_an_error():
    with pytest.raises(DataError, match="no examples"):
        Stream([], batch_size=1, steps=1, seed=0)


def test_uniform_is_uniform_and_stable():
    numbers = [uniform("a", number) for number in range(2000)]
    assert abs(sum(numbers) / 2000 - 0.5) < 0.03
    assert uniform("a", 1) == uniform("a", 1) != uniform("a", 2)


def test_mix_gives_each_example_to_one_pair(tiny):
    problems = tiny.problems(theories=200, questions=2)
    mix = Mix({"en-en": 0.5, "en-fr fr-en": 0.5})
    given = [mix.assign(problem, seed=1) for problem in problems]
    pairs = [f"{sample.context_language}-{sample.question_language}" for sample in given]
    assert set(pairs) == {"en-en", "en-fr", "fr-en"}
    assert 0.4 < pairs.count("en-en") / len(pairs) < 0.6
    assert given == [mix.assign(problem, seed=1) for problem in problems]
    assert given != [mix.assign(problem, seed=2) for problem in problems]


@pytest.mark.parametrize("shares", [{}, {"en-en": 0.0}, {"en-en": -1.0}])
def test_bad_shares(shares):
    with pytest.raises(DataError, match="got"):
        Mix(shares)


def test_mix_with_unknown_language(tiny):
    with pytest.raises(DataError, match="'xx'"):
        Mix({"en-xx": 1.0}).assign(tiny.problems(1)[0], 0)

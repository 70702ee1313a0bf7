"""Patterns beside a table: written as they come, read whole or of one checkpoint, never half."""

from __future__ import annotations

import numpy as np
import pytest

from xlprobe.errors import ResultsError
from xlprobe.results.patterns import PATTERNS, KeptPattern, pattern_file, read_patterns


def kept(tiny, name, terms=("pattern",), size=5):
    sample = tiny.problems(1, 1)[0].pair("en", "fr")
    values = np.random.default_rng(len(name)).random((2, 3, size, size)).astype(np.float16)
    ids = np.arange(size)
    tokens = [str(number) for number in ids]
    return KeptPattern(name, sample, tokens, ids % 2, ids, ids == 0, {term: list(values) for term in terms})


def same(one, other):
    assert (one.checkpoint, one.sample.key, one.tokens) == (other.checkpoint, other.sample.key, other.tokens)
    assert one.layers.keys() == other.layers.keys()
    for term in one.layers:
        assert np.array_equal(one.pattern(term), other.pattern(term))
    assert np.array_equal(one.special, other.special)


def test_what_is_written_in_parts_is_read_whole_or_by_checkpoint(tiny, tmp_path):
    first, second = kept(tiny, "a"), kept(tiny, "bb", ("pattern", "mono", "cross"))
    with pattern_file(tmp_path) as write:
        write([first])
        write([])
        write([second, first])
    for found, expected in zip(read_patterns(tmp_path), [first, second, first], strict=True):
        same(found, expected)
    assert [one.checkpoint for one in read_patterns(tmp_path, "bb")] == ["bb"]
    assert [one.checkpoint for one in read_patterns([tmp_path, tmp_path], "a")] == ["a"] * 4
    assert read_patterns(tmp_path, "c") == []


def test_where_nothing_came_there_is_no_file(tmp_path):
    with pattern_file(tmp_path) as write:
        write([])
    assert list(tmp_path.iterdir()) == []


def test_a_process_that_has_none_leaves_the_file_of_another_alone(tiny, tmp_path):
    with pattern_file(tmp_path) as write:
        write([kept(tiny, "a")])
        with pattern_file(tmp_path):
            pass
    assert [one.checkpoint for one in read_patterns(tmp_path)] == ["a"]


def test_what_fails_half_way_leaves_what_was_there(tiny, tmp_path):
    with pattern_file(tmp_path) as write:
        write([kept(tiny, "old")])
    with pytest.raises(KeyboardInterrupt), pattern_file(tmp_path) as write:
        write([kept(tiny, "new")])
        raise KeyboardInterrupt
    assert [path.name for path in tmp_path.iterdir()] == [PATTERNS]
    assert [one.checkpoint for one in read_patterns(tmp_path)] == ["old"]


def test_a_disk_that_refuses_is_told_of_and_others_errors_are_not_the_disks(tiny, tmp_path):
    with pytest.raises(ResultsError, match=f"cannot write .*{PATTERNS}"), pattern_file(tmp_path / "missing") as write:
        write([kept(tiny, "a")])
    with pytest.raises(FileNotFoundError), pattern_file(tmp_path) as write:
        write([kept(tiny, "a")])
        raise FileNotFoundError("another file")

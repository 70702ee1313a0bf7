"""Where a recipe's samples come from."""

from __future__ import annotations

import pytest

from xlprobe.errors import DataError
from xlprobe.samples.readers import write_jsonl
from xlprobe.training.sources import samples_of


def test_shares_split_a_file_by_theory(tiny, tmp_path):
    problems = tiny.problems(theories=20, questions=3)
    write_jsonl(problems, tmp_path / "problems.jsonl")
    parts = [
        samples_of("file", {"path": "problems.jsonl", "format": "jsonl", "share": share}, tmp_path)
        for share in ([0.0, 0.5], [0.5, 1.0])
    ]
    assert sorted(sample.key for part in parts for sample in part) == sorted(problem.key for problem in problems)
    assert not {sample.group for sample in parts[0]} & {sample.group for sample in parts[1]}
    first = samples_of("file", {"path": "problems.jsonl", "share": [0.0, 0.5], "first": 1, "limit": 2}, tmp_path)
    assert first == parts[0][1:3]


def test_nothing_left_is_an_error(tiny, tmp_path):
    write_jsonl(tiny.problems(), tmp_path / "problems.jsonl")
    with pytest.raises(DataError, match="gave no samples"):
        samples_of("file", {"path": "problems.jsonl", "share": [0.0, 0.0]}, tmp_path)
    with pytest.raises(DataError, match="source 'web'"):
        samples_of("web", {})

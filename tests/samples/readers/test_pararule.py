from __future__ import annotations

from collections import Counter

import pytest

from xlprobe.errors import DataError
from xlprobe.samples.readers import read_pararule


def test_labels_and_depths_are_texts(tmp_path, rows):
    questions = [
        {"text": "Anne is big.", "label": "true", "meta": {"QDep": "2", "QCat": "0"}},
        {"text": "Anne is red.", "label": "false", "meta": {"QDep": "3"}},
    ]
    path = rows.write(tmp_path / "p.jsonl", [rows.theory | {"questions": questions}])
    first, second = read_pararule(path)
    assert (first.dataset, first.label, first.depth, first.meta) == ("pararule-plus", 1, 2, {"QCat": "0"})
    assert (second.label, second.depth) == (0, 3)
    assert list(read_pararule(path, max_depth=2)) == [first]
    questions[1]["label"] = "unknown"
    with pytest.raises(DataError, match=r"p\.jsonl, line 1, question 2: has the label 'unknown'"):
        list(read_pararule(rows.write(path, [rows.theory | {"questions": questions}])))


@pytest.mark.parametrize(("depth", "count"), [(2, 2708), (5, 2692)])
def test_real_files_are_read_whole(shared_data, depth, count):
    samples = list(read_pararule(shared_data / "pararule_plus" / f"Depth{depth}_test.jsonl.gz"))
    assert len({sample.key for sample in samples}) == count
    assert len({sample.group for sample in samples}) == 300
    assert Counter(sample.label for sample in samples) == {0: count // 2, 1: count // 2}
    assert {sample.depth for sample in samples} == {depth}

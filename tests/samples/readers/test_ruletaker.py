from __future__ import annotations

import pytest

from xlprobe.errors import DataError
from xlprobe.samples.readers import Rejections, read_ruletaker


def translations(rows, base, depth="depth-1", **versions):
    for code, found in versions.items():
        rows.write(base / code / "original" / depth / "dev.jsonl", found)
    return base


def test_each_question_is_a_problem(tmp_path, rows):
    first, second = read_ruletaker(rows.write(tmp_path / "dev.jsonl.gz", [rows.theory]))
    assert first.context == {"en": ("Anne is kind.", "If someone is kind then they are big.")}
    assert (first.label, first.depth, second.label, second.depth) == (1, 1, 0, 0)
    assert (first.key, first.group, second.key) == ("ruletaker-T-1-1", "ruletaker-T-1", "ruletaker-T-1-2")
    assert first.meta == {"strategy": "proof", "QLen": 3}
    assert second.meta == {"strategy": "random"}


def test_deeper_questions_can_be_left_out(tmp_path, rows):
    path = rows.write(tmp_path / "dev.jsonl", [rows.theory])
    (sample,) = read_ruletaker(path, max_depth=0)
    # The key is that of the whole file's problem.
    assert sample.key == "ruletaker-T-1-2"


def test_translations_are_joined_sentence_by_sentence(tmp_path, rows):
    base = translations(rows, tmp_path, fr=[rows.french], en=[rows.theory])
    first, second = read_ruletaker(base, depth="depth-1")
    assert first.languages == ("en", "fr")
    assert first.context["fr"] == ("Anne est gentille.", "Si quelqu'un est gentil, il est grand.")
    assert first.pair("fr", "en").question == "Anne is big."
    assert second.question["fr"] == "Anne est rouge."
    (only,) = read_ruletaker(base, depth="depth-1", languages=["fr"], max_depth=0)
    assert only.languages == ("fr",)


def test_rows_without_ids_are_joined_by_number(tmp_path, rows):
    plain = [{key: value for key, value in row.items() if key != "id"} for row in (rows.theory, rows.french)]
    samples = list(read_ruletaker(translations(rows, tmp_path, en=[plain[0]] * 2, fr=[plain[1]] * 2), depth="depth-1"))
    assert [sample.key for sample in samples] == [f"ruletaker-{n}-{q}" for n in (1, 2) for q in (1, 2)]


@pytest.mark.parametrize(
    ("change", "kind", "left"),
    [
        ({"context": "Anne est gentille."}, "sentence counts differ", 0),
        ({"questions": [{"text": "Anne est grande.", "label": True}]}, "question counts differ", 0),
        ({"questions": [{"text": "X.", "label": False}, {"text": "Y.", "label": False}]}, "labels differ", 1),
    ],
)
def test_what_does_not_align_is_listed(tmp_path, rows, capsys, change, kind, left):
    base = translations(rows, tmp_path, en=[rows.theory], fr=[rows.french | change])
    found = Rejections()
    assert len(list(read_ruletaker(base, depth="depth-1", rejections=found))) == left == found.read
    assert found.counts() == {kind: 1}
    assert "line 1" in found.items[0].where
    assert "ruletaker-T-1 has" in found.items[0].reason
    assert capsys.readouterr().err == ""
    list(read_ruletaker(base, depth="depth-1"))
    assert f"left out 1: 1 {kind}; the first: " in capsys.readouterr().err


def test_files_that_do_not_fit_together_are_errors(tmp_path, rows):
    other = rows.theory | {"id": "T-2"}
    base = translations(rows, tmp_path, en=[rows.theory, other], fr=[rows.french])
    with pytest.raises(DataError, match="got 2 in en, 1 in fr rows"):
        list(read_ruletaker(base, depth="depth-1"))
    translations(rows, tmp_path, fr=[rows.french | {"id": "T-9"}, other])
    with pytest.raises(DataError, match=r"fr.original.depth-1.dev.jsonl, line 1: has the theory 'T-9' where .* 'T-1'"):
        list(read_ruletaker(base, depth="depth-1"))
    with pytest.raises(DataError, match="has no translations of depth-3"):
        list(read_ruletaker(base))
    with pytest.raises(DataError, match=r"de.original.depth-1.dev.jsonl does not exist; .* has depth-1 in en fr"):
        list(read_ruletaker(base, depth="depth-1", languages="en de"))


QUESTION = {"text": "Anne is big.", "label": True}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"id": 7}, "line 2: 'id' is 7; expected a text"),
        ({"id": "T-1"}, "line 2: the id 'T-1' was there before"),
        ({"context": "  "}, "line 2: 'context' is empty"),
        ({"context": ["A."]}, "line 2: 'context' is .*; expected a text"),
        ({"questions": {}}, "line 2: 'questions' is {}; expected a list"),
        ({"questions": ["A."]}, "line 2, question 1: got a text"),
        ({"questions": [QUESTION, {"label": True}]}, "line 2, question 2: has no 'text'"),
        (
            {"questions": [QUESTION | {"label": "maybe"}]},
            "question 1: has the label 'maybe'; expected one of False, True",
        ),
        ({"questions": [QUESTION | {"label": 1}]}, "question 1: 'label' is 1"),
        ({"questions": [QUESTION | {"meta": {"QDep": "deep"}}]}, "question 1: QDep is 'deep'"),
        ({"questions": [QUESTION | {"meta": {"QDep": -1}}]}, "question 1: QDep is -1"),
        ({"questions": [QUESTION | {"meta": 3}]}, "question 1: 'meta' is 3"),
    ],
)
def test_a_broken_row_is_named(tmp_path, rows, change, message):
    path = rows.write(tmp_path / "broken.jsonl", [rows.theory, rows.theory | {"id": "T-2"} | change])
    with pytest.raises(DataError, match=rf"broken\.jsonl, (line 2, )?{message}"):
        list(read_ruletaker(path))


@pytest.mark.parametrize(("name", "count"), [("depth-1", 9986), ("NatLang", 4004)])
def test_real_files_are_read_whole(shared_data, name, count):
    samples = list(read_ruletaker(shared_data / "ruletaker" / name / "dev.jsonl.gz"))
    assert len(samples) == count == len({sample.key for sample in samples})
    assert sum(sample.label for sample in samples) == count / 2
    assert all(len(unit.split()) > 2 for sample in samples for unit in sample.context["en"])

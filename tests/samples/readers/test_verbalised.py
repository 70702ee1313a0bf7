from __future__ import annotations

import itertools

import pytest

from xlprobe.errors import DataError
from xlprobe.samples.readers import Rejections, read, read_ruletaker

EIGHT = ("en", "fr", "de", "es", "ru", "ar", "fa", "zh")


def ask(text, label, depth=0, proof=True):
    return {"text": text, "label": label, "meta": {"QDep": depth, "QLen": 1 if proof else ""}}


def test_a_theory_is_worded_in_other_languages(tmp_path, rows):
    first, second = read_ruletaker(rows.write(tmp_path / "a.jsonl", [rows.theory]), languages="en fr zh")
    assert first.languages == ("en", "fr", "zh")
    assert first.context["en"] == ("Anne is kind.", "If someone is kind then they are big.")
    assert first.context["fr"][0] == "Anne est gentille."
    assert {len(units) for units in first.context.values()} == {2}
    assert (first.label, first.depth, second.label) == (1, 1, 0)
    assert first.question["zh"] != second.question["zh"]
    (without,) = read_ruletaker(tmp_path / "a.jsonl", languages=["fr"], max_depth=0)
    assert without.languages == ("fr",)


def test_what_does_not_parse_or_agree_is_listed(tmp_path, rows, capsys):
    loop = {
        "id": "loop",
        "context": "If Anne is not big then Anne is kind. If Anne is not kind then Anne is big. Bob is kind.",
        "questions": [ask("Anne is kind.", True), ask("Bob is kind.", True)],
    }
    theories = [
        rows.theory | {"questions": [ask("Anne is big.", False, 1), ask("Anne is kind.", True, 3)]},
        rows.theory | {"id": "T-2", "context": "Anne is a nurse. Bob is big."},
        rows.theory
        | {"id": "T-3", "questions": [ask("Who is big?", True), ask("If Anne is big then Bob is kind.", True)]},
        loop,
    ]
    path = rows.write(tmp_path / "a.jsonl", theories)
    found = Rejections()
    samples = list(read_ruletaker(path, languages=("en", "fr"), rejections=found))
    assert [sample.question["en"] for sample in samples] == ["Anne is kind.", "Bob is kind."]
    assert [(item.kind, item.kept) for item in found.items] == [
        ("labels differ", False),
        ("depths differ", True),
        ("theories not parsed", False),
        ("questions not parsed", False),
        ("questions not parsed", False),
        ("undecided", False),
    ]
    assert found.items[0].where == f"{path}, line 1, question 1"
    assert "QDep 3 in the file, 0 by the prover" in found.items[1].reason
    assert "lack: a, nurse; expected" in found.items[2].reason
    assert "with it go 2 questions" in found.items[2].reason
    assert found.tally["theories"] == 4
    assert found.tally["theories parsed"] == 3
    assert found.tally["questions"] == 8
    assert found.tally["labels agree"] == 2
    list(read(path, languages=("en", "fr")))
    assert "left out 5: 1 labels differ, 1 theories not parsed" in capsys.readouterr().err


def test_natural_language_is_english_only(tmp_path, rows):
    path = rows.write(tmp_path / "n.jsonl", [rows.theory | {"context": "Anne, bless her, means well."}])
    with pytest.raises(
        DataError, match=r"no ruletaker samples that can be used.*1 theories not parsed.*n.jsonl, line 1"
    ):
        list(read(path, languages=("en", "fr")))


def test_a_language_without_grammar_is_an_error(tmp_path, rows):
    path = rows.write(tmp_path / "a.jsonl", [rows.theory])
    with pytest.raises(DataError, match="no grammar for 'th'"):
        list(read_ruletaker(path, languages=("en", "th")))


@pytest.mark.parametrize("name", ["depth-0", "depth-1", "depth-2", "depth-3", "depth-5"])
def test_real_theories_parse_agree_and_align(shared_data, name):
    found = Rejections()
    path = shared_data / "ruletaker" / name / "dev.jsonl.gz"
    samples = list(itertools.islice(read_ruletaker(path, languages=EIGHT, rejections=found), 300))
    assert all(sample.languages == EIGHT for sample in samples)
    assert found.items == []
    assert found.tally["theories parsed"] == found.tally["theories"] == found.tally["English again"]


@pytest.mark.slow
def test_all_real_theories_parse_and_agree(shared_data):
    found = Rejections()
    for depth in (0, 1, 2, 3, 5):
        for _ in read_ruletaker(
            shared_data / "ruletaker" / f"depth-{depth}" / "dev.jsonl.gz", languages=("fr",), rejections=found
        ):
            pass
    tally = found.tally
    assert tally["theories"] == tally["theories parsed"] == tally["English again"] == 6077
    assert tally["questions"] == 50042
    assert tally["labels agree"] >= 50036
    assert tally["depths given"] - tally["depths agree"] <= 2
    # All that differs is where negations go in a loop (docs/ruletaker_agreement.md).
    assert found.counts() == {"undecided": 20}

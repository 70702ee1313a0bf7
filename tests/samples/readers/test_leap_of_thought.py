from __future__ import annotations

import pytest

from xlprobe.errors import DataError
from xlprobe.samples.readers import Rejections, negated, read_leap_of_thought

FILE = "randomized_hypernyms_training_mix_short_dev.jsonl"
FRENCH = {"id": "a", "context": "Une abeille est un insecte. Un insecte a des pattes.", "answer": 1}
FRENCH |= {"phrase": "Une abeille a des pattes."}


def test_rules_are_units(tmp_path, rows):
    # Where the rules are the context's text, they are its units, whatever stops they have inside.
    rules = ["A St. Bernard is a dog.", "A dog has a leg."]
    row = rows.leap | {"context": " ".join(rules), "metadata": {"rules": rules}}
    first, second = read_leap_of_thought(rows.write(tmp_path / "l.jsonl.gz", [rows.leap, row]))
    assert first.context["en"] == ("A bee is an insect.", "An insect has legs.")
    assert second.context["en"] == tuple(rules)
    assert (first.question["en"], first.label) == ("A bee has legs.", 1)
    other = row | {"metadata": {"rules": ["Something else."]}}
    (third,) = read_leap_of_thought(rows.write(tmp_path / "l.jsonl", [other]))
    assert third.context["en"] == ("A St. Bernard is a dog.", "A dog has a leg.")


def test_rows_of_one_context_are_one_group(tmp_path, rows):
    other = rows.leap | {"context": "A bee is an insect.", "id": "c"}
    path = rows.write(tmp_path / "l.jsonl", [rows.leap, rows.leap | {"id": "b"}, other])
    first, second, third = read_leap_of_thought(path)
    assert first.group == second.group != third.group
    assert len({first.key, second.key, third.key}) == 3


def test_statements_are_negated_at_random(tmp_path, rows):
    path = rows.write(tmp_path / "l.jsonl", [rows.leap | {"id": str(n)} for n in range(200)])
    assert {sample.label for sample in read_leap_of_thought(path)} == {1}
    mixed = list(read_leap_of_thought(path, negate=True, seed=1))
    assert mixed == list(read_leap_of_thought(path, negate=True, seed=1))
    assert mixed != list(read_leap_of_thought(path, negate=True, seed=2))
    assert 70 <= sum(sample.label == 0 for sample in mixed) <= 130
    for sample in mixed:
        assert sample.question["en"] == ("A bee has legs." if sample.label else "A bee does not have legs.")
        assert sample.meta == ({} if sample.label else {"negated": True})


def test_what_cannot_be_negated_is_listed_and_kept(tmp_path, rows, capsys):
    path = rows.write(tmp_path / "l.jsonl", [rows.leap | {"phrase": "Bees sing.", "id": str(n)} for n in range(40)])
    found = Rejections()
    samples = list(read_leap_of_thought(path, negate=True, rejections=found))
    assert {(sample.question["en"], sample.label) for sample in samples} == {("Bees sing.", 1)}
    assert 10 < found.counts()["not negated"] < 30
    assert all(item.kept and "Bees sing." in item.reason for item in found.items)
    list(read_leap_of_thought(path, negate=True))
    assert "read 40 samples; kept, though doubtful," in capsys.readouterr().err


def test_translations_are_joined_by_row(tmp_path, rows):
    rows.write(tmp_path / "fr" / FILE, [FRENCH])
    rows.write(tmp_path / "en" / f"{FILE}.gz", [rows.leap])
    (sample,) = read_leap_of_thought(tmp_path)
    assert sample.languages == ("en", "fr")
    assert sample.pair("fr", "en").context == ("Une abeille est un insecte.", "Un insecte a des pattes.")
    (sample,) = read_leap_of_thought(tmp_path, languages="fr")
    assert sample.languages == ("fr",)
    with pytest.raises(DataError, match="translated files hold their negations already"):
        list(read_leap_of_thought(tmp_path, negate=True))
    with pytest.raises(DataError, match=r"does not exist; .* has en fr"):
        list(read_leap_of_thought(tmp_path, languages="en de"))
    with pytest.raises(DataError, match="has no translations"):
        list(read_leap_of_thought(tmp_path, split="train"))


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"context": "Une abeille est un insecte."}, "sentence counts differ"),
        ({"answer": 0}, "labels differ"),
    ],
)
def test_what_does_not_align_is_listed(tmp_path, rows, change, kind):
    rows.write(tmp_path / "en" / FILE, [rows.leap, rows.leap])
    rows.write(tmp_path / "fr" / FILE, [FRENCH | change, FRENCH])
    found = Rejections()
    (sample,) = read_leap_of_thought(tmp_path, rejections=found)
    assert sample.key == "leap-of-thought-2"
    assert found.counts() == {kind: 1}
    assert "row 1 has" in found.items[0].reason


def test_rows_that_are_not_the_same_are_errors(tmp_path, rows):
    rows.write(tmp_path / "en" / FILE, [rows.leap])
    rows.write(tmp_path / "fr" / FILE, [FRENCH | {"id": "b"}])
    with pytest.raises(DataError, match="the row has the ids"):
        list(read_leap_of_thought(tmp_path))
    rows.write(tmp_path / "fr" / FILE, [FRENCH, FRENCH])
    with pytest.raises(DataError, match="got 1 in en, 2 in fr rows"):
        list(read_leap_of_thought(tmp_path))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"answer": 3}, "has the answer 3; expected 0 or 1"),
        ({"answer": "yes"}, "'answer' is 'yes'"),
        ({"phrase": None}, "'phrase' is None"),
        ({"context": None}, "'context' is None"),
    ],
)
def test_a_broken_row_is_named(tmp_path, rows, change, message):
    path = rows.write(tmp_path / "broken.jsonl", [rows.leap, rows.leap | change])
    with pytest.raises(DataError, match=rf"broken\.jsonl, line 2: {message}"):
        list(read_leap_of_thought(path))


def test_an_empty_context_is_listed(tmp_path, rows):
    found = Rejections()
    path = rows.write(tmp_path / "l.jsonl", [rows.leap | {"context": ""}, rows.leap])
    assert len(list(read_leap_of_thought(path, rejections=found))) == 1
    assert found.counts() == {"no context": 1}


def test_one_file_is_english(tmp_path, rows):
    with pytest.raises(DataError, match="is one file, in English; got the languages en fr"):
        list(read_leap_of_thought(rows.write(tmp_path / "l.jsonl", [rows.leap]), languages="en fr"))


def test_the_real_file_is_read_and_negated_whole(shared_data):
    path = shared_data / "leap_of_thought" / "hypernyms_training_mix_short_dev.jsonl.gz"
    found = Rejections()
    samples = list(read_leap_of_thought(path, rejections=found))
    assert len(samples) == 1289 == len({sample.key for sample in samples})
    assert len({sample.group for sample in samples}) == 1263
    assert sum(sample.label for sample in samples) == 654
    mixed = list(read_leap_of_thought(path, negate=True, rejections=found))
    assert found.items == []
    turned = [(a, b) for a, b in zip(samples, mixed, strict=True) if a.question != b.question]
    assert 560 < len(turned) < 730
    assert all(a.label == 1 - b.label and negated(b.question["en"]) == a.question["en"] for a, b in turned)

from __future__ import annotations

import pytest

from xlprobe.errors import DataError
from xlprobe.samples.readers import XNLI_LABELS, read_xnli


def tables(base, **files):
    base.mkdir(exist_ok=True)
    for name, text in files.items():
        (base / f"{name.replace('_', '-')}.tsv").write_bytes(text.encode())
    return base


def test_rows_and_tables_give_the_same(tmp_path, rows):
    (wide,) = read_xnli(rows.write(tmp_path / "x.jsonl", [rows.xnli]))
    (table,) = read_xnli(tables(tmp_path / "t", dev_en="A.\tC.\tneutral\r\n", dev_fr="B.\tD.\tneutral\n"))
    assert wide == table
    assert (wide.label, wide.key) == (1, "xnli-dev-1")
    pair = wide.pair("fr", "en")
    assert (pair.context, pair.question) == (("B.",), "C.")


def test_all_classes_and_some_languages(tmp_path, rows):
    path = rows.write(
        tmp_path / "x.jsonl",
        [
            rows.xnli | {"gold_label": name, "genre": "letters"}
            for name in [*XNLI_LABELS, "contradictory", "Entailment", "-"]
        ],
    )
    samples = list(read_xnli(path, languages="fr"))
    assert [sample.label for sample in samples] == [0, 1, 2, 2, 0, None]
    assert {sample.label_names for sample in samples} == {("entailment", "neutral", "contradiction")}
    assert {sample.languages for sample in samples} == {("fr",)}
    assert samples[0].meta == {"genre": "letters"}


def test_a_premise_of_several_sentences_is_one_unit(tmp_path, rows):
    (sample,) = read_xnli(rows.write(tmp_path / "x.jsonl", [rows.xnli | {"premise_en": "A. B? C."}]))
    assert sample.context["en"] == ("A. B? C.",)


def test_tables_may_lack_labels(tmp_path):
    base = tables(tmp_path, test_en="A.\tC.\n", test_fr='"B."\tD.\n')
    (sample,) = read_xnli(base, split="test")
    assert sample.label is None
    assert sample.context["fr"] == ('"B."',)
    assert sample.key == "xnli-test-1"


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            {"dev_en": "A\tC\tneutral\n", "dev_fr": "B\tD\tentailment\n"},
            r"fr.tsv, line 1: has the label .*en.tsv, line 1",
        ),
        ({"dev_en": "A\tC\tneutral\nA\tC\tneutral\n", "dev_fr": "B\tD\tneutral\n"}, "got 2 in en, 1 in fr rows"),
        ({"dev_en": "A\tC\tmaybe\n"}, "dev-en.tsv, line 1: has the label 'maybe'"),
        ({"dev_en": "A\tC\tneutral\nA\n"}, "dev-en.tsv, line 2: has 1 columns"),
        ({"dev_en": "A\tC\tneutral\nA\tC\n"}, "dev-en.tsv, line 2: has 2 columns"),
        ({"dev_en": "A\tC\tneutral\n\nA\tC\tneutral\n"}, "dev-en.tsv, line 2: is blank; expected a row"),
        ({"dev_en": "A\t \tneutral\n"}, "dev-en.tsv, line 1: has 3 columns, 2 with text"),
        ({"dev_en": ""}, "dev-en.tsv is empty"),
        ({"dev_english": "A\tC\tneutral\n"}, "has no file in any language"),
        (
            {"train_en": "A\tC\tneutral\n", "test_en": "A\tC\tneutral\n"},
            "has files of test, train; say which: split='test'",
        ),
        ({"dev_en": "A\tC\tneutral\n", "dev_v2_en": "A\tC\tneutral\n"}, "has two files in 'en'"),
    ],
)
def test_broken_tables_are_named(tmp_path, files, message):
    with pytest.raises(DataError, match=message):
        list(read_xnli(tables(tmp_path, **files)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"gold_label": "maybe"}, "has the label 'maybe'; expected one of entailment, neutral, contradiction$"),
        ({"gold_label": 3}, "has the label 3"),
        ({"gold_label": True}, "has the label True"),
        ({"hypothesis_fr": None}, "'hypothesis_fr' is None"),
        ({"premise_x1": "A."}, "got the language 'x1'"),
    ],
)
def test_broken_rows_are_named(tmp_path, rows, change, message):
    path = rows.write(tmp_path / "broken.jsonl", [rows.xnli, rows.xnli | change])
    with pytest.raises(DataError, match=rf"broken\.jsonl, line 2: {message}"):
        list(read_xnli(path))


def test_missing_languages_are_named(tmp_path, rows):
    with pytest.raises(DataError, match="line 1: has no 'premise_de'"):
        list(read_xnli(rows.write(tmp_path / "x.jsonl", [rows.xnli]), languages="en de"))
    with pytest.raises(DataError, match="has no file of dev in de; .* It has dev-en.tsv"):
        list(read_xnli(tables(tmp_path, dev_en="A\tC\tneutral\n"), languages="de"))


def test_the_real_file_is_read_whole(shared_data):
    samples = list(read_xnli(shared_data / "xnli" / "xnli.dev.15way.jsonl.gz"))
    assert len(samples) == 2490
    assert {len(sample.languages) for sample in samples} == {15}
    assert [sum(sample.label == n for sample in samples) for n in range(3)] == [830, 830, 830]
    assert samples[0].languages[0] == "en"

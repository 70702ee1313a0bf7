from __future__ import annotations

import pytest

from xlprobe.errors import DataError
from xlprobe.samples import ParallelSample, Sample
from xlprobe.samples.readers import Rejections, read_dataset, read_jsonl, read_ruletaker, write_jsonl


@pytest.fixture(scope="module")
def made():
    """The maker of a dataset from rows."""
    datasets = pytest.importorskip("datasets")
    datasets.disable_caching()
    return datasets.Dataset.from_list


def test_the_own_format_comes_back(made, tmp_path):
    import json

    samples = [
        ParallelSample("a", "g", "d", {"en": ("A.", "B."), "fr": ("C.", "D.")}, {"en": "Q?", "fr": "R ?"}, 1, 2),
        # Another language: the dataset fills the absent ones with None.
        ParallelSample("b", "g", "d", {"de": ("A.",)}, {"de": "Q?"}, 0),
    ]
    write_jsonl(samples, tmp_path / "a.jsonl")
    lines = (tmp_path / "a.jsonl").read_text(encoding="utf-8").splitlines()
    assert (
        list(read_dataset(made([json.loads(line) for line in lines])))
        == samples
        == list(read_jsonl(tmp_path / "a.jsonl"))
    )


def test_ruletaker_is_as_from_a_file(made, rows, tmp_path):
    questions = [question | {"meta": {"QDep": question["meta"]["QDep"]}} for question in rows.theory["questions"]]
    row = rows.theory | {"questions": questions}
    expected = list(read_ruletaker(rows.write(tmp_path / "a.jsonl", [row])))
    assert list(read_dataset(made([row]))) == expected
    columns = {name: [question[name] for question in questions] for name in ("text", "label", "meta")}
    assert list(read_dataset([row | {"questions": columns}])) == expected
    (only,) = read_dataset(made([row]), max_depth=0)
    assert only == expected[1]
    first, _ = read_dataset(made([row]), languages="en fr")
    assert first.context["fr"][0] == "Anne est gentille."
    columns["text"] = columns["text"][:1]
    with pytest.raises(DataError, match=r"dataset, row 0: the columns of 'questions' have \[1, 2\] entries"):
        list(read_dataset([row | {"questions": columns}]))


def test_datasets_by_language_are_aligned(made, rows):
    first, second = read_dataset({"en": [rows.theory], "fr": made([rows.french])})
    assert first.pair("fr", "en").context == ("Anne est gentille.", "Si quelqu'un est gentil, il est grand.")
    assert first.label == 1 - second.label
    found = Rejections()
    short = rows.french | {"context": "Anne est gentille."}
    assert list(read_dataset({"en": [rows.theory], "fr": [short]}, rejections=found)) == []
    assert found.counts() == {"sentence counts differ": 1}
    with pytest.raises(DataError, match="got 1 in en, 2 in fr rows"):
        list(read_dataset({"en": [rows.theory], "fr": [rows.french, rows.french]}))
    (only, _) = read_dataset({"en": [rows.theory], "fr": [rows.french]}, languages="fr")
    assert only.languages == ("fr",)
    with pytest.raises(DataError, match="has the languages en fr, not de"):
        list(read_dataset({"en": [rows.theory], "fr": [rows.french]}, languages="de"))


def test_pararule_and_leap_of_thought(made, rows):
    questions = [{"text": "Anne is big.", "label": "true", "meta": {"QDep": "2"}}]
    (sample,) = read_dataset(made([rows.theory | {"questions": questions}]))
    assert (sample.dataset, sample.depth) == ("pararule-plus", 2)
    (leap,) = read_dataset(made([rows.leap]))
    assert (leap.dataset, leap.label, leap.question["en"]) == ("leap-of-thought", 1, "A bee has legs.")
    with pytest.raises(DataError, match=r"one dataset of leap_of_thought is in one language; got en fr"):
        list(read_dataset(made([rows.leap]), languages="en fr"))


def test_xnli_in_all_its_shapes(made, rows):
    (wide,) = read_dataset(made([rows.xnli]))
    hub = {
        "premise": {"en": "A.", "fr": "B."},
        "hypothesis": {"language": ["en", "fr"], "translation": ["C.", "D."]},
        "label": 1,
    }
    (nested,) = read_dataset(made([hub]))
    (split,) = read_dataset(
        {
            "en": made([{"premise": "A.", "hypothesis": "C.", "label": 1}]),
            "fr": [{"premise": "B.", "hypothesis": "D.", "label": 1}],
        }
    )
    assert wide == nested == split
    assert split.pair("fr", "en").question == "C."
    (hidden,) = read_dataset([hub | {"label": -1}])
    assert hidden.label is None
    with pytest.raises(DataError, match="fr, row 0: has the label contradiction where dataset, en, row 0 has neutral"):
        list(
            read_dataset(
                {
                    "en": [{"premise": "A.", "hypothesis": "C.", "label": 1}],
                    "fr": [{"premise": "B.", "hypothesis": "D.", "label": 2}],
                }
            )
        )
    with pytest.raises(DataError, match="is in one language .*a dict of language to data set"):
        list(read_dataset([{"premise": "A.", "hypothesis": "C.", "label": 1}]))


def test_parallel_and_tagged_text(made, rows):
    (first,) = read_dataset(made([{"translation": {"en": "A.", "fr": "B."}}]))
    (second,) = read_dataset(made([{"en": "A.", "fr": "B."}]))
    assert first == second
    assert first.pair("en", "fr").question == "B."
    (tagged,) = read_dataset(made([rows.tagged]))
    assert isinstance(tagged, Sample)
    assert tagged.word_languages[2] == (4, 7, "tr")
    with pytest.raises(DataError, match="holds its languages inside"):
        list(read_dataset(made([rows.tagged]), languages="de"))


def test_flat_columns(made):
    row = {"context_en": "A. B.", "question_en": "Q?", "context_fr": ["C.", "D."], "question_fr": "R ?", "label": 1}
    (sample,) = read_dataset([row], name="mine")
    assert sample.pair("en", "fr").context == ("A.", "B.")
    assert (sample.key, sample.dataset, sample.label) == ("mine-0", "mine", 1)
    with pytest.raises(DataError, match="dataset, row 0: 'question_fr' is None"):
        list(read_dataset([row | {"question_fr": None}]))
    with pytest.raises(DataError, match="row 0: has the label 'perhaps'; expected a number from 0, or a name of False"):
        list(read_dataset([row | {"label": "perhaps"}]))
    with pytest.raises(DataError, match="row 1: the key 'k' was there before"):
        list(read_dataset([row | {"key": "k"}, row | {"key": "k"}]))


@pytest.mark.parametrize(
    ("rows_", "message"),
    [
        ([], "dataset has no rows"),
        ({}, "dataset has no rows"),
        ([{"a": 1}], "dataset, row 0: is none of the known formats, by its columns 'a'"),
        (["text"], "dataset, row 0: got a str; expected a dict of columns"),
        ({"train": [{"a": 1}]}, "got the language 'train'"),
        ({"en": {"train": []}}, "dataset, en is a dict of train; choose one of its splits"),
        ({"en": [{"en": "A.", "fr": "B."}]}, "cannot read 'parallel' by language"),
    ],
)
def test_what_cannot_be_read_is_named(rows_, message):
    with pytest.raises(DataError, match=message):
        list(read_dataset(rows_))

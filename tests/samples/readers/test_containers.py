"""Files as people find them: Parquet, tables, lists, the Hub's exports, one file a language."""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import json
import random

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from xlprobe.errors import DataError
from xlprobe.samples.readers import XNLI_LABELS, guess_format, read, read_dataset, read_flat, read_jsonl, write_jsonl
from xlprobe.samples.readers.containers import rows_of

FLAT = [
    {"context_en": "A cat is big. It is kind.", "context_fr": "Un chat est grand. Il est gentil.",
     "question_en": "It is big.", "question_fr": "Il est grand.", "label": 1, "depth": 2},
    {"context_en": 'She said "no."', "context_fr": "Elle a dit : « non. »",
     "question_en": "Yes.", "question_fr": "Oui.", "label": 0, "depth": None},
]  # fmt: skip


def as_table(rows, separator):
    text = io.StringIO()
    writer = csv.writer(text, delimiter=separator)
    writer.writerow(rows[0])
    writer.writerows([["" if value is None else value for value in row.values()] for row in rows])
    return text.getvalue()


@pytest.fixture(params=["jsonl", "jsonl.gz", "json", "csv", "csv.gz", "tsv", "parquet"])
def flat_file(request, tmp_path):
    path = tmp_path / f"mine.{request.param}"
    lines = "".join(json.dumps(row) + "\n" for row in FLAT)
    if request.param == "parquet":
        pq.write_table(pa.Table.from_pylist(FLAT), path)
        return path
    text = {"jsonl": lines, "json": json.dumps(FLAT, indent=1), "csv": as_table(FLAT, ","), "tsv": as_table(FLAT, "\t")}
    data = text[request.param.removesuffix(".gz")].encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def test_flat_columns_are_the_same_in_every_container(flat_file):
    assert guess_format(flat_file) == "flat"
    first, second = read(flat_file)
    assert first.context["fr"] == ("Un chat est grand.", "Il est gentil.")
    assert (first.key, first.dataset, first.label, first.depth) == ("mine-0", "mine", 1, 2)
    assert second.context == {"en": ('She said "no."',), "fr": ("Elle a dit : « non. »",)}
    assert (second.label, second.depth) == (0, None)
    assert [sample.languages for sample in read(flat_file, languages="fr")] == [("fr",), ("fr",)]


def test_what_pandas_writes_is_read_or_named(tmp_path):
    frame = pd.DataFrame(FLAT)
    frame.to_json(tmp_path / "a.jsonl", orient="records", lines=True)
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_parquet(tmp_path / "a.parquet")
    for name in ("a.jsonl", "a.csv", "a.parquet"):
        assert [sample.label for sample in read(tmp_path / name)] == [1, 0]
    frame.to_json(tmp_path / "columns.json")
    with pytest.raises(DataError, match=r"none of the known formats|'context_en' is"):
        list(read(tmp_path / "columns.json"))
    lists = pd.DataFrame([FLAT[0] | {"context_en": ["A.", "B."], "context_fr": ["A.", "B."]}])
    lists.to_csv(tmp_path / "lists.csv", index=False)
    with pytest.raises(DataError, match=r"lists.csv, line 2: the context .* is a list written as text"):
        list(read(tmp_path / "lists.csv"))


def test_the_names_of_classes_come_along(tmp_path):
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    features = datasets.Features(
        {"premise": datasets.Value("string"), "hypothesis": datasets.Value("string"),
         "label": datasets.ClassLabel(names=["contradiction", "entailment", "neutral"])}
    )  # fmt: skip
    rows = [{"premise": "A cat.", "hypothesis": "An animal.", "label": number} for number in (1, 2, 0, -1)]
    made = datasets.Dataset.from_list(rows, features=features)
    made.to_parquet(tmp_path / "x.en.parquet")
    for samples in (list(read(tmp_path / "x.en.parquet")), list(read_dataset({"en": made}))):
        assert [sample.label for sample in samples] == [0, 1, 2, None]
        assert samples[0].label_names == ("entailment", "neutral", "contradiction")
    own = datasets.Features({"context": datasets.Value("string"), "question": datasets.Value("string"),
                             "label": datasets.ClassLabel(names=["small", "large"])})  # fmt: skip
    made = datasets.Dataset.from_list([{"context": "A.", "question": "B?", "label": 1}], features=own)
    made.to_parquet(tmp_path / "y.parquet")
    for samples in (list(read_flat(tmp_path / "y.parquet")), list(read_dataset(made, format="flat"))):
        assert (samples[0].label, samples[0].label_names) == (1, ("small", "large"))
    write_jsonl(samples, tmp_path / "own.jsonl")
    assert list(read_jsonl(tmp_path / "own.jsonl")) == samples


LONG = [
    {"language": code, "gold_label": label, "sentence1": f"{code} one {n}", "sentence2": f"{code} two {n}",
     "pairID": str(n), "genre": "letters", "match": "True"}
    for code in ("ar", "en", "zh") for n, label in enumerate(("entailment", "neutral", "-"), 1)
]  # fmt: skip


@pytest.mark.parametrize("kind", ["jsonl", "tsv"])
def test_xnli_as_it_is_released(tmp_path, rows, kind):
    path = tmp_path / f"xnli.dev.{kind}"
    shuffled = LONG[:3] + random.Random(0).sample(LONG[3:], 6)
    if kind == "jsonl":
        rows.write(path, shuffled)
    else:
        path.write_text("\n".join("\t".join(row) for row in [LONG[0].keys(), *(r.values() for r in shuffled)]) + "\n")
    samples = list(read(path))
    assert [sample.label for sample in samples] == [0, 1, None]
    assert samples[1].languages == ("en", "ar", "zh")
    assert samples[1].pair("zh", "ar").context == ("zh one 2",)
    assert samples[1].pair("zh", "ar").question == "ar two 2"
    assert [sample.languages for sample in read(path, languages="zh en")] == [("zh", "en")] * 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pairID": "9"}, "the pair '[39]' is not there in every language"),
        ({"pairID": "1"}, "line 9: the pair '1' was there before in 'zh'"),
        ({"gold_label": "neutral"}, "has the label neutral where .* has none"),
        ({"language": "Zh"}, "got the language 'Zh'"),
        ({"sentence2": None}, "'sentence2' is None"),
        ({"pairID": None}, "'pairID' is None"),
    ],
)
def test_a_broken_release_is_named(tmp_path, rows, change, message):
    path = rows.write(tmp_path / "x.jsonl", [*LONG[:-1], LONG[-1] | change])
    with pytest.raises(DataError, match=message):
        list(read(path))


def test_machine_translated_tables_in_their_folder(tmp_path, capsys):
    for code, word in (("en", "cat"), ("fr", "chat"), ("zh", "猫")):
        table = f'premise\thypo\tlabel\n{word} one .\t{word} two .\tcontradictory\n"{word}" .\t{word} .\tneutral\n'
        (tmp_path / f"multinli.train.{code}.tsv").write_text(table, encoding="utf-8")
    first, second = read(tmp_path)
    assert (first.label, second.label, first.key) == (2, 1, "xnli-train-1")
    assert first.languages == ("en", "fr", "zh")
    assert second.context["fr"] == ('"chat" .',)
    (one, _) = read(tmp_path / "multinli.train.fr.tsv")
    assert (one.languages, one.context["fr"]) == (("fr",), ("chat one .",))
    (one, _) = read(tmp_path / "multinli.train.fr.tsv", languages="fr")
    with pytest.raises(DataError, match=r"is in one language \(fr\); got the languages en fr"):
        list(read(tmp_path / "multinli.train.fr.tsv", languages="en fr"))
    assert capsys.readouterr().err == ""


def test_the_hubs_folders_of_one_language_each(tmp_path):
    for code in ("en", "th"):
        (tmp_path / code).mkdir()
        rows = [{"premise": f"{code} one", "hypothesis": f"{code} two", "label": n} for n in (0, 2)]
        for split in ("train", "validation"):
            pq.write_table(pa.Table.from_pylist(rows), tmp_path / code / f"{split}-00000-of-00001.parquet")
    assert [sample.label for sample in read(tmp_path)] == [0, 2]
    assert [sample.key for sample in read(tmp_path, split="train")] == ["xnli-train-1", "xnli-train-2"]
    (tmp_path / "th" / "validation-00000-of-00001.parquet").unlink()
    with pytest.raises(DataError, match="has no file of dev in th"):
        list(read(tmp_path, languages="en th"))


def test_the_hubs_rows_of_one_question_each(tmp_path, rows):
    theory = "Anne is kind. If someone is kind then they are big."
    hub = [
        {"context": theory, "question": "Anne is big.", "label": "entailment", "config": "depth-1"},
        {"context": theory, "question": "Anne is red.", "label": "not entailment", "config": "depth-1"},
        {"context": "Bob is red.", "question": "Bob is red.", "label": "entailment", "config": "depth-0"},
        {"context": theory, "question": "Anne is kind.", "label": "entailment", "config": "depth-1"},
    ]
    path = rows.write(tmp_path / "ruletaker.jsonl", hub)
    assert guess_format(path) == "ruletaker"
    samples = list(read(path))
    assert [sample.label for sample in samples] == [1, 0, 1, 1]
    assert len({sample.key for sample in samples}) == 4
    assert samples[0].group == samples[1].group == samples[3].group != samples[2].group
    assert samples[0].meta == {"config": "depth-1"}
    french = list(read(path, languages="en fr"))
    assert [sample.question["fr"] for sample in french][:2] == ["Anne est grande.", "Anne est rouge."]


def test_proofwriter_of_both_worlds(tmp_path, rows, capsys):
    hub = [
        {"id": f"AttNoneg-{world}-D1-7", "maxD": 1, "theory": "Anne is kind. Kind people are big.",
         "question": "Anne is big.", "answer": answer, "QDep": depth, "QLen": 2, "config": "depth-1"}
        for world, answer, depth in (("OWA", "True", 1), ("OWA", "Unknown", 0), ("CWA", "False", 0))
    ]  # fmt: skip
    samples = list(read(rows.write(tmp_path / "p.jsonl", hub)))
    assert [(sample.label, sample.depth) for sample in samples] == [(1, 1), (2, 0), (0, 0)]
    assert [sample.label_names for sample in samples] == [("False", "True", "Unknown")] * 2 + [()]
    assert samples[0].group == samples[1].group
    # Its own files name their questions; open-world answers cannot be proved again.
    questions = {"Q1": {"question": "Anne is big.", "answer": True, "QDep": 1}, "Q2": {"question": "Anne is red.",
                 "answer": "Unknown", "QDep": 0}}  # fmt: skip
    own = {"id": "AttNoneg-OWA-D1-7", "maxD": 1, "theory": "Anne is kind. Kind people are big.", "questions": questions}
    path = rows.write(tmp_path / "meta-dev.jsonl", [own])
    assert [(sample.label, sample.depth) for sample in read(path)] == [(1, 1), (2, 0)]
    with pytest.raises(DataError, match="no ruletaker samples that can be used.* 1 open world"):
        list(read(path, languages="en fr"))


def test_one_language_by_name_is_not_taken_for_another(tmp_path, rows):
    path = rows.write(tmp_path / "fr" / "original" / "depth-1" / "dev.jsonl", [rows.french])
    with pytest.raises(DataError, match="is in 'fr' by its name, and ruletaker files are read as English"):
        read(path)
    flat = rows.write(tmp_path / "mine.fr.jsonl", [{"context": "Le chat.", "question": "Oui ?", "label": 0}])
    assert next(read(flat)).languages == ("fr",)
    with pytest.raises(DataError, match=r"is in one language \(fr\)"):
        list(read(flat, languages="en"))


def test_flat_files_of_one_language_each_are_joined(tmp_path, rows):
    for code in ("en", "zh"):
        made = [{"context": f"{code} one.", "question": f"{code}?", "label": n} for n in (0, 1)]
        rows.write(tmp_path / f"dev.{code}.jsonl", made)
    first, second = read(tmp_path)
    assert (first.context, second.label) == ({"en": ("en one.",), "zh": ("zh one.",)}, 1)
    rows.write(tmp_path / "dev.zh.jsonl", [made[1], made[0]])
    with pytest.raises(DataError, match=r"dev.zh.jsonl, line 1: has the label 1 where .* has 0"):
        list(read(tmp_path))


def test_quotation_marks_of_spreadsheets_come_off_and_others_stay(tmp_path, capsys):
    path = tmp_path / "p.tsv"
    path.write_text('en\tfr\n"She said ""no"", twice."\t"« Non », dit-elle."\nYes.\tOui.\n', encoding="utf-8")
    first, second = read(path)
    assert first.context == {"en": ('She said "no", twice.',), "fr": ("« Non », dit-elle.",)}
    assert second.context["en"] == ("Yes.",)
    assert "quotation marks as spreadsheets write them" in capsys.readouterr().err
    path.write_text('en\tfr\n"She said ""no"", twice."\t"Non", dit-elle.\n', encoding="utf-8")
    assert next(read(path)).context["en"] == ('"She said ""no"", twice."',)
    path.write_text('en\tfr\n"No."\t"Non."\n', encoding="utf-8")
    assert next(read(path)).context["en"] == ('"No."',)


def test_real_files_in_other_shapes_give_the_same(shared_data, tmp_path, rows):
    wide = [row for _, row in itertools.islice(rows_of(shared_data / "xnli/xnli.dev.15way.jsonl.gz"), 40)]
    codes = ("ar", "en", "th", "zh")
    expected = list(read(rows.write(tmp_path / "wide.jsonl", wide), languages=codes))
    nested, long = [], []
    for number, row in enumerate(wide):
        premise, hypothesis = ({c: row[f"{part}_{c}"] for c in codes} for part in ("premise", "hypothesis"))
        both = {"language": list(codes), "translation": list(hypothesis.values())}
        nested.append({"premise": premise, "hypothesis": both, "label": XNLI_LABELS[row["gold_label"]]})
        long += [
            {"language": c, "gold_label": row["gold_label"], "sentence1": premise[c], "sentence2": hypothesis[c],
             "pairID": number} for c in codes
        ]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(nested), tmp_path / "hub.parquet")
    rows.write(tmp_path / "hub.jsonl", nested)
    rows.write(tmp_path / "long.jsonl", long)
    for name in ("hub.jsonl", "hub.parquet", "long.jsonl"):
        for got, want in zip(read(tmp_path / name, languages=codes), expected, strict=True):
            assert (got.context, got.question, got.label) == (want.context, want.question, want.label)


@pytest.mark.parametrize("seed", range(5))
def test_a_damaged_parquet_file_is_one_line(tmp_path, seed):
    path = tmp_path / "mine.parquet"
    pq.write_table(pa.Table.from_pylist(FLAT * 20), path, write_page_checksum=True)
    whole = path.read_bytes()
    draw = random.Random(seed)
    refused = 0
    for _ in range(30):
        data = bytearray(whole)
        if draw.random() < 0.3:
            del data[draw.randrange(4, len(data)) :]
        for _ in range(draw.choice((1, 3, 40))):
            data[draw.randrange(4, len(data))] ^= draw.randrange(1, 256)
        path.write_bytes(data)
        try:
            list(read(path))
        except DataError as error:
            refused += "\n" not in str(error)
    assert refused > 20

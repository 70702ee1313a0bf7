"""Each reader on small files of its format, and every kind of broken file."""

from __future__ import annotations

import gzip
import json

import pytest

from xlprobe import DataError, ParallelSample
from xlprobe.samples import readers
from xlprobe.samples.readers import Rejections
from xlprobe.samples.readers.leap_of_thought import negated
from xlprobe.samples.readers.ruletaker import sentences

THEORY = {
    "id": "T-1",
    "context": "Anne is kind. If someone is kind then they are big.",
    "questions": [
        {"text": "Anne is big.", "label": True, "meta": {"QDep": 1}},
        {"text": "Anne is red.", "label": False, "meta": {"QDep": 0}},
    ],
}
FRENCH = {
    "id": "T-1",
    "context": "Anne est gentille. Si quelqu'un est gentil, il est grand.",
    "questions": [
        {"text": "Anne est grande.", "label": True, "meta": {"QDep": 1}},
        {"text": "Anne est rouge.", "label": False, "meta": {"QDep": 0}},
    ],
}
LEAP = {"id": "a", "context": "A bee is an insect. An insect has legs.", "phrase": "A bee has legs.", "answer": 1}


def write(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def problems():
    return [
        ParallelSample(f"k{n}", f"g{n // 2}", "d", {"en": ("A b.", "C."), "ar": ("ا ب.", "ج.")}, {"en": "Q?", "ar": "س"}, n % 2, n, {"x": [n]})
        for n in range(4)
    ]


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
def test_the_own_format_comes_back_as_it_was(tmp_path, name):
    samples = problems()
    assert readers.write_jsonl(samples, tmp_path / name) == 4
    assert list(readers.read(tmp_path / name)) == samples
    first = (tmp_path / name).read_bytes()
    readers.write_jsonl(samples, tmp_path / name)
    assert (tmp_path / name).read_bytes() == first
    (narrow, *_) = readers.read(tmp_path / name, languages=["ar"])
    assert narrow.languages == ("ar",)
    with pytest.raises(DataError, match="exists in en ar, not in 'fr'"):
        list(readers.read(tmp_path / name, languages=["fr"]))


def test_a_failed_write_leaves_what_was_there(tmp_path):
    path = tmp_path / "a.jsonl"
    readers.write_jsonl(problems(), path)
    before = path.read_bytes()

    def failing():
        yield problems()[0]
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        readers.write_jsonl(failing(), path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.jsonl"]


def test_ruletaker_gives_a_problem_for_each_question(tmp_path):
    path = write(tmp_path / "dev.jsonl", [THEORY])
    first, second = readers.read(path)
    assert first.context == {"en": ("Anne is kind.", "If someone is kind then they are big.")}
    assert (first.label, first.depth, second.label, second.depth) == (1, 1, 0, 0)
    assert first.group == second.group != first.key
    assert [s.depth for s in readers.read(path, max_depth=0)] == [0]


def test_translated_ruletaker_is_joined_sentence_by_sentence(tmp_path):
    for code, row in (("en", THEORY), ("fr", FRENCH)):
        write(tmp_path / code / "original" / "depth-1" / "dev.jsonl", [row])
    (first, _) = readers.read(tmp_path, depth="depth-1")
    assert first.context["fr"] == ("Anne est gentille.", "Si quelqu'un est gentil, il est grand.")
    assert first.pair("fr", "en").question == "Anne is big."
    short = FRENCH | {"context": "Anne est gentille."}
    write(tmp_path / "fr" / "original" / "depth-1" / "dev.jsonl", [short])
    found = Rejections()
    assert list(readers.read_ruletaker(tmp_path, depth="depth-1", rejections=found)) == []
    assert found.counts() == {"sentence counts differ": 1}
    write(tmp_path / "fr" / "original" / "depth-1" / "dev.jsonl", [FRENCH, FRENCH])
    with pytest.raises(DataError, match="ends before the others"):
        list(readers.read_ruletaker(tmp_path, depth="depth-1"))


def test_pararule_labels_and_depths_are_strings(tmp_path):
    row = THEORY | {"questions": [{"text": "Anne is big.", "label": "true", "meta": {"QDep": "2"}}]}
    (sample,) = readers.read(write(tmp_path / "p.jsonl", [row]))
    assert (sample.dataset, sample.label, sample.depth) == ("pararule-plus", 1, 2)


def test_leap_of_thought_and_its_negation(tmp_path):
    path = write(tmp_path / "l.jsonl", [LEAP | {"id": str(n)} for n in range(40)])
    plain = list(readers.read(path))
    assert plain[0].context["en"] == ("A bee is an insect.", "An insect has legs.")
    assert {s.label for s in plain} == {1}
    mixed = list(readers.read(path, negate=True, seed=1))
    assert mixed == list(readers.read(path, negate=True, seed=1))
    assert 8 <= sum(s.label == 0 for s in mixed) <= 32
    for sample in mixed:
        assert sample.question["en"] == ("A bee has legs." if sample.label else "A bee does not have legs.")


@pytest.mark.parametrize(
    ("statement", "opposite"),
    [
        ("A bee is part of hive.", "A bee is not part of hive."),
        ("A reed has a vacuole.", "A reed does not have a vacuole."),
        ("A drake desires fly.", "A drake does not desire fly."),
        ("A may does not have a snout.", "A may has a snout."),
        ("A bee is not capable of swim.", "A bee is capable of swim."),
        ("Bees sing.", None),
    ],
)
def test_statements_are_negated(statement, opposite):
    assert negated(statement) == opposite


def test_xnli_as_rows_and_as_tables(tmp_path):
    row = {"premise_en": "A.", "premise_fr": "B.", "hypothesis_en": "C.", "hypothesis_fr": "D.", "gold_label": "neutral"}
    (wide,) = readers.read(write(tmp_path / "x.jsonl", [row]))
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "dev-en.tsv").write_text("A.\tC.\tneutral\r\n")
    (tmp_path / "t" / "dev-fr.tsv").write_text("B.\tD.\tneutral\n")
    (table,) = readers.read(tmp_path / "t")
    assert wide == table
    assert wide.label == 1
    assert wide.pair("fr", "en").context == ("B.",)
    (tmp_path / "t" / "dev-fr.tsv").write_text("B.\tD.\tentailment\n")
    with pytest.raises(DataError, match="label is .* across languages"):
        list(readers.read(tmp_path / "t"))


def test_parallel_text_makes_pairs_of_a_sentence_and_its_translation(tmp_path):
    path = tmp_path / "p.tsv"
    path.write_text("\ufeffen\tfa\nHello.\tسلام.\nline\u2028sep\tدو\n", encoding="utf-8")
    first, second = readers.read(path)
    assert first.pair("en", "fa").question == "سلام."
    assert second.context["en"] == ("line\u2028sep",)


def test_token_tags_become_languages_of_characters(tmp_path):
    row = {"text": "Ja, çok gut!", "tokens": ["Ja", ",", "çok", "gut", "!"], "csid": ["DE", "OTHER", "TR", "MIXED", "OTHER"]}
    (sample,) = readers.read_token_tagged(write(tmp_path / "s.jsonl", [row]))
    assert sample.word_languages == ((0, 2, "de"), (2, 3, "de"), (4, 7, "tr"), (8, 11, "mul"), (11, 12, "mul"))
    with pytest.raises(DataError, match="line 1: the token 'gut'"):
        list(readers.read_token_tagged(write(tmp_path / "s.jsonl", [row | {"text": "Ja, çok!"}])))
    with pytest.raises(DataError, match="5 tokens and 1 tags"):
        list(readers.read_token_tagged(write(tmp_path / "s.jsonl", [row | {"csid": ["DE"]}])))


def test_hugging_face_datasets_are_read():
    datasets = pytest.importorskip("datasets")
    rows = {"context_en": ["A. B."], "question_en": ["Q?"], "context_fr": ["C. D."], "question_fr": ["R ?"], "label": [1]}
    (sample,) = readers.read_dataset(datasets.Dataset.from_dict(rows))
    assert sample.pair("en", "fr").context == ("A.", "B.")
    with pytest.raises(DataError, match="row 0: question_fr is None"):
        list(readers.read_dataset([{"context_en": "A.", "context_fr": "B.", "question_en": "Q", "label": 0}]))


def test_sentences_end_in_every_script():
    assert sentences("Anne is kind. Bob is big.") == ("Anne is kind.", "Bob is big.")
    assert sentences("安妮很善良。鲍勃很大。") == ("安妮很善良。", "鲍勃很大。")
    assert sentences("آیا آن مهربان است؟ باب بزرگ است.") == ("آیا آن مهربان است؟", "باب بزرگ است.")


BROKEN = [
    (b"", "is empty"),
    (b"\n\n", "is empty"),
    (b'{"id": 1', "line 1: is none of the known formats"),
    (json.dumps(THEORY).encode() + b"\n{nonsense\n", "line 2: is not JSON"),
    (json.dumps(THEORY).encode() + b"\n[1]\n", "line 2: got a list"),
    (json.dumps({**THEORY, "id": 7}).encode(), "line 1: 'id' is 7; expected str"),
    (json.dumps({**THEORY, "questions": [{"text": "A.", "label": "maybe"}]}).encode(), "label 'maybe'"),
    (json.dumps({**THEORY, "questions": [{"label": True}]}).encode(), "question 1: has no 'text'"),
    (json.dumps({**THEORY, "context": "  "}).encode(), "the context is empty"),
    (b'{"context": {"en": []}, "key": "a"}', "expected a list of sentences"),
    (b'{"context": {"xx": ["A."]}, "key": "a"}', "unknown language 'xx'"),
    (b'{"context": {"en": ["A."], "fr": ["B.", "C."]}, "key": "a"}', "aligned by position"),
    (b'{"context": {"en": ["A."]}, "key": "a"}\n{"context": {"en": ["A."]}, "key": "a"}', "line 2: the key 'a'"),
    (b'{"context": {"en": ["A."]}, "key": "a", "label": true}', "'label' is True; expected int"),
    (b"en\tfr\nonly one column\n", "line 2: has 1 columns; expected 2"),
    (b"en\tfr\nA\t \n", "line 2: has no text in fr"),
    (b"en\tfr\n", "has a header and no rows"),
    (b"en\ten\nA\tB\n", "expected different language codes"),
    (b"\xff\xfe\x00", "UTF-8|known formats"),
    (b'{"premise_en": "A", "hypothesis_en": "B", "gold_label": "-"}', "has the label '-'"),
    (json.dumps({**LEAP, "answer": 3}).encode(), "expected 0 or 1"),
]


@pytest.mark.parametrize(("content", "message"), BROKEN)
def test_a_broken_file_is_named_with_its_line(tmp_path, content, message):
    path = tmp_path / "broken.jsonl"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message) as error:
        list(readers.read(path))
    assert "broken.jsonl" in str(error.value) or "unknown language" in str(error.value)


def test_a_cut_archive_is_named(tmp_path):
    path = tmp_path / "a.jsonl.gz"
    whole = gzip.compress("".join(json.dumps(THEORY | {"id": f"T{n}"}) + "\n" for n in range(500)).encode())
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"a\.jsonl\.gz, after line"):
        list(readers.read(path, format="ruletaker"))


def test_specifications(tmp_path):
    path = tmp_path / "a.jsonl"
    path.touch()
    assert readers.parse_spec(f"{path}:ruletaker") == (path, "ruletaker")
    assert readers.parse_spec(str(path)) == (path, None)
    with pytest.raises(DataError, match="got the format 'nonsense'"):
        readers.parse_spec(f"{path}:nonsense")
    with pytest.raises(DataError, match="does not exist"):
        list(readers.read(tmp_path / "none"))


@pytest.mark.parametrize(
    ("name", "count", "languages"),
    [
        ("ruletaker/depth-0/dev.jsonl.gz", 10050, 1),
        ("ruletaker/NatLang/dev.jsonl.gz", 4004, 1),
        ("xnli/xnli.dev.15way.jsonl.gz", 2490, 15),
        ("leap_of_thought/hypernyms_training_mix_short_dev.jsonl.gz", 1289, 1),
        ("pararule_plus/Depth5_test.jsonl.gz", 2692, 1),
        ("ntrex/ntrex.8way.tsv", 1497, 8),
    ],
)
def test_real_files_are_read_whole(shared_data, name, count, languages):
    samples = list(readers.read(shared_data / name))
    assert len(samples) == count == len({sample.key for sample in samples})
    assert {len(sample.languages) for sample in samples} == {languages}


def test_real_code_switched_text_is_read_whole(shared_data):
    samples = list(readers.read_token_tagged(shared_data / "code_switched" / "sagt_tr_de.dev.sample.jsonl"))
    assert len(samples) == 400
    assert all(sample.context[0][start:end].strip() for sample in samples for start, end, _ in sample.word_languages)

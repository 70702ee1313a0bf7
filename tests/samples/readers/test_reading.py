from __future__ import annotations

import pytest

from xlprobe.errors import DataError
from xlprobe.samples import ParallelSample, Sample
from xlprobe.samples.readers import guess_format, parse_spec, read, write_jsonl


def test_formats_are_guessed(tmp_path, rows):
    write_jsonl([ParallelSample("a", "a", "d", {"en": ("A.",)})], tmp_path / "jsonl")
    (tmp_path / "parallel").write_text("en\tfr\nA\tB\n", encoding="utf-8")
    rows.write(tmp_path / "ruletaker", [rows.theory])
    rows.write(tmp_path / "pararule", [rows.theory | {"questions": [{"text": "A.", "label": "true"}]}])
    rows.write(tmp_path / "leap_of_thought", [rows.leap])
    rows.write(tmp_path / "xnli", [rows.xnli])
    rows.write(tmp_path / "tagged", [rows.tagged])
    files = sorted(tmp_path.iterdir())
    assert len(files) == 7
    for path in files:
        assert guess_format(path) == path.name
        (first, *_) = read(path)
        assert isinstance(first, Sample if path.name == "tagged" else ParallelSample)


def test_layouts_of_directories_are_guessed(tmp_path, rows):
    rows.write(tmp_path / "a" / "en" / "original" / "depth-3" / "dev.jsonl", [rows.theory])
    rows.write(tmp_path / "b" / "en" / "randomized_hypernyms_training_mix_short_dev.jsonl", [rows.leap])
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "dev-en.tsv").write_text("A\tB\tneutral\n", encoding="utf-8")
    assert [guess_format(tmp_path / name) for name in "abc"] == ["ruletaker", "leap_of_thought", "xnli"]
    for name in "abc":
        (first, *_) = read(tmp_path / name)
        assert first.languages == ("en",)
    with pytest.raises(DataError, match="has no file in any language; expected one for each"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "a is empty"),
        (b"\r\n\n", "a is empty"),
        (b'{"id": 1', "a, line 1: is not JSON"),
        (b"[1]", "a, row 0: got an integer; expected a JSON object"),
        (
            b'\n{"a": 1}',
            "a, line 2: is none of the known formats, by its columns 'a'.*PATH:FORMAT with one of jsonl, ruletaker",
        ),
        (b'{"context_en": "A."', "a, line 1: is not JSON"),
        (b"first\tsecond\na\tb\n", "a, line 2: is none of the known formats, by its columns 'first', 'second'"),
        (b"just text\n", "its first line is 'just text'; expected rows"),
        (b"\xff\xfe\x00", "a, line 1: is not UTF-8"),
    ],
)
def test_what_is_of_no_known_format_is_an_error(tmp_path, content, message):
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read(tmp_path / "a")


@pytest.mark.parametrize(
    "form", ["jsonl", "ruletaker", "leap_of_thought", "xnli", "pararule", "parallel", "tagged", "flat"]
)
def test_an_empty_file_is_an_error_in_every_format(tmp_path, form):
    (tmp_path / "a").touch()
    with pytest.raises(DataError, match="a is empty"):
        list(read(tmp_path / "a", form))


def test_what_leaves_nothing_is_an_error(tmp_path, rows):
    path = rows.write(tmp_path / "a", [rows.theory | {"questions": []}])
    with pytest.raises(DataError, match="a holds no ruletaker samples that can be used"):
        list(read(path))


def test_languages_are_passed_on(tmp_path, rows):
    (sample,) = read(rows.write(tmp_path / "x", [rows.xnli]), languages="fr")
    assert sample.languages == ("fr",)
    pararule = rows.write(tmp_path / "p", [rows.theory | {"questions": [{"text": "A.", "label": "true"}]}])
    assert len(list(read(pararule, languages=["en"]))) == 1
    with pytest.raises(DataError, match="is in English only; ask for en; got the languages en fr"):
        read(pararule, languages="en fr")
    with pytest.raises(DataError, match="holds its languages inside its sentences"):
        read(rows.write(tmp_path / "t", [rows.tagged]), languages="de")


def test_bad_arguments_are_named_at_once(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        read(tmp_path / "none")
    (tmp_path / "a").write_text("{}", encoding="utf-8")
    with pytest.raises(DataError, match="got the format 'nonsense'; expected one of jsonl"):
        read(tmp_path / "a", "nonsense")
    with pytest.raises(DataError, match="got the language 'x1'"):
        read(tmp_path / "a", "jsonl", "x1")


def test_specifications(tmp_path):
    path = tmp_path / "a:b.jsonl"
    path.touch()
    assert parse_spec(f"{path}:ruletaker") == (path, "ruletaker")
    assert parse_spec(str(path)) == (path, None)
    assert parse_spec("none.jsonl:tagged")[1] == "tagged"
    with pytest.raises(DataError, match="got the format 'nonsense'"):
        parse_spec(f"{path}:nonsense")

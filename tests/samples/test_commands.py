from __future__ import annotations

import gzip
import json

import pytest

from xlprobe.cli import app, run
from xlprobe.samples import generate, read_jsonl, write_jsonl


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_generate_writes_what_the_function_gives(tmp_path, capsys):
    out = tmp_path / "made.jsonl"
    asked = ["data", "generate", str(out), "--theories", "4", "--depth", "0 1", "--languages", "en, fr", "--seed", "3"]
    assert run(app, [*asked, "--facts", "4-5", "--rules", "2"]) == 0
    printed = capsys.readouterr()
    assert "8 problems in en fr" in printed.out
    assert "8 of 8" in printed.err
    expected = generate(theories=4, depth=(0, 1), languages=("en", "fr"), seed=3, facts=(4, 5), rules=(2, 2))
    assert list(read_jsonl(out)) == expected


def test_generate_takes_weights_of_depths(tmp_path, capsys):
    out = tmp_path / "made.jsonl.gz"
    asked = ["data", "generate", str(out), "--theories", "10", "--depth", "0:4 2:1", "--languages", "en", "--quiet"]
    assert run(app, asked) == 0
    assert capsys.readouterr().err == ""
    with gzip.open(out, "rt", encoding="utf-8") as file:
        depths = [json.loads(line)["depth"] for line in file]
    assert sorted(depths) == [0] * 16 + [2] * 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["x.txt"], "expected a name that ends in .jsonl"),
        (["x.jsonl", "--depth", "deep"], "expected depths, such as '0 1 2'"),
        (["x.jsonl", "--facts", "many"], "got --facts 'many'"),
        (["x.jsonl", "--languages", "en xx"], "no grammar for 'xx'"),
        (["x.jsonl", "--rules", "999"], "got rules=(999, 999); expected a smallest and a largest number, from 0 to 40"),
    ],
)
def test_generate_explains_bad_options(tmp_path, monkeypatch, capsys, options, message):
    monkeypatch.chdir(tmp_path)
    assert run(app, ["data", "generate", "--quiet", *options]) == 1
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_convert_keeps_the_languages_asked_for(tmp_path, capsys):
    source, out = tmp_path / "source.jsonl", tmp_path / "out.jsonl"
    samples = generate(theories=3, questions=1, languages=("en", "fr", "zh"))
    write_jsonl(samples, source)
    assert run(app, ["data", "convert", str(source), str(out), "--languages", "zh en", "--limit", "2"]) == 0
    assert "2 problems" in capsys.readouterr().out
    rows = lines(out)
    assert [row["key"] for row in rows] == [sample.key for sample in samples[:2]]
    assert [list(row["question"]) for row in rows] == [["zh", "en"]] * 2


def test_convert_lists_what_was_left_out(tmp_path, capsys):
    base = tmp_path / "data"
    for code, sentences in (("en", "Anne is big. Bob is red."), ("fr", "Anne est grande.")):
        folder = base / code / "original" / "depth-3"
        folder.mkdir(parents=True)
        rows = [
            {"id": "a", "context": sentences, "questions": [{"text": "Anne is big.", "label": True}]},
            {"id": "b", "context": "Anne is big.", "questions": [{"text": "Anne is big.", "label": True}]},
        ]
        (folder / "dev.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    out, rejected = tmp_path / "out.jsonl", tmp_path / "rejected.jsonl"
    assert run(app, ["data", "convert", f"{base}:ruletaker", str(out), "--rejected", str(rejected)]) == 0
    assert [row["group"] for row in lines(out)] == ["ruletaker-b"]
    (remark,) = lines(rejected)
    assert remark["kind"] == "sentence counts differ"
    assert "sentence counts differ" in capsys.readouterr().err


def test_convert_refuses_text_that_mixes_languages_inside_a_sentence(tmp_path, capsys):
    source = tmp_path / "mixed.jsonl"
    row = {"text": "hello monde", "tokens": ["hello", "monde"], "csid": ["EN", "FR"]}
    source.write_text(json.dumps(row) + "\n", encoding="utf-8")
    assert run(app, ["data", "convert", f"{source}:tagged", str(tmp_path / "out.jsonl")]) == 1
    assert "mix languages" in capsys.readouterr().err
    assert not (tmp_path / "out.jsonl").exists()


def test_show_prints_every_language_and_the_proof(tmp_path, capsys):
    source = tmp_path / "source.jsonl"
    samples = generate(theories=4, questions=2, depth=(0, 1), languages=("en", "fr", "ar"))
    write_jsonl(samples, source)
    wanted = next(one for one in samples if one.depth == 1 and one.meta["proof"])
    assert run(app, ["data", "show", str(source), "--key", wanted.key, "--width", "300"]) == 0
    printed = capsys.readouterr().out
    assert all(unit in printed for units in wanted.context.values() for unit in units)
    assert all(text in printed for text in wanted.question.values())
    assert f"depth 1: {wanted.meta['proof'][-1]['gives']}" in printed


def test_show_takes_generated_problems_and_picks_by_depth(capsys):
    assert run(app, ["data", "show", "--depth", "1", "--languages", "en zh", "--width", "100"]) == 0
    printed = capsys.readouterr().out
    assert "proof depth 1" in printed
    assert "Chinese (zh)" in printed
    assert "French" not in printed


def test_show_names_what_is_missing(tmp_path, capsys):
    source = tmp_path / "source.jsonl"
    write_jsonl(generate(theories=1, questions=1, depth=0, languages=("en",)), source)
    assert run(app, ["data", "show", str(source), "--number", "2"]) == 1
    assert "has no problem with number 2" in capsys.readouterr().err
    assert run(app, ["data", "show", str(source), "--key", "nobody"]) == 1
    assert "the key 'nobody'" in capsys.readouterr().err


def test_convert_reads_from_a_store_and_writes_here(tmp_path, memory, capsys):
    write_jsonl(generate(theories=3, questions=1, languages=("en", "fr", "zh")), tmp_path / "source.jsonl.gz")
    memory.put_file(str(tmp_path / "source.jsonl.gz"), "/bucket/source.jsonl.gz")
    given = ["data", "convert", "memory://bucket/source.jsonl.gz:jsonl"]
    assert run(app, [*given, str(tmp_path / "out.jsonl")]) == 0
    assert list(read_jsonl(tmp_path / "out.jsonl")) == list(read_jsonl(tmp_path / "source.jsonl.gz"))
    assert run(app, [*given, "memory://bucket/out.jsonl"]) == 1
    assert "got the address memory://bucket/out.jsonl" in capsys.readouterr().err

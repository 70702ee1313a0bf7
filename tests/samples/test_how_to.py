"""What docs/how-to says about samples is so."""

from __future__ import annotations

import re
from pathlib import Path

from xlprobe.samples import read_jsonl, write_jsonl
from xlprobe.samples.readers import FORMATS

HOW_TO = Path(__file__).parents[2] / "docs" / "how-to"


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (HOW_TO / page).read_text(encoding="utf-8"), re.DOTALL)


def test_the_lines_of_the_own_format_are_read_and_written_back(tmp_path):
    (lines,) = blocks("own_data_set.md", "json")
    path = tmp_path / "mine.jsonl"
    path.write_text(lines, encoding="utf-8")
    problems = list(read_jsonl(path))
    assert [(p.key, p.group, p.dataset, p.label, p.depth) for p in problems] == [
        ("visit-1", "visit", "mine", 1, 1),
        ("visit-2", "visit", "jsonl", 0, None),
        ("sentence-1", "sentence-1", "jsonl", None, None),
    ]
    write_jsonl(problems, tmp_path / "again.jsonl")
    assert list(read_jsonl(tmp_path / "again.jsonl")) == problems


def test_every_format_is_in_the_table():
    text = (HOW_TO / "own_data_set.md").read_text(encoding="utf-8")
    assert [name for name in FORMATS if name != "jsonl" and f"| `{name}` |" not in text] == []


def test_the_data_set_of_the_example_is_read():
    (code,) = blocks("own_data_set.md", "python")
    exec(compile(code, "own_data_set.md", "exec"), {})


def test_the_sentences_of_the_example_are_those_of_the_grammar():
    from xlprobe.samples.rulebase import parse_statement, verbalise

    text = (HOW_TO / "add_a_language.md").read_text(encoding="utf-8")
    sentences = (
        "Anne is kind.",
        "The lion does not like Anne.",
        "Kind people are big.",
        "All kind people are not big.",
    )
    for said in (verbalise(parse_statement(english), "tr").rstrip(".") for english in sentences):
        small = {"İ": "i"}.get(said[0], said[0].lower()) + said[1:]
        assert said in text or small in text


def test_a_model_is_fed_from_transformers_as_the_page_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code = "\n".join(blocks("transformers.md", "python"))
    exec(compile(code, "transformers.md", "exec"), {"__name__": "page"})

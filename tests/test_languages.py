from __future__ import annotations

import json
from dataclasses import replace

import pytest

from xlprobe import Results, save
from xlprobe.cli import app, run
from xlprobe.errors import DataError
from xlprobe.languages import KNOWN_LANGUAGES, LANGUAGES, Language, get_language, register
from xlprobe.samples import read, write_jsonl
from xlprobe.samples.preview_html import problem_html

UNKNOWN = "eo"


@pytest.mark.parametrize(("code", "between"), [("zh", ""), ("ja", ""), ("th", " "), ("ar", " "), ("en", " ")])
def test_sentences_are_parted_as_the_language_does(code, between):
    assert get_language(code).separator == between


def test_the_known_are_told_apart():
    assert list(KNOWN_LANGUAGES)[:8] == list(LANGUAGES)
    assert all(code == one.code for code, one in KNOWN_LANGUAGES.items())
    assert len({one.name for one in KNOWN_LANGUAGES.values()}) == len(KNOWN_LANGUAGES)
    assert {code for code, one in KNOWN_LANGUAGES.items() if one.direction == "rtl"} == {"ar", "fa", "he", "ur"}


@pytest.mark.parametrize("text", ["", "e", "EN", "english", "x1", "en-us"])
def test_what_is_no_code_is_refused(text):
    with pytest.raises(DataError, match="expected a code of two or three letters"):
        get_language(text)


def test_more_can_be_said_about_a_language(monkeypatch):
    monkeypatch.setattr("xlprobe.languages.KNOWN_LANGUAGES", dict(KNOWN_LANGUAGES))
    assert get_language("ug") == Language("ug", "ug", "ug", "Zzzz", "ltr", "unknown")
    register(Language("ug", "Uyghur", "ئۇيغۇرچە", "Arab", "rtl", "Turkic"))
    assert get_language("ug").direction == "rtl"


@pytest.fixture
def problems(tiny):
    """Problems in English and in a language that nobody told the toolkit of."""
    return [
        replace(
            one,
            context={"en": one.context["en"], UNKNOWN: one.context["fr"]},
            question={"en": one.question["en"], UNKNOWN: one.question["fr"]},
        )
        for one in tiny.problems(6, 2)
    ]


def test_an_unknown_language_is_measured_and_drawn(problems, tiny_checkpoints, tmp_path):
    checkpoint = save(tiny_checkpoints("bert", "ForSequenceClassification"), tmp_path / "tiny")
    file, out = tmp_path / "problems.jsonl", tmp_path / "out"
    write_jsonl(problems, file)
    asked = ["--checkpoint", str(checkpoint), "--samples", str(file), "--languages", f"en {UNKNOWN}"]
    assert run(app, ["report", *asked, "--metrics", "js_stability,mass_lift,correct", "--out", str(out)]) == 0
    assert set(Results.load(out).unique("question_language")) == {"en", UNKNOWN}
    assert UNKNOWN in (out / "stability_by_layer.csv").read_text()
    assert f"en, {UNKNOWN}" in (out / "report.html").read_text()


def test_an_unknown_language_is_read_from_every_format(problems, tmp_path):
    lines = {code: [" ".join(one.context[code]) for one in problems] for code in ("en", UNKNOWN)}
    table = tmp_path / "table.tsv"
    rows = zip(lines["en"], lines[UNKNOWN], strict=True)
    table.write_text(f"en\t{UNKNOWN}\n" + "".join(f"{one}\t{two}\n" for one, two in rows), encoding="utf-8")
    assert [one.question for one in read(table)] == [
        {"en": one, UNKNOWN: two} for one, two in zip(lines["en"], lines[UNKNOWN], strict=True)
    ]
    xnli = tmp_path / "xnli.jsonl"
    row = {f"{part}_{code}": "Anne." for part in ("premise", "hypothesis") for code in ("en", UNKNOWN)}
    xnli.write_text(json.dumps({**row, "label": 0}) + "\n", encoding="utf-8")
    (sample,) = read(xnli)
    assert set(sample.languages) == {"en", UNKNOWN}


def test_an_unknown_language_is_shown(problems, tmp_path, capsys):
    file = tmp_path / "problems.jsonl"
    write_jsonl(problems, file)
    assert run(app, ["data", "show", str(file), "--width", "200"]) == 0
    assert f"{UNKNOWN} ({UNKNOWN})" in capsys.readouterr().out
    assert f'lang="{UNKNOWN}"' in problem_html(problems[0])

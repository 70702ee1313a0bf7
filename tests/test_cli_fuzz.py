"""Whatever a command line holds: an answer, or a line that says what is wrong; never a fault that nobody foresaw."""

from __future__ import annotations

import random

import pytest

from xlprobe.cli import app, run

COMMANDS = (
    ["data", "show"],
    ["data", "convert", "ROWS", "OUT.jsonl"],
    ["measure", "-c", "/none"],
    ["report", "-c", "/none"],
    ["evaluate", "-c", "/none"],
    ["finetune", "RECIPE"],
    ["pretrain", "RECIPE"],
    ["ablate", "RECIPE"],
)
OPTIONS = (
    "--samples",
    "--languages",
    "--pairs",
    "--limit",
    "--seed",
    "--depths",
    "--trained-on",
    "--seeds",
    "--p-masks",
    "--query",
    "--base",
    "--data",
    "--number",
    "--key",
    "--depth",
    "--labels",
    "--layout",
    "--token-types",
    "--prefix",
    "--batch-size",
    "--device",
    "--metrics",
    "--results",
    "--steps",
    "--learning-rate",
)
VALUES = (
    "",
    "x",
    "-1",
    "0",
    "1",
    "nan",
    "1e9",
    "9" * 30,
    "en",
    "en fr",
    "en-fr",
    "xx-",
    "*",
    "/",
    "ROWS",
    "ROWS:xnli",
    "\0",
    "=",
    "a=b",
    "é",
    "\ud800",
    "x" * 5000,
    "~",
    "../..",
    "cuda",
    "generated:jsonl",
)


@pytest.mark.parametrize("count", [60, pytest.param(200, marks=pytest.mark.slow)])
def test_no_command_line_ends_in_a_traceback(tmp_path, monkeypatch, capsys, count):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ROWS").write_text('{"en": "A.", "fr": "B."}\n', encoding="utf-8")
    (tmp_path / "RECIPE").write_text('routine = "finetune"\nbase = "/none"\n', encoding="utf-8")
    draw, seen = random.Random(count), []
    for _ in range(count):
        line = [*draw.choice(COMMANDS)]
        for _ in range(draw.randrange(3)):
            line += [draw.choice(OPTIONS), draw.choice(VALUES)]
        seen.append((run(app, line), line))
        said = capsys.readouterr().err
        assert sum(text.startswith("error: ") for text in said.splitlines()) == (seen[-1][0] == 1), line
    assert not [line for status, line in seen if status not in (0, 1, 2)]
    assert {status for status, _ in seen} >= {1, 2}

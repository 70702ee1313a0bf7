"""The commands, as a user types them."""

from __future__ import annotations

import typer

from xlprobe.cli import run
from xlprobe.training.commands import register


def _app():
    app = typer.Typer()
    register(app)
    return app


def test_evaluate_writes_a_table(tiny, tmp_path, capsys):
    from xlprobe.samples.readers import write_jsonl

    checkpoint = tiny.checkpoint("bert", "ForSequenceClassification")
    checkpoint.model.save_pretrained(tmp_path / "model")
    checkpoint.tokenizer.save_pretrained(tmp_path / "model")
    write_jsonl(tiny.problems(3), tmp_path / "problems.jsonl")
    arguments = ["-c", str(tmp_path / "model"), "--samples", str(tmp_path / "problems.jsonl"), "--languages", "en fr"]
    assert run(_app(), ["evaluate", *arguments, "--trained-on", "en-en", "--out", str(tmp_path / "out")]) == 0
    assert "accuracy" in capsys.readouterr().out
    lines = (tmp_path / "out" / "accuracy.csv").read_text().splitlines()
    assert len(lines) == 1 + 4
    assert (tmp_path / "out" / "results.parquet").is_file()


def test_errors_are_one_line(tmp_path, capsys):
    assert run(_app(), ["finetune", str(tmp_path / "none.toml")]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: cannot read the recipe")
    assert len(error.splitlines()) == 1

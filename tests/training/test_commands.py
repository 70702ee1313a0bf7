"""The commands, as a user types them."""

from __future__ import annotations

import pandas as pd
import pytest
import torch
import typer
from decoders import save_decoder
from safetensors.torch import save_file

from xlprobe import save
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


def test_evaluate_asks_a_causal_model_as_it_is_told(tiny, tmp_path, capsys):
    from xlprobe.checkpoints import load
    from xlprobe.encoders.answers import answer_logits
    from xlprobe.samples.readers import write_jsonl

    place, problems = save_decoder(tmp_path), tiny.problems(3, 2, ("en", "fr"))
    write_jsonl(problems, tmp_path / "problems.jsonl")
    given = ["evaluate", "-c", str(place), "--samples", str(tmp_path / "problems.jsonl"), "--languages", "en fr"]
    said = ["--template", r"{context}\n{question} {choices}?\n:", "--answers", "no, yes"]
    assert run(_app(), [*given, *said, "--out", str(tmp_path / "said")]) == 0
    assert run(_app(), [*given, "--out", str(tmp_path / "own")]) == 0
    said, own = (pd.read_parquet(tmp_path / out / "results.parquet") for out in ("said", "own"))
    assert len(said) == len(own) == 2 * 4 * len(problems)
    assert not said.value.equals(own.value)
    checkpoint = load(place, template="{context}\n{question} {choices}?\n:", answers=["no", "yes"])
    sample = problems[1].pair("en", "fr")
    with torch.no_grad():
        no, yes = answer_logits(checkpoint.model, checkpoint.encoder().encode([sample]))[0].tolist()
    row = said[(said["sample"] == sample.key) & (said.context_language == "en") & (said.question_language == "fr")]
    margin = float(row[row.metric == "gold_margin"].value.iloc[0])
    assert margin == pytest.approx((yes - no) * (1 if sample.label else -1), abs=1e-4)
    assert run(_app(), [*given, "--template", "{question}", "--out", str(tmp_path / "none")]) == 1
    assert "got the template" in capsys.readouterr().err


def test_errors_are_one_line(tmp_path, capsys):
    assert run(_app(), ["finetune", str(tmp_path / "none.toml")]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: cannot read the recipe")
    assert len(error.splitlines()) == 1


def _write_query(path, what):
    name = "bert.encoder.layer.0.attention.self."
    if what == "another tensor":
        save_file({f"{name}query.weight": torch.zeros(2, 2)}, path)
    elif what == "a tensor more":
        save_file({f"{name}cross_lingual_query.{part}": torch.zeros(2) for part in ("weight", "bias", "scale")}, path)
    elif what == "NaN":
        save_file(
            {f"{name}cross_lingual_query.{part}": torch.tensor([float("nan")]) for part in ("weight", "bias")}, path
        )
    elif what == "another width":
        layers = [name.replace("0", str(layer)) for layer in range(2)]
        save_file({f"{n}cross_lingual_query.{p}": torch.zeros(2) for n in layers for p in ("weight", "bias")}, path)
    elif what == "text":
        path.write_text("no weights")
    elif what == "a directory":
        path.mkdir()


@pytest.mark.parametrize("command", ["finetune", "ablate"])
@pytest.mark.parametrize(
    ("name", "what", "message"),
    [
        ("query.safetensors", "another tensor", "expected only encoder.layer.N.attention.self.cross_lingual_query"),
        ("query.safetensors", "a tensor more", "expected only"),
        ("query.safetensors", "NaN", "holds NaN or infinite values"),
        ("query.safetensors", "another width", "the Q_cross is of another width"),
        ("query.safetensors", "text", "expected a whole safetensors file"),
        ("query.pt", "text", "cannot be read as a file of torch.save"),
        ("query", "text", "cannot be read as a file of torch.save"),
        ("query", "a directory", "cannot be read"),
        ("query.safetensors", "a directory", "cannot read the weights"),
        ("query.pt", "nothing", "no such file"),
        ("query.safetensors", "nothing", "cannot read the weights"),
    ],
)
def test_a_query_that_is_none_is_one_line(tiny, tmp_path, capsys, command, name, what, message):
    save(tiny.checkpoint(), tmp_path / "base")
    _write_query(tmp_path / name, what)
    (tmp_path / "recipe.toml").write_text(
        f'''routine = "finetune"\nbase = "{tmp_path / "base"}"\nmechanism = "cross-query"\nsettings = {{ steps = 1 }}
evaluation = {{ source = "generated", theories = 1, languages = ["en"], facts = [2, 2], rules = [1, 1], depth = 0 }}
[[stages]]\nsource = "generated"\ntheories = 2\nlanguages = ["en", "fr"]\nfacts = [2, 2]\nrules = [1, 1]\ndepth = 0
'''
    )
    cells = ["--cells", "pre-trained/non-interfering"] if command == "ablate" else []
    line = [command, str(tmp_path / "recipe.toml"), "--query", str(tmp_path / name), "--out", str(tmp_path / "out")]
    assert run(_app(), [*line, *cells]) == 1
    said = capsys.readouterr().err
    assert said.count("error: ") == 1
    assert message in said.splitlines()[-1]

"""The how-to pages of the first days do what they say, on small saved checkpoints."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from xlprobe import save
from xlprobe.samples import generate, write_jsonl

PAGES = Path(__file__).parents[1] / "docs" / "how-to"


def blocks(page: str) -> str:
    """All Python of a page, as one program."""
    return "\n".join(re.findall(r"```python\n(.*?)```", (PAGES / page).read_text(encoding="utf-8"), re.DOTALL))


@pytest.fixture
def place(tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with what the pages speak of: saved checkpoints and a file of problems."""
    for number, name in enumerate(("mine", "before", "seed0", "seed1", "seed2")):
        save(tiny.checkpoint("bert", "ForSequenceClassification", seed=number), tmp_path / "runs" / name)
    problems = generate(8, languages=("en", "fr", "zh"), seed=0, facts=(2, 3), rules=(1, 1), questions=2)
    write_jsonl(problems, tmp_path / "problems.jsonl")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_ten_minutes_and_week_one(place: Path) -> None:
    program = blocks("ten_minutes.md") + "\n" + blocks("week_one.md")
    known: dict[str, Any] = {}
    exec(compile(program, "the how-to pages", "exec"), known)
    assert (place / "stability.pdf").stat().st_size > 2000
    assert "en & fr & " in (place / "accuracy.tex").read_text(encoding="utf-8")
    assert "8 theories" in (place / "summary.tex").read_text(encoding="utf-8")
    assert (place / "table" / "results.parquet").exists()
    assert known["pattern"].shape[-2:] == (len(known["tokens"]),) * 2
    assert known["change"]["n_groups"].max() == 8


def test_custom_checkpoint(tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch
    from decoders import save_decoder

    base = tiny.checkpoint("bert", "ForSequenceClassification")
    save(base, tmp_path / "runs" / "mbert-ruletaker")
    torch.save(base.model, tmp_path / "model.pt")
    save_decoder(tmp_path / "models")
    second = {
        f"encoder.layer.{number}.attention.self.cross_lingual_query.{name}": getattr(layer.attention.self.query, name)
        for number, layer in enumerate(base.model.base_model.encoder.layer)
        for name in ("weight", "bias")
    }
    torch.save(second, tmp_path / "query.pt")
    monkeypatch.chdir(tmp_path)
    # mBERT itself is not at hand; a small model of its kind is.
    program = blocks("custom_checkpoint.md").replace("bert-base-multilingual-cased", "runs/mbert-ruletaker")
    import xlprobe

    known: dict[str, Any] = {"xlprobe": xlprobe, "problems": tiny.problems(2)}
    known["base"] = xlprobe.load("runs/mbert-ruletaker")
    exec(compile(program, "custom_checkpoint.md", "exec"), known)
    assert len(known["results"].select(metric="js_stability")) > 0
    assert type(known["model"]).__name__ == "CrossQueryBertForSequenceClassification"
    assert xlprobe.load("runs/mine-delta").encoding["layout"] == "method"


COMMANDS = [
    (page.name, line)
    for page in [*sorted(PAGES.parents[0].rglob("*.md")), PAGES.parents[1] / "README.md"]
    if not {"_build", "gallery", "tutorials"} & set(page.parts)
    for block in re.findall(r"```bash\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    for line in re.sub(r"\\\n\s*", "", block).splitlines()
    if re.search(r"(^|-m )xlprobe(\.report)? ", line)
]


@pytest.mark.parametrize(("page", "line"), COMMANDS)
def test_commands_of_the_pages_have_options_that_exist(page: str, line: str) -> None:
    import shlex

    import typer

    from xlprobe.cli import app

    words = shlex.split(line.split("&&")[-1], comments=True)
    start = next(place for place, word in enumerate(words) if word in ("xlprobe", "xlprobe.report"))
    given = ["report", *words[start + 1 :]] if words[start] == "xlprobe.report" else words[start + 1 :]
    group = typer.main.get_command(app)
    context = group.make_context("xlprobe", list(given), resilient_parsing=False)
    _descend(group, context)


def _descend(group: Any, context: Any) -> None:
    """Parse a command line down to the last command, without running it."""
    while hasattr(group, "resolve_command"):
        left = [*context._protected_args, *context.args] if hasattr(context, "_protected_args") else context.args
        name, group, rest = group.resolve_command(context, left)
        context = group.make_context(name, list(rest), parent=context)

"""The how-to pages of the first days do what they say, on small saved checkpoints."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from xlprobe.samples import generate, write_jsonl

PAGES = Path(__file__).parents[1] / "docs" / "how-to"


def blocks(page: str) -> str:
    """All Python of a page, as one program."""
    return "\n".join(re.findall(r"```python\n(.*?)```", (PAGES / page).read_text(encoding="utf-8"), re.DOTALL))


@pytest.fixture
def place(tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with what the pages speak of: saved checkpoints and a file of problems."""
    for number, name in enumerate(("mine", "before", "seed0", "seed1", "seed2")):
        tiny.checkpoint("bert", "ForSequenceClassification", seed=number).save(tmp_path / "runs" / name)
    problems = generate(8, languages=("en", "fr", "zh"), seed=0, facts=(2, 3), rules=(1, 1), questions=2)
    write_jsonl(problems, tmp_path / "problems.jsonl")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_ten_minutes_and_week_one(place: Path) -> None:
    program = blocks("ten_minutes.md") + "\n" + blocks("week_one.md")
    known: dict[str, Any] = {}
    exec(compile(program, "the how-to pages", "exec"), known)
    assert (place / "stability.pdf").stat().st_size > 2000
    assert "\\toprule" in (place / "accuracy.tex").read_text(encoding="utf-8")
    assert (place / "table" / "results.parquet").exists()
    assert known["pattern"].shape[-2:] == (len(known["tokens"]),) * 2
    assert known["change"]["n_groups"].max() == 8

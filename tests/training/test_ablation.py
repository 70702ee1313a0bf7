"""The grid: its cells, its table, and going on after an interruption."""

from __future__ import annotations

import json

import pytest

from xlprobe.errors import TrainingError
from xlprobe.training import ablation
from xlprobe.training.ablation import ablate, grid
from xlprobe.training.recipes import make_recipe


@pytest.fixture
def recipe(tiny, tmp_path):
    checkpoint = tiny.checkpoint()
    checkpoint.model.save_pretrained(tmp_path / "base")
    checkpoint.tokenizer.save_pretrained(tmp_path / "base")
    from xlprobe.samples.readers import write_jsonl

    problems = tiny.problems(8)
    write_jsonl(problems[:10], tmp_path / "train.jsonl")
    write_jsonl(problems[10:], tmp_path / "test.jsonl")
    return make_recipe(
        {
            "routine": "finetune", "base": str(tmp_path / "base"), "mix": {"en-en": 1, "en-fr": 1}, "query": "copy",
            "settings": {"batch_size": 4, "dropout": 0.0, "device": "cpu"},
            "stages": [{"source": "file", "path": str(tmp_path / "train.jsonl"), "format": "jsonl", "steps": 2}],
            "evaluation": {"source": "file", "path": str(tmp_path / "test.jsonl"), "format": "jsonl"},
        }
    )  # fmt: skip


def test_cells_are_meaningful_and_different():
    cells = grid((0.3, 0.7))
    names = [cell.name for cell in cells]
    assert len(names) == len(set(names)) == 3 + 2 * 4
    assert "baseline" in names
    assert "copied/non-interfering" in names
    assert "pre-trained/interfering/dropout-0.7" in names
    assert all("non-interfering/dropout" not in name for name in names)
    with pytest.raises(TrainingError, match="between 0 and 1"):
        grid((1.0,))


def test_the_grid_is_trained_evaluated_and_resumed(recipe, tmp_path, monkeypatch):
    chosen = ["baseline", "baseline/dropout-0.5", "copied/non-interfering", "copied/interfering/dropout-0.5"]
    options = {"seeds": (0, 1), "p_masks": (0.5,), "only": chosen, "pairs": "en-en, en-fr"}
    table = ablate(recipe, tmp_path / "out", **options)
    assert len(table) == len(chosen) * 2 * 2
    assert set(table["seed"]) == {0, 1}
    assert set(table["checkpoint"]) == set(chosen)
    assert json.loads((tmp_path / "out" / "skipped.json").read_text()) == ablation.SKIPPED
    monkeypatch.setattr("xlprobe.training.runs.run_finetune", lambda *args: pytest.fail("trained again"))
    again = ablate(recipe, tmp_path / "out", **options)
    assert again["accuracy"].tolist() == table["accuracy"].tolist()


def test_bad_grids(recipe, tmp_path):
    from dataclasses import replace

    with pytest.raises(TrainingError, match="nonsense"):
        ablate(recipe, tmp_path / "x", only=["nonsense"])
    with pytest.raises(TrainingError, match="evaluation"):
        ablate(replace(recipe, evaluation=None), tmp_path / "x")
    with pytest.raises(TrainingError, match="pre-trained Q_cross"):
        ablate(recipe, tmp_path / "x")

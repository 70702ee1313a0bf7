"""Recipes say what they hold, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from xlprobe.errors import DataError, TrainingError
from xlprobe.training import read_recipe
from xlprobe.training.recipes import make_recipe

RECIPES = sorted((Path(__file__).resolve().parents[2] / "recipes").glob("*.toml"))
MINIMAL = {
    "routine": "finetune",
    "base": "bundled:encoder",
    "settings": {"steps": 5},
    "stages": [{"source": "generated"}],
}


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_shipped_recipe_reads(path):
    recipe = read_recipe(path)
    assert recipe.stages
    assert recipe.settings.total_steps(1000) > 0


def test_the_compared_recipes_differ_in_the_mechanism_only():
    from dataclasses import replace

    place = RECIPES[0].parent
    baseline, cross = (read_recipe(place / f"bundled_{name}.toml") for name in ("baseline", "cross_query"))
    assert replace(cross, name=baseline.name, mechanism="baseline") == baseline


def test_overrides():
    recipe = make_recipe(MINIMAL, base="other", learning_rate=0.5, seed=None, epochs=2.0)
    assert (recipe.base, recipe.settings.learning_rate, recipe.settings.steps, recipe.settings.epochs) == (
        "other",
        0.5,
        None,
        2.0,
    )


def test_stages_say_how_long():
    raw = {
        **MINIMAL,
        "settings": {},
        "stages": [{"source": "generated", "steps": 30}, {"source": "generated", "steps": 10}],
    }
    assert make_recipe(raw).settings.steps == 40
    assert [stage.steps for stage in make_recipe(raw, scale_to=4).stages] == [3, 1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"routine": "train"}, "routine"), ({"extra": 1}, "extra"), ({"settings": {"steps": 1, "lr": 1}}, "'lr'"),
        ({"stages": []}, r"\[\[stages\]\]"), ({"stages": [{"theories": 3}]}, "source"), ({"store": "1-bit"}, "1-bit"),
    ],
)  # fmt: skip
def test_bad_recipes(changes, message):
    with pytest.raises((TrainingError, DataError), match=message):
        make_recipe({**MINIMAL, **changes})


def test_bad_files(tmp_path):
    with pytest.raises(TrainingError, match="cannot read"):
        read_recipe(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("routine = ")
    with pytest.raises(TrainingError, match="not TOML"):
        read_recipe(tmp_path / "bad.toml")

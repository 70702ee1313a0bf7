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


@pytest.mark.parametrize("family", ["mbert", "xlm_r"])
def test_the_paper_s_recipes_have_its_numbers(family):
    pretrain, cross, bitfit, full = (
        read_recipe(RECIPES[0].parent / f"{family}_{name}.toml")
        for name in ("pretrain", "cross_query", "baseline_bitfit", "baseline")
    )
    assert ("roberta" in cross.base) == (family == "xlm_r")
    assert len({recipe.base for recipe in (pretrain, cross, bitfit, full)}) == 1
    numbers = pretrain.settings
    assert (numbers.steps, numbers.batch_size, numbers.learning_rate, len(pretrain.pairs)) == (500_000, 8, 2e-5, 6)
    assert (cross.p_mask, cross.cross_p_mask, cross.mix) == (0.7, 0.7, {"en-en": 0.5, "en-fr": 0.5})
    for recipe in (cross, bitfit):
        numbers = recipe.settings
        assert (recipe.tuning, numbers.learning_rate, numbers.epochs, numbers.batch_size) == ("bitfit", 4e-4, 35, 32)
    assert (full.tuning, full.settings.learning_rate, full.settings.epochs) == ("full", 1e-5, 4)
    assert cross.settings == bitfit.settings
    assert [recipe.mechanism for recipe in (cross, bitfit, full)] == ["cross-query", "baseline", "baseline"]


def test_a_recipe_extends_another(tmp_path):
    (tmp_path / "base.toml").write_text(
        'routine = "finetune"\nbase = "a"\n[mix]\n"en-en" = 1\n[settings]\nsteps = 5\nseed = 1\n'
        '[[stages]]\nsource = "generated"\n'
    )
    (tmp_path / "own.toml").write_text(
        'extends = "base.toml"\nname = "own"\nmix = {"en-fr" = 1}\n[settings]\nseed = 2\n'
    )
    recipe = read_recipe(tmp_path / "own.toml")
    assert (recipe.base, recipe.name, recipe.mix) == ("a", "own", {"en-fr": 1})
    assert (recipe.settings.steps, recipe.settings.seed) == (5, 2)
    (tmp_path / "base.toml").write_text('extends = "own.toml"')
    with pytest.raises(TrainingError, match="extends itself"):
        read_recipe(tmp_path / "own.toml")


def test_a_recipe_trains_on_other_languages():
    french, chinese = (read_recipe(RECIPES[0].parent / f"bundled_short{name}.toml") for name in ("", "_en_zh"))
    assert (chinese.mix, french.mix) == ({"en-en": 0.5, "en-zh": 0.5}, {"en-en": 0.5, "en-fr": 0.5})
    parts = chinese.stages[0].options["parts"]
    assert [part["languages"] for part in parts] == [["en", "zh"]] * 3
    back = [{**part, "languages": ["en", "fr"]} for part in parts]
    assert back == french.stages[0].options["parts"]
    assert (chinese.validation, chinese.evaluation) == (french.validation, french.evaluation)
    assert chinese.settings == french.settings


@pytest.mark.parametrize(
    ("replaced", "message"),
    [
        ('{de = "zh"}', "trains on en fr;"), ('{fr = "en"}', "each by another"),
        ('{fr = "zh", en = "zh"}', "each by another"), ("{fr = 3}", "expected codes"), ('"zh"', "expected codes"),
        ("[]", "expected codes"),
    ],
)  # fmt: skip
def test_languages_that_cannot_be_replaced(tmp_path, replaced, message):
    base, path = tmp_path / "base.toml", tmp_path / "own.toml"
    base.write_text(
        'routine = "finetune"\nbase = "a"\nmix = {"en-fr" = 1}\n[[stages]]\nsource = "generated"\nsteps = 1\n'
    )
    path.write_text(f'extends = "base.toml"\nreplace_languages = {replaced}\n')
    with pytest.raises(TrainingError, match=message):
        read_recipe(path)
    path.write_text(f"replace_languages = {replaced}\n")
    with pytest.raises(TrainingError, match="extends no recipe|expected codes"):
        read_recipe(path)


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
        ({"settings": {"steps": 10**30}}, "expected at most 100,000,000"),
        ({"settings": {"epochs": 1e300}}, "epochs=1e.300; expected at most 10,000"),
        ({"settings": {"steps": 1, "batch_size": 10**12}}, "expected at most 65,536"),
        ({"stages": [{"source": "generated", "steps": 10**30}]}, "expected 1 to 100,000,000 each"),
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

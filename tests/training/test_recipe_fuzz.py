"""Whatever a recipe holds: it is read, or one line says what is wrong."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from xlprobe import XlprobeError
from xlprobe.training.recipes import read_recipe
from xlprobe.training.sources import samples_of

RECIPE = """
routine = "finetune"
base = "bundled:encoder"
mechanism = "cross-query"
tuning = "bitfit"
freeze = ["embeddings"]
pairs = ["en-fr"]
store = "3-bit"
p_mask = 0.7
mix = {"en-en" = 0.5, "en-fr" = 0.5}

[settings]
learning_rate = 4e-4
batch_size = 4
warmup = 0.1
schedule = "linear"
seed = 0
save_every = 0

[head]
dropout = 0.1

[validation]
source = "generated"
theories = 2
languages = ["en", "fr"]

[[stages]]
source = "generated"
steps = 2
theories = 2
questions = 1
languages = ["en", "fr"]
kinds = ["attributes"]
entities = [2, 2]
facts = [2, 3]
rules = [1, 1]
conditions = [1, 1]
depth = 1
negation = 0.0
seed = 1

[[stages]]
source = "file"
steps = 2
path = "problems.jsonl"
format = "jsonl"
share = [0.0, 1.0]
limit = 2
"""
VALUES = (
    "true", "-1", "0", "3", "7", "1e400", "nan", "-inf", '""', '"x"', '"en"', '"en-fr"', "[]", "[1, 2]", '["x"]',
    "[[1]]", "{}", "{a = 1}", "[nan, nan]", "1979-05-27", '"\\u0000"', '"/"', '"../x.toml"',
)  # fmt: skip
NAMES = ("routine", "base", "extends", "stages", "settings", "head", "mix", "query", "name", "device", "epochs",
         "steps", "p_mask", "structured_dropout", "specific", "trim", "order", "keep", "report_to", "unknown", "format",
         "languages", "share", "first", "path", "split", "who", "replace_languages")  # fmt: skip


def mutated(draw: random.Random) -> bytes:
    lines = RECIPE.splitlines()
    for _ in range(draw.choice((1, 1, 2, 3))):
        place = draw.randrange(len(lines))
        name, equals, _ = lines[place].partition(" = ")
        change = draw.randrange(5)
        if change == 0 and equals:
            lines[place] = f"{name} = {draw.choice(VALUES)}"
        elif change == 1:
            lines.insert(place, f"{draw.choice(NAMES)} = {draw.choice(VALUES)}")
        elif change == 2:
            del lines[place]
        elif change == 3 and equals:
            lines[place] = f"{draw.choice(NAMES)} = {lines[place].partition(' = ')[2]}"
        else:
            lines[place] = lines[place][: draw.randrange(len(lines[place]) + 1)]
    data = "\n".join(lines).encode()
    if draw.random() < 0.2:
        place = draw.randrange(len(data))
        data = data[:place] + bytes([draw.randrange(256)]) + data[place + 1 :]
    return data


def outcome(path: Path) -> str:
    try:
        recipe = read_recipe(path)
        for stage in (*recipe.stages, *filter(None, (recipe.validation, recipe.evaluation))):
            samples_of(stage.source, stage.options, path.parent)
    except XlprobeError as error:
        text = str(error)
        return "refused" if "\n" not in text and len(text) < 2000 else text
    return "read"


@pytest.mark.parametrize("count", [150, pytest.param(1500, marks=pytest.mark.slow)])
def test_no_recipe_ends_in_a_traceback(tmp_path, tiny, count):
    from xlprobe.samples.readers import write_jsonl

    write_jsonl(tiny.problems(3, 1), tmp_path / "problems.jsonl")
    path = tmp_path / "recipe.toml"
    path.write_text(RECIPE, encoding="utf-8")
    assert outcome(path) == "read"
    draw, seen = random.Random(count), []
    for _ in range(count):
        path.write_bytes(mutated(draw))
        seen.append(outcome(path))
    assert set(seen) == {"read", "refused"}
    assert min(seen.count("read"), seen.count("refused")) > count / 20


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\xff", "is not TOML in UTF-8"),
        ('settings = "x"', r"settings is 'x'; expected a table \[settings\]"),
        ("extends = 1", "extends is 1; expected the name"),
        ('extends = "./recipe.toml"', "extends itself"),
        ("stages = 3", "stages is 3; expected tables"),
    ],
)
def test_what_is_no_recipe_is_said(tmp_path, text, message):
    path = tmp_path / "recipe.toml"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(XlprobeError, match=message):
        read_recipe(path)

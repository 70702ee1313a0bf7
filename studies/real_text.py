"""Train and evaluate on real data sets: `python studies/real_text.py RECIPE... --data DIRECTORY --out OUT`.

Each recipe's base is evaluated as it is, then trained and evaluated again, on the recipe's `[evaluation]` problems,
whose theories are not in training; with `--checkpoint`, these checkpoints are evaluated there, and nothing is trained.
Writes one table and prints accuracy per language pair (see docs/study.md).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from xlprobe import Checkpoint, Results, load
from xlprobe.training import Recipe, accuracy_table, evaluate, read_recipe
from xlprobe.training.runs import run_finetune
from xlprobe.training.sources import samples_of

PAIRS = "en-en, fr-fr, de-de, zh-zh, ar-ar, en-fr, en-de, en-zh, en-ar, fr-en, de-en, zh-en, de-zh"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipes", type=Path, nargs="+")
    parser.add_argument("--data", type=Path, required=True, help="directory that the recipes' paths are in")
    parser.add_argument("--out", type=Path, required=True, help="directory of the runs and the table")
    parser.add_argument("--checkpoint", action="append", default=[], help="evaluate this instead of training")
    arguments = parser.parse_args()
    parts: list[Results] = []
    for path in arguments.recipes:
        recipe = read_recipe(path)
        assert recipe.evaluation is not None
        problems = samples_of(recipe.evaluation.source, recipe.evaluation.options, arguments.data)
        pairs = PAIRS if "de" in problems[0].languages else "en-en"
        for checkpoint in _checkpoints(recipe, arguments):
            parts.append(evaluate(checkpoint, problems, pairs=pairs, show_progress=True))
        Results.concat(parts).save(arguments.out)
        labels = {problem.key: int(problem.label or 0) for problem in problems}
        table = accuracy_table(Results.concat(parts), trained_on=recipe.mix, labels=labels)
        table.to_csv(arguments.out / "accuracy.csv", index=False, float_format="%.4f")
        print(table.to_string(index=False, float_format=lambda value: f"{value:.3f}"))


def _checkpoints(recipe: Recipe, arguments: argparse.Namespace) -> Iterator[Checkpoint]:
    if arguments.checkpoint:
        yield from map(load, arguments.checkpoint)
        return
    yield load(recipe.base, name=f"{recipe.name}, before")
    yield run_finetune(recipe, arguments.out / recipe.name, arguments.data)


if __name__ == "__main__":
    main()

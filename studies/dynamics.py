"""Stability and accuracy over training: `python studies/dynamics.py QUERY runs/dynamics` (see docs/study.md).

Trains the baseline and the cross-query model of `transfer.toml` once more, measuring the same test problems at given
steps, and writes one table with a column `step`; `python -m xlprobe.report --results runs/dynamics` draws it. Prints
how stability changes from before training to after it, floor taken off, and as observed.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import pandas as pd

from xlprobe import Results, load
from xlprobe.samples import generate
from xlprobe.statistics import above_floor, contrast, verdict
from xlprobe.training import Dynamics, read_recipe
from xlprobe.training.runs import run_finetune

STEPS = (0, 50, 100, 150, 200, 300)
PAIRS = "en-en, en-fr, en-de, en-zh, fr-en, de-en, zh-en"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("query", type=Path, help="query.safetensors that xlprobe pretrain wrote")
    parser.add_argument("out", type=Path, help="directory of the runs and the table")
    parser.add_argument("--figure", type=Path, help="directory for the figure and the rows that it shows")
    arguments = parser.parse_args()
    recipe = read_recipe(Path(__file__).with_name("transfer.toml"))
    assert recipe.evaluation is not None
    options = {**recipe.evaluation.options, "theories": 12, "seed": 203, "languages": ("en", "fr", "de", "zh")}
    problems = generate(**options)
    tables = []
    for name in ("baseline", "cross-query"):
        cross = name == "cross-query"
        own = replace(recipe, name=name, mechanism=name, query=str(arguments.query) if cross else None)
        place = arguments.out / name
        watch = Dynamics(
            load(recipe.base), problems, steps=STEPS, out=place, name=name, pairs=PAIRS, seed=recipe.settings.seed
        )
        run_finetune(own, place, callbacks=[watch])
        tables.append(Results.load(place))
    Results.concat(tables).save(arguments.out)
    print(
        before_and_after(Results.load(arguments.out)).to_string(index=False, float_format=lambda value: f"{value:+.4f}")
    )
    if arguments.figure is not None:
        keep_figure(arguments.out, arguments.figure)


def before_and_after(results: Results) -> pd.DataFrame:
    """Stability above floor after training minus before, the raw change beside it; intervals resample theories.

    Means over pairs, layers and heads, paired by problem. `claim`: whether a difference may be claimed.
    """
    rows = results.select(metric="js_stability", pooling="token", step=[STEPS[0], STEPS[-1]])
    above = above_floor(rows.lean_frame())
    keys = ["block", "sample", "group", "checkpoint", "step"]
    means = above[above["condition"] == "observed"].groupby(keys, observed=True)[["value", "raw"]].mean()
    wide = means.unstack(["checkpoint", "step"])
    found = []
    for block, part in wide.groupby(level="block", observed=True):
        groups = part.index.get_level_values("group").to_numpy()
        change = {
            name: pd.DataFrame({of: part[of, name, STEPS[-1]] - part[of, name, STEPS[0]] for of in ("value", "raw")})
            for name in ("baseline", "cross-query")
        }
        change["cross-query minus baseline"] = change["cross-query"] - change["baseline"]
        for name, differences in change.items():
            answer = contrast(differences.to_numpy(), groups=groups)
            found.append(
                {"block": block, "model": name, "n": int(answer.n[0]), "change": float(answer.estimate[0])}
                | {"low": float(answer.low[0]), "high": float(answer.high[0]), "p": float(answer.p[0])}
                | {"raw": float(answer.estimate[1]), "claim": int(verdict(answer)[0])}
            )
    return pd.DataFrame(found)


def keep_figure(run: Path, place: Path) -> None:
    """Save the figure, and of the table the rows that it is drawn from."""
    from xlprobe import plots

    results = Results.load(run)
    kept = {"block": "question->context", "pooling": "token", "condition": ["observed", "floor"]}
    parts = [results.select(metric="js_stability", **kept)]
    parts.append(results.select(metric=["correct", "gold_margin"]))
    rows = Results(Results.concat(parts).to_frame(), results.manifest)
    rows.save(place)
    plots.save(plots.dynamics_over_steps(rows), "dynamics_over_steps", place)


if __name__ == "__main__":
    main()

"""Are problems answered rightly where attention is stable? `python studies/stability_and_answers.py TABLE`.

TABLE is the directory of a report on several runs (see docs/study.md). Of every problem in two languages: stability
above floor, question to context, mean over layers and heads, and whether it was answered rightly. What runs have in
common of one text in one pair of languages (how hard it is, whether its question has a "not") and what a run's texts in
one pair have in common is taken off both; what is left says how much more stable attention to the same text is in runs
that answer it rightly, with an interval for new runs.
Over pairs, each run's rank correlation of accuracy and stability.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd
from summarise import as_text, print_table

from xlprobe import Results
from xlprobe.statistics import above_floor, ratio_of_means, spearman

PROBLEM = ["checkpoint", "seed", "context_language", "question_language", "sample"]
PAIR = PROBLEM[:-1]
BOTH = ["checkpoint", "context_language", "question_language"]


def problems_of(results: Results, block: str) -> pd.DataFrame:
    """Return one row per run, pair of two languages and problem: `stability` above floor and `right`."""
    rows = results.select(metric="js_stability", block=block, pooling="token", condition=["observed", "floor"])
    stable = above_floor(rows.to_frame())
    stable = stable[stable["condition"] == "observed"].groupby([*PROBLEM, "group"], observed=True)["value"].mean()
    right = results.select(metric="correct", condition="observed").to_frame().set_index(PROBLEM)["value"]
    found = stable.rename("stability").reset_index().join(right.rename("right"), on=PROBLEM)
    return found.dropna().reset_index(drop=True)


def within(frame: pd.DataFrame, name: str) -> pd.Series:
    """Return a column without what is common to a text over runs, and to a run and pair of languages over texts."""

    def mean_of(*keys: str) -> pd.Series:
        return frame.groupby([*BOTH, *keys], observed=True)[name].transform("mean")

    return frame[name] - mean_of("sample") - mean_of("seed") + mean_of()


def more_stable_where_right(frame: pd.DataFrame) -> pd.DataFrame:
    """Return, per kind of checkpoint, stability of problems answered rightly minus that of others."""
    frame = frame.assign(stability=within(frame, "stability"), answer=within(frame, "right"))
    rows = []
    for name, part in frame.groupby("checkpoint", observed=True):
        one = ratio_of_means(part["stability"] * part["answer"], part["answer"] ** 2, part["group"], part["seed"])
        row = pd.Series({"mean": one.value.item(), "low": one.low.item(), "high": one.high.item(), "reason": ""})
        rows.append(
            (name, len(part), int(one.n_seeds.item()), int(one.n_groups.item()), as_text(row, "mean", "{:+.4f}"))
        )
    return pd.DataFrame(rows, columns=["checkpoint", "n", "runs", "theories", "right minus wrong"])


def over_pairs(frame: pd.DataFrame) -> pd.DataFrame:
    """Return each run's rank correlation of accuracy and stability over pairs: few, so that it has no interval."""
    pairs = frame.groupby(PAIR, observed=True)[["stability", "right"]].mean().reset_index()
    rows = [
        (name, seed, len(part), f"{spearman(part['stability'], part['right'], draws=1)[0]:+.2f}")
        for (name, seed), part in pairs.groupby(["checkpoint", "seed"], observed=True)
    ]
    return pd.DataFrame(rows, columns=["checkpoint", "run", "pairs", "rank correlation"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", type=Path)
    parser.add_argument("--block", default="question->context")
    given = parser.parse_args()
    frame = problems_of(Results.load(given.table), given.block)
    print_table(more_stable_where_right(frame))
    print_table(over_pairs(frame))


if __name__ == "__main__":
    main()

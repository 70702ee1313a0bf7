"""Tables of the study of transfer: `python studies/summarise.py runs/study` after `xlprobe ablate` (see docs/study.md).

Accuracy per cell of the grid and group of language pairs, averaged over seeds, with 95 % intervals that resample seeds
and, within them, theories; and the paired difference of each cell to the baseline (or `--against` another) on the same
problems. Of several runs the language pairs that all have are compared, and cells are named by run.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from xlprobe import Results

DRAWS = 4000
SEEN = {"en-en", "en-fr"}
GROUPS = {
    "en-en (trained)": lambda c, q: c == q == "en",
    "x-x (zero-shot)": lambda c, q: c == q != "en",
    "en-fr (trained)": lambda c, q: (c, q) == ("en", "fr"),
    "en-x (question never seen)": lambda c, q: c == "en" and q not in ("en", "fr"),
    "x-en (context never seen)": lambda c, q: q == "en" and c != "en",
    "x-y (both never seen, different)": lambda c, q: "en" not in (c, q) and c != q,
}


def group_of(context: str, question: str) -> str:
    return next(name for name, holds in GROUPS.items() if holds(context, question))


def read(runs: list[Path]) -> pd.DataFrame:
    """Return the answers of all runs, to the questions in language pairs that all have."""
    frames = []
    for run in runs:
        frame = Results.load(run).select(metric="correct").to_frame()
        frame["checkpoint"] = frame["checkpoint"].astype(str).radd(f"{run.name}: " if len(runs) > 1 else "")
        frame["pair"] = frame["context_language"].astype(str) + "-" + frame["question_language"].astype(str)
        frames.append(frame)
    common = set.intersection(*(set(frame["pair"]) for frame in frames))
    whole = pd.concat(frames, ignore_index=True)
    return whole[whole["pair"].isin(common)].drop(columns="pair").reset_index(drop=True)


def interval(frame: pd.DataFrame, rng: np.random.Generator) -> tuple[float, float, float]:
    """Mean of `value` over seeds, and its interval: seeds resampled, and theories within the drawn seeds."""
    sums = frame.groupby(["seed", "group"], observed=True)["value"].agg(["sum", "count"])
    parts = [part.to_numpy(float) for _, part in sums.groupby(level="seed")]
    means = np.empty(DRAWS)
    for draw in range(DRAWS):
        chosen = [parts[place] for place in rng.integers(0, len(parts), len(parts))]
        picked = [part[rng.integers(0, len(part), len(part))] for part in chosen]
        means[draw] = np.mean([part[:, 0].sum() / part[:, 1].sum() for part in picked])
    point = np.mean([part[:, 0].sum() / part[:, 1].sum() for part in parts])
    return float(point), *(float(end) for end in np.quantile(means, [0.025, 0.975]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path, nargs="+", help="directories that xlprobe ablate wrote")
    parser.add_argument("--against", default="baseline", help="cell that the others are compared with")
    parser.add_argument("--seed", type=int, default=0, help="seed of resampling")
    parser.add_argument("--wide", action="store_true", help="one row per cell, without intervals of the accuracies")
    arguments = parser.parse_args()
    rng = np.random.default_rng(arguments.seed)
    frame = read(arguments.runs)
    frame["pairs"] = [
        group_of(c, q) for c, q in zip(frame["context_language"], frame["question_language"], strict=True)
    ]
    keys = ["checkpoint", "seed", "sample", "group", "context_language", "question_language", "pairs"]
    frame = frame[[*keys, "value"]]
    base = frame[frame["checkpoint"] == arguments.against].drop(columns="checkpoint")
    difference = f"minus {arguments.against}"
    rows = []
    for cell, part in frame.groupby("checkpoint", observed=True, sort=False):
        both = part.merge(base, on=[key for key in keys if key != "checkpoint"], suffixes=("", "_base"))
        both["value"] -= both.pop("value_base")
        for name in GROUPS:
            chosen, paired = part[part["pairs"] == name], both[both["pairs"] == name]
            if chosen.empty:
                continue
            point, low, high = interval(chosen, rng)
            row = {"cell": cell, "pairs": name, "seeds": chosen["seed"].nunique(), "n": len(chosen)}
            row |= {"accuracy": f"{point:.3f} [{low:.3f}, {high:.3f}]"}
            row[difference] = ""
            if cell != arguments.against and len(paired):
                point, low, high = interval(paired, rng)
                row[difference] = f"{point:+.3f} [{low:+.3f}, {high:+.3f}]"
            rows.append(row)
    table = pd.DataFrame(rows).fillna("")
    if arguments.wide:
        first = table["accuracy"].str.split().str[0]
        shown = first.where(table[difference] == "", first + " (" + table[difference] + ")")
        wide = table.assign(shown=shown).pivot(index="cell", columns="pairs", values="shown")
        table = wide.loc[table["cell"].unique(), [name for name in GROUPS if name in wide]].fillna("").reset_index()
    for line in (table.columns, ["---"] * len(table.columns), *table.astype(str).to_numpy()):
        print("| " + " | ".join(line) + " |")


if __name__ == "__main__":
    main()

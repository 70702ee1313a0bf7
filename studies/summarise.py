"""Tables of the studies: `python studies/summarise.py runs/study` after `xlprobe ablate` (see docs/study.md).

Accuracy per cell of the grid and group of language pairs, and the paired difference of each cell to the baseline (or
`--against` another) on the same problems, with the intervals of `xlprobe.statistics`: where a cell was trained several
times they speak of new runs, else of these runs only. Of several directories the language pairs that all have are
compared, and cells are named by directory. Archives of `xlprobe study run` are read too: their cells are the study's
entries, whatever the seed.
"""

from __future__ import annotations

import argparse
import re
import tempfile
from pathlib import Path

import pandas as pd

from xlprobe import Results
from xlprobe.statistics import contrast_frame, summarise, verdict
from xlprobe.training.archives import unpack_archive

GROUPS = {
    "en-en (trained)": lambda c, q, trained: c == q == "en",
    "x-x (zero-shot)": lambda c, q, trained: c == q != "en",
    "{} (trained)": lambda c, q, trained: f"{c}-{q}" == trained,
    "en-x (question never seen)": lambda c, q, trained: c == "en" and f"{c}-{q}" != trained,
    "x-en (context never seen)": lambda c, q, trained: q == "en" and c != "en",
    "x-y (both never seen, different)": lambda c, q, trained: "en" not in (c, q) and c != q,
}
SHOWN = ["cell", "pairs", "runs", "theories", "n", "accuracy"]


def group_of(context: str, question: str, trained: str) -> str:
    return next(name for name, holds in GROUPS.items() if holds(context, question, trained)).format(trained)


def answers_of(run: Path) -> pd.DataFrame:
    """Return which questions a run answers rightly: of a directory, or of an archive."""
    if run.suffix != ".zip":
        return Results.load(run).select(metric="correct").to_frame()
    with tempfile.TemporaryDirectory() as scratch:
        return Results.load(unpack_archive(run, Path(scratch)) / "evaluation").select(metric="correct").to_frame()


def read(runs: list[Path], trained: str = "en-fr") -> pd.DataFrame:
    """Return the answers of all runs, to the questions in language pairs that all have, with their group of pairs."""
    frames = []
    for run in runs:
        frame = answers_of(run)
        if run.suffix == ".zip":
            frame["checkpoint"] = re.sub(r"-seed\d+$", "", run.stem)
        else:
            frame["checkpoint"] = frame["checkpoint"].astype(str).radd(f"{run.name}: " if len(runs) > 1 else "")
        frame["pair"] = frame["context_language"].astype(str) + "-" + frame["question_language"].astype(str)
        frames.append(frame)
    common = set.intersection(*(set(frame["pair"]) for frame in frames))
    whole = pd.concat(frames, ignore_index=True)
    whole = whole[whole["pair"].isin(common)].drop(columns="pair").reset_index(drop=True)
    pairs = zip(whole["context_language"], whole["question_language"], strict=True)
    names = [group_of(c, q, trained) for c, q in pairs]
    # Tables have them in this order.
    return whole.assign(
        checkpoint=pd.Categorical(whole["checkpoint"], list(dict.fromkeys(whole["checkpoint"]))),
        pairs=pd.Categorical(names, [name.format(trained) for name in GROUPS]),
    )


def beyond(frame: pd.DataFrame, pair: str) -> pd.DataFrame:
    """Subtract from each answer that of the same run to the same problem in one language pair; the metric is "gain"."""
    key = ["checkpoint", "seed", "sample"]
    context, question = pair.split("-")
    there = (frame["context_language"] == context) & (frame["question_language"] == question)
    own = frame[there].set_index(key)["value"].rename("own")
    rest = frame[~there].join(own, on=key)
    gain = rest.assign(value=rest["value"] - rest["own"], metric="gain")
    return gain.drop(columns="own").reset_index(drop=True)


def table(frame: pd.DataFrame, against: str) -> pd.DataFrame:
    """Return accuracy and difference per cell and group of pairs, as text; * where the difference may be claimed."""
    cells = list(frame["checkpoint"].cat.categories)
    found = summarise(frame, ["checkpoint", "pairs"])
    found["accuracy"] = [as_text(row, "mean", "{:.3f}") for _, row in found.iterrows()]
    column = f"minus {against}"
    differences = {}
    for cell in cells:
        if cell != against and against in cells:
            answer = contrast_frame(frame, cell, against, frame["metric"].iloc[0], by=["pairs"])
            for (_, row), claim in zip(answer.iterrows(), verdict(answer), strict=True):
                differences[cell, row["pairs"]] = as_text(row, "estimate", "{:+.3f}") + ("*" if claim else "")
    found[column] = [differences.get(key, "") for key in zip(found["checkpoint"], found["pairs"], strict=True)]
    return found.rename(columns={"checkpoint": "cell", "n_seeds": "runs", "n_groups": "theories"})[[*SHOWN, column]]


def as_text(row: pd.Series, name: str, form: str) -> str:
    value = form.format(row[name])
    return (
        f"{value} ({row['reason']})"
        if row["reason"]
        else f"{value} [{form.format(row['low'])}, {form.format(row['high'])}]"
    )


def wide(found: pd.DataFrame) -> pd.DataFrame:
    """Return one row per cell and one column per group of pairs, without intervals of the accuracies."""
    difference = found.columns[-1]
    first = found["accuracy"].str.split().str[0]
    shown = first.where(found[difference] == "", first + " (" + found[difference] + ")")
    table = found.assign(shown=shown).pivot(index="cell", columns="pairs", values="shown")
    return table.fillna("").reset_index()


def print_table(table: pd.DataFrame) -> None:
    """Print a table as Markdown."""
    for line in (table.columns, ["---"] * len(table.columns), *table.astype(str).to_numpy()):
        print("| " + " | ".join(line) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path, nargs="+", help="what xlprobe ablate or xlprobe study run wrote")
    parser.add_argument("--depth", type=int, help="questions of this proof depth only")
    parser.add_argument("--beyond", help="a language pair, such as en-en, whose answers are subtracted from the others")
    parser.add_argument("--trained", default="en-fr", help="pair of two languages that training saw")
    parser.add_argument("--against", default="baseline", help="cell that the others are compared with")
    parser.add_argument("--wide", action="store_true", help="one row per cell, without intervals of the accuracies")
    arguments = parser.parse_args()
    frame = read(arguments.runs, arguments.trained)
    if arguments.depth is not None:
        frame = frame[frame["depth"] == arguments.depth].reset_index(drop=True)
    if arguments.beyond is not None:
        frame = beyond(frame, arguments.beyond)
    found = table(frame, arguments.against)
    print_table(wide(found) if arguments.wide else found)


if __name__ == "__main__":
    main()

"""What is answered: `python studies/answers.py studies/short.toml ARCHIVES --data DIRECTORY` (see docs/study.md).

Per entry of a study, group of language pairs and proof depth: the share answered "true" of questions without and with
a "not" that are true, and that are false, over all archived runs. Who knows answers by what is true; who answers by
the question alone has equal shares for both, whatever the accuracy is.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd
from summarise import as_text, print_table, read

from xlprobe.statistics import summarise
from xlprobe.training.sources import samples_of
from xlprobe.training.study import read_study


def questions_of(study: Path, data: Path) -> pd.DataFrame:
    """Return label (1: true) and whether there is a "not", of every question that the study's runs are asked."""
    evaluation = next(run.recipe.evaluation for run in read_study(study) if run.recipe.evaluation is not None)
    samples = samples_of(evaluation.source, evaluation.options, data)
    rows = [(sample.key, int(sample.label or 0), " not " in (sample.question or {})["en"]) for sample in samples]
    return pd.DataFrame(rows, columns=["sample", "label", "negated"])


def answered_true(frame: pd.DataFrame, questions: pd.DataFrame) -> pd.DataFrame:
    """Return one row per group, depth and entry: the share answered "true" of each kind of question.

    In the last column how many answers are "true" for questions with a "not" and "false" for those without, with the
    interval of `xlprobe.statistics`: 1 if nothing else is looked at.
    """
    by = ["pairs", "depth", "checkpoint"]
    frame = frame.assign(sample=frame["sample"].astype(str)).merge(questions, on="sample", validate="many_to_one")
    answer = frame["label"].where(frame["value"] == 1, 1 - frame["label"])
    kinds = frame["negated"].map({False: "is", True: "is not"}) + ", " + frame["label"].map({1: "true", 0: "false"})
    found = answer.groupby([*(frame[name] for name in by), kinds.rename("kind")]).agg(["mean", "size"])
    cells = [f"{mean:.2f} (of {size:,})" for mean, size in zip(found["mean"], found["size"], strict=True)]
    by_not = summarise(frame.assign(value=(answer == frame["negated"]).astype(float)), by).set_index(by)
    wide = found.assign(cell=cells)["cell"].unstack("kind")
    wide["by the 'not'"] = [as_text(row, "mean", "{:.2f}") for _, row in by_not.loc[wide.index].iterrows()]
    return wide.reset_index().sort_values(by)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", type=Path)
    parser.add_argument("archives", type=Path, nargs="+")
    parser.add_argument("--data", type=Path, required=True)
    arguments = parser.parse_args()
    print_table(answered_true(read(arguments.archives), questions_of(arguments.study, arguments.data)))


if __name__ == "__main__":
    main()

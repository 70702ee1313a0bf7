"""The study's tables are those of the library's statistics."""

from __future__ import annotations

import subprocess
import sys
import zipfile

import numpy as np
import pandas as pd
import pytest
from by_path import ROOT, load

from xlprobe.results import COLUMNS, Results
from xlprobe.statistics import contrast, proportion_interval

PATH = ROOT / "studies" / "summarise.py"


@pytest.fixture(scope="module")
def summarise():
    return load(PATH)


def answers(runs=3, theories=10, cells=("baseline", "crossed")):
    rng = np.random.default_rng(0)
    rows = [
        {"checkpoint": cell, "dataset": "d", "context_language": context, "question_language": question, "seed": seed,
         "sample": f"s{theory}-{item}", "group": f"t{theory}", "metric": "correct", "condition": "observed",
         "value": float(rng.random() < 0.6 + 0.2 * (cell == "crossed"))}
        for cell in cells for seed in range(runs) for theory in range(theories) for item in range(2)
        for context, question in (("en", "en"), ("en", "fr"), ("en", "de"), ("en", "zh"))
    ]  # fmt: skip
    return pd.DataFrame(rows).reindex(columns=list(COLUMNS))


def test_brackets_speak_of_new_runs_crossed_with_theories(summarise, tmp_path):
    Results(answers()).save(tmp_path)
    frame = summarise.read([tmp_path])
    found = summarise.table(frame, "baseline")
    assert found["cell"].tolist() == ["baseline"] * 3 + ["crossed"] * 3
    assert found["pairs"].tolist() == ["en-en (trained)", "en-fr (trained)", "en-x (question never seen)"] * 2
    assert found["runs"].tolist() == [3] * 6
    row = found.iloc[5]
    part = frame[(frame["pairs"] == row["pairs"]) & (frame["checkpoint"] == "crossed")]
    expected = proportion_interval(part["value"], part["group"].astype(str), part["seed"])
    assert row["accuracy"] == f"{part['value'].mean():.3f} [{expected.low[0]:.3f}, {expected.high[0]:.3f}]"
    keys = ["seed", "sample", "group", "question_language"]
    own = frame[(frame["pairs"] == row["pairs"]) & (frame["checkpoint"] == "baseline")]
    both = part.merge(own, on=keys, suffixes=("", "_base"))
    answer = contrast(both["value"] - both["value_base"], both["group"].astype(str), both["seed"])
    text = f"{answer.estimate[0]:+.3f} [{answer.low[0]:+.3f}, {answer.high[0]:+.3f}]"
    assert row["minus baseline"].rstrip("*") == text
    assert row["minus baseline"].endswith("*") == bool(answer.low[0] > 0 and answer.p[0] < 0.05)


def test_another_pair_can_be_the_trained_one(summarise, tmp_path):
    Results(answers()).save(tmp_path)
    frame = summarise.read([tmp_path], "en-zh")
    languages = frame.groupby("pairs", observed=True)["question_language"].unique().map(list).to_dict()
    assert languages == {
        "en-en (trained)": ["en"],
        "en-zh (trained)": ["zh"],
        "en-x (question never seen)": ["fr", "de"],
    }
    assert summarise.wide(summarise.table(frame, "baseline")).columns.tolist() == ["cell", *languages]


def test_what_a_pair_costs_beyond_another_is_compared_by_problem_and_run(summarise, tmp_path):
    Results(answers()).save(tmp_path)
    frame = summarise.read([tmp_path])
    gain = summarise.beyond(frame, "en-en")
    assert "en-en (trained)" not in set(gain["pairs"])
    found = summarise.table(gain, "baseline")
    means = frame.groupby(["checkpoint", "pairs"], observed=True)["value"].mean().unstack("checkpoint")
    differences = means["crossed"] - means["baseline"]
    expected = differences["en-fr (trained)"] - differences["en-en (trained)"]
    row = found[(found["cell"] == "crossed") & (found["pairs"] == "en-fr (trained)")].iloc[0]
    estimate, low, high = (float(one.strip("[],*")) for one in row["minus baseline"].split())
    assert estimate == pytest.approx(expected, abs=6e-4)
    assert low < estimate < high


def test_few_theories_have_no_brackets(summarise, tmp_path):
    Results(answers(theories=3)).save(tmp_path)
    found = summarise.table(summarise.read([tmp_path]), "baseline")
    assert found["accuracy"].str.endswith("(fewer than 6 theories)").all()
    assert not found["minus baseline"].str.contains("nan").any()


def test_directories_are_joined_and_printed_wide(tmp_path):
    for name in ("one", "two"):
        Results(answers(runs=1)).save(tmp_path / name)
    command = [sys.executable, str(PATH), str(tmp_path / "one"), str(tmp_path / "two"), "--wide"]
    printed = subprocess.run(
        [*command, "--against", "one: baseline"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert [line.split("|")[1].strip() for line in printed[2:]] == [
        "one: baseline", "one: crossed", "two: baseline", "two: crossed",
    ]  # fmt: skip
    # The same answers under another name differ by nothing.
    assert "(+0.000 [+0.000, +0.000])" in printed[4]


def test_archives_of_one_entry_are_runs_of_one_cell(summarise, tmp_path):
    archives = []
    for seed in (0, 1, 2):
        frame = answers(cells=("one",))
        Results(frame[frame["seed"] == seed]).save(tmp_path / "evaluation")
        archives.append(tmp_path / f"one-seed{seed}.zip")
        with zipfile.ZipFile(archives[-1], "w") as file:
            for name in ("results.parquet", "manifest.json"):
                file.write(tmp_path / "evaluation" / name, f"evaluation/{name}")
    found = summarise.table(summarise.read(archives), "baseline")
    assert found["cell"].unique().tolist() == ["one"]
    assert found["runs"].tolist() == [3] * len(found)

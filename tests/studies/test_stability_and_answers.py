"""A planted difference of stability is found, and none where texts are merely harder or pairs merely less stable."""

import re
import sys

import numpy as np
import pandas as pd
import pytest
from by_path import ROOT, load


@pytest.fixture
def study(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "studies"))
    yield load("studies/stability_and_answers.py")
    sys.modules.pop("summarise", None)


def made_up(difference, random):
    """Five runs on 64 problems in six pairs: hard ones are less stable and more often wrong, pairs and runs differ."""
    rows = []
    for seed in range(5):
        for pair in range(6):
            offset = 0.05 * random.normal()
            for problem in range(64):
                ease = problem * 37 % 64 / 64
                right = float(random.random() < 0.3 + 0.5 * ease)
                stability = offset + 0.1 * ease + difference * right + 0.01 * random.normal()
                rows.append(
                    (f"by {difference}", seed, "en", f"l{pair}", f"s{problem}", f"g{problem // 2}", stability, right)
                )
    return rows


def test_only_what_goes_with_the_answer_itself_is_found(study):
    random = np.random.default_rng(0)
    columns = [*study.PROBLEM, "group", "stability", "right"]
    frame = pd.DataFrame(made_up(0.02, random) + made_up(0.0, random), columns=columns)
    found = study.more_stable_where_right(frame).set_index("checkpoint")
    assert found["runs"].tolist() == [5, 5]
    bounds = {name: [float(part) for part in re.findall(r"[+-]\.?\d[\d.]*", text)]
              for name, text in found["right minus wrong"].items()}  # fmt: skip
    assert bounds["by 0.02"][1] <= 0.02 <= bounds["by 0.02"][2]
    assert bounds["by 0.02"][1] > 0
    assert bounds["by 0.0"][1] <= 0 <= bounds["by 0.0"][2]
    # By itself each would be taken for a relation: hard problems are less stable, and wrong more often.
    right = frame[frame["checkpoint"] == "by 0.0"].groupby("right")["stability"].mean()
    assert right[1.0] - right[0.0] > 0.01


def test_over_pairs_each_run_has_its_correlation(study):
    frame = pd.DataFrame(
        made_up(0.02, np.random.default_rng(1)), columns=[*study.PROBLEM, "group", "stability", "right"]
    )
    frame["stability"] += frame["context_language"].map({"en": 0.0}) + frame["question_language"].str[1].astype(int)
    frame["right"] = (frame.index % 64 < 8 * (1 + frame["question_language"].str[1].astype(int))).astype(float)
    found = study.over_pairs(frame)
    assert found["run"].tolist() == list(range(5))
    assert set(found["rank correlation"]) == {"+1.00"}

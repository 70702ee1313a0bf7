"""Who answers by the question's "not" alone is told from who knows, at whatever accuracy."""

from __future__ import annotations

import sys

import pandas as pd
import pytest
from by_path import ROOT, load


@pytest.fixture
def answers(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "studies"))
    yield load("studies/answers.py")
    sys.modules.pop("summarise", None)


def test_shares_answered_true_by_kind_of_question(answers):
    questions = pd.DataFrame(
        [(f"t{theory}-{n}", n % 2, n > 1) for theory in range(12) for n in range(4)],
        columns=["sample", "label", "negated"],
    )
    rows = []
    for name, answer in (("knows", questions["label"]), ("by not", questions["negated"].astype(int))):
        right = (answer == questions["label"]).astype(float)
        rows.append(pd.DataFrame({"sample": questions["sample"], "value": right, "checkpoint": name}))
    frame = pd.concat(rows, ignore_index=True)
    frame = frame.assign(
        group=frame["sample"].str.split("-").str[0], depth=0, pairs="en-en (trained)", dataset="d", metric="correct",
        condition="observed", seed=0, step=None, head=None, layer=None, reason=None,
        block="", pooling="",
    )  # fmt: skip
    found = answers.answered_true(frame, questions).set_index("checkpoint")
    kinds = ["is, true", "is, false", "is not, true", "is not, false"]
    assert [found.loc["knows", kind] for kind in kinds] == ["1.00 (of 12)", "0.00 (of 12)"] * 2
    assert [found.loc["by not", kind] for kind in kinds] == ["0.00 (of 12)"] * 2 + ["1.00 (of 12)"] * 2
    assert found.loc["by not", "by the 'not'"].startswith("1.00 [")
    assert found.loc["knows", "by the 'not'"].startswith("0.50 [")

"""The heads that a study takes away are compared with others of the same layers, on other theories."""

from __future__ import annotations

from collections import Counter

import pandas as pd
import pytest
from by_path import load


@pytest.fixture(scope="module")
def study():
    return load("studies/least_stable_heads.py")


def test_no_theory_is_both_chosen_by_and_asked(study, tiny):
    problems = tiny.problems(7, 2, ("en", "fr"))
    parts = study.halves(problems)
    assert not {one.group for one in parts.choosing} & {one.group for one in parts.asked}
    assert len(parts.choosing) + len(parts.asked) == len(problems)


def test_random_heads_are_others_of_the_same_layers(study):
    heads = [(0, 1), (0, 2), (3, 5)]
    draws = list(study.of_the_same_layers(heads, 12, 20, seed=1))
    assert len({tuple(sorted(one)) for one in draws}) > 10
    for one in draws:
        assert Counter(layer for layer, _ in one) == {0: 2, 3: 1}
        assert not set(one) & set(heads)
        assert len(set(one)) == 3
    # Where most of a layer was chosen, others are not enough.
    (crowded,) = study.of_the_same_layers([(1, 0), (1, 1), (1, 2)], 4, 1, seed=1)
    assert len(set(crowded)) == 3


def test_taking_nothing_away_changes_nothing_and_heads_do(study, tiny, monkeypatch):
    monkeypatch.setattr(study, "PAIRS", "en-fr, fr-en")
    monkeypatch.setattr(study, "OWN", "en-en")
    checkpoint = tiny.checkpoint("bert", "ForSequenceClassification")
    parts = study.halves(tiny.problems(12, 2, ("en", "fr")))
    rows = study.study(checkpoint, parts, [0.0, 0.5], draws=2, seed=0)
    wide = rows[rows["metric"] == "change of gold_margin"].pivot_table(
        index=["heads", "sample", "context_language", "question_language"],
        columns="what",
        values="value",
        observed=True,
    )
    assert (wide.loc[0] == 0).all(axis=None)
    half = wide.drop(index=0)
    assert (half["least stable"] != 0).all()
    assert (half["least stable"] - half["random"]).to_numpy() == pytest.approx(half["least stable - random"].to_numpy())
    assert set(rows["languages"]) == {"one", "two"}
    shown = study.show(pd.concat([rows, rows.assign(seed=1)]), "both")
    assert ((shown["low"] <= shown["mean"]) & (shown["mean"] <= shown["high"])).all()
    both = shown[(shown["metric"] == "change of gold_margin") & (shown["languages"] == "two") & (shown["heads"] > 0)]
    assert both["n_seeds"].unique() == 2
    least = rows[(rows["what"] == "least stable") & (rows["heads"] > 0)]
    least = least[(least["metric"] == "change of gold_margin") & (least["languages"] == "two")]
    assert both.set_index("what")["mean"]["least stable"] == pytest.approx(least["value"].mean())

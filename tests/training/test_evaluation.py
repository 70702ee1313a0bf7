"""Accuracy per pair of languages, with intervals and baselines."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from xlprobe.errors import DataError, TrainingError
from xlprobe.training import accuracy_table, evaluate


@pytest.mark.parametrize("cross_query", [False, True])
def test_every_cell_and_every_problem(tiny, cross_query):
    checkpoint = tiny.checkpoint("bert", "ForSequenceClassification", cross_query=cross_query)
    problems = tiny.problems(6)
    frame = evaluate(checkpoint, problems, batch_size=5, seed=3).to_frame()
    assert len(frame) == 2 * 9 * len(problems)
    assert set(frame["seed"]) == {3}
    correct, margin = (frame[frame["metric"] == name].reset_index(drop=True) for name in ("correct", "gold_margin"))
    assert ((margin["value"] > 0) == (correct["value"] == 1)).all()
    from xlprobe.samples import encode

    sample = problems[3].pair("fr", "zh")
    batch = encode([sample], checkpoint.tokenizer)
    with torch.no_grad():
        logits = checkpoint.model(**batch.model_inputs(cross_query)).logits[0]
    row = margin[
        (margin["sample"] == sample.key) & (margin["context_language"] == "fr") & (margin["question_language"] == "zh")
    ]
    assert float(row["value"].iloc[0]) == pytest.approx(
        float(logits[sample.label] - logits[1 - sample.label]), abs=1e-4
    )


def test_table(tiny):
    checkpoint = tiny.checkpoint("bert", "ForSequenceClassification")
    problems = tiny.problems(6)
    results = evaluate(checkpoint, problems, pairs="en-en, en-*")
    labels = {problem.key: problem.label for problem in problems}
    table = accuracy_table(results, trained_on=["en-en"], labels=labels)
    assert list(table["question_language"]) == ["en", "fr", "zh"]
    assert list(table["zero_shot"]) == [False, True, True]
    assert (table["n"] == len(problems)).all()
    assert (table["theories"] == 6).all()
    assert (table["chance"] == 0.5).all()
    share = sum(labels.values()) / len(labels)
    assert table["majority"].iloc[0] == pytest.approx(max(share, 1 - share))
    assert ((table["low"] <= table["accuracy"]) & (table["accuracy"] <= table["high"])).all()
    assert (table["low"] < table["high"]).all()
    assert len(accuracy_table(results, by_depth=True)) == 3


def test_problems_that_lack_a_language_have_no_row(tiny):
    checkpoint = tiny.checkpoint("bert", "ForSequenceClassification")
    problems = tiny.problems(4)
    few = [replace(p, context={"en": p.context["en"]}, question={"en": p.question["en"]}) for p in problems[:2]]
    frame = evaluate(checkpoint, [*few, *problems[2:]], pairs="en-en, en-fr").select(metric="correct").to_frame()
    counts = frame.groupby("question_language", observed=True).size()
    assert counts["en"] == len(problems)
    assert counts["fr"] == len(problems) - 2


def test_bad_input(tiny):
    checkpoint, problems = tiny.checkpoint("bert", "ForSequenceClassification"), tiny.problems(2)
    with pytest.raises(TrainingError, match="classifier"):
        evaluate(tiny.checkpoint("bert"), problems)
    with pytest.raises(DataError, match="no samples"):
        evaluate(checkpoint, [])
    with pytest.raises(DataError, match="expected 0 to 1"):
        evaluate(checkpoint, [replace(problems[0], label=2)])
    with pytest.raises(DataError, match="'de'"):
        evaluate(checkpoint, problems, pairs="en-de")

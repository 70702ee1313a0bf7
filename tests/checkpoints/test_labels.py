"""A label of the samples is the class of the same name, in whatever order the classifier has them."""

from __future__ import annotations

import dataclasses
import logging

import pytest
import torch

from xlprobe import effects, load, measure, save
from xlprobe.checkpoints.labels import class_order
from xlprobe.errors import CheckpointError, DataError
from xlprobe.training import evaluate

NLI = ("entailment", "neutral", "contradiction")


@pytest.mark.parametrize(
    ("classes", "labels", "order"),
    [
        (("True", "False"), (), (1, 0)),
        (("LABEL_0", "LABEL_1"), (), (0, 1)),
        (("yes", "NO"), ("False", "True"), (1, 0)),
        (("Not_Entailment", "ENTAILMENT"), (), (0, 1)),
        (("entailment", "not-entailment"), (), (1, 0)),
        (("CONTRADICTION", "neutral", "Entailment"), NLI, (2, 1, 0)),
        (("contradictory", "entail", "neutral"), NLI, (1, 2, 0)),
        (("0", "1", "2"), NLI, (0, 1, 2)),
        (("unknown", "true", "false"), ("false", "true", "undecided"), (2, 1, 0)),
    ],
)
def test_names_are_matched_in_any_order_and_case(classes, labels, order):
    assert class_order(classes, labels) == order


@pytest.mark.parametrize(
    ("classes", "labels"),
    [
        (NLI, ()),
        (("LABEL_0", "LABEL_1", "LABEL_2"), ()),
        (("LABEL_0",), ()),
        (("entailment", "contradiction"), ()),
        (("LABEL_1", "LABEL_0"), ()),
        (("True", "true"), ()),
        (("positive", "neutral", "negative"), NLI),
        (("true", "false"), NLI),
        ((), ()),
    ],
)
def test_what_does_not_fit_is_refused_with_what_to_do(classes, labels):
    with pytest.raises(DataError, match=r"got a classifier of .*labels=\["):
        class_order(classes, labels)


@pytest.fixture
def true_first(tiny, tiny_checkpoints):
    """A classifier of the classes True and False, in this order, and problems with its own answers as labels."""
    checkpoint = tiny_checkpoints("bert", "ForSequenceClassification")
    checkpoint.model.config.id2label = {0: "True", 1: "False"}
    problems = tiny.problems(6)
    batch = checkpoint.encoder().encode([problem.pair("en", "fr") for problem in problems])
    with torch.no_grad():
        answers = checkpoint.model(**batch.model_inputs()).logits.argmax(dim=1).tolist()
    assert set(answers) == {0, 1}
    return checkpoint, [
        dataclasses.replace(p, label=int(answer == 0)) for p, answer in zip(problems, answers, strict=True)
    ]


def shares(results):
    frame = results.to_frame()
    frame = frame[(frame.context_language == "en") & (frame.question_language == "fr")]
    return frame[frame.metric == "correct"].value.mean(), frame[frame.metric == "gold_margin"].value.min()


def test_every_way_to_an_answer_takes_classes_by_name(true_first, caplog):
    checkpoint, problems = true_first
    options = {"pairs": "en-fr", "metrics": ["correct", "gold_margin"], "show_progress": False}
    with caplog.at_level(logging.WARNING):
        tables = [
            measure(checkpoint, problems, **options),
            evaluate(checkpoint, problems, pairs="en-fr"),
            effects.outcomes(checkpoint, problems, pairs="en-fr"),
        ]
    for table in tables:
        correct, margin = shares(table)
        assert correct == 1.0
        assert margin > 0
    assert tables[0].manifest["checkpoints"][checkpoint.name]["labels"] == {"false": "False", "true": "True"}
    assert sum("matched with its classes by name" in line for line in caplog.messages) <= 1
    turned = measure(checkpoint, problems, labels=("false", "true"), **options)
    assert shares(turned)[0] == 0.0


def test_labels_that_fit_no_class_are_refused_or_missing_with_the_reason(tiny, tiny_checkpoints):
    checkpoint = tiny_checkpoints("bert", "ForSequenceClassification")
    problems = [dataclasses.replace(p, label_names=NLI) for p in tiny.problems(2)]
    for call in (evaluate, effects.outcomes):
        with pytest.raises(DataError, match="2 classes .* 3 labels"):
            call(checkpoint, problems, pairs="en-fr")
    frame = measure(checkpoint, problems, pairs="en-fr", metrics=["correct"], show_progress=False).to_frame()
    assert frame.value.isna().all()
    assert frame.reason.str.contains("2 classes").all()
    with pytest.raises(DataError, match="got the label 2; expected 0 to 1"):
        evaluate(checkpoint, [dataclasses.replace(p, label=2) for p in tiny.problems(2)], pairs="en-fr")


def test_labels_can_be_said_and_are_saved(tiny_checkpoints, tmp_path):
    save(tiny_checkpoints("bert", "ForSequenceClassification"), tmp_path / "plain")
    named = load(tmp_path / "plain", labels=["yes", "no"])
    assert named.classes == ("yes", "no")
    assert load(save(named, tmp_path / "named")).class_of() == (1, 0)
    with pytest.raises(CheckpointError, match="for a classifier of 2 classes"):
        load(tmp_path / "plain", labels=["a", "b", "c"])

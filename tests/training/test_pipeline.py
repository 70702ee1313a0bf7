"""transformers' pipeline on contexts and questions in two languages."""

from __future__ import annotations

import pytest
import torch
from transformers import pipeline

import xlprobe
from xlprobe import load
from xlprobe.errors import DataError
from xlprobe.training.pipeline import ReasoningPipeline


@pytest.fixture
def saved(tiny, tmp_path):
    """Save a tiny classifier, and return its directory."""

    def save(crossed, **options):
        checkpoint = tiny.checkpoint("bert", "ForSequenceClassification", cross_query=crossed, **options)
        return xlprobe.save(checkpoint, tmp_path / "saved")

    return save


def questions(tiny, pair=("en", "fr")):
    problems = [problem.pair(*pair) for problem in tiny.problems(3, 2)]
    rows = [
        {"context": one.context, "question": one.question, "context_language": pair[0], "question_language": pair[1]}
        for one in problems
    ]
    return problems, rows


@pytest.mark.parametrize("crossed", [False, True])
@pytest.mark.parametrize("batch_size", [1, 4])
def test_the_pipeline_answers_as_the_model_does(saved, tiny, crossed, batch_size):
    place = saved(crossed)
    made = pipeline("text-classification", model=str(place), pipeline_class=ReasoningPipeline, batch_size=batch_size)
    checkpoint = load(place)
    (problems, rows), names = questions(tiny), ("LABEL_0", "LABEL_1")
    batch = checkpoint.encoder().encode(problems)
    with torch.no_grad():
        scores = checkpoint.model(**batch.model_inputs(crossed)).logits.softmax(-1)
    for row, answer, wanted in zip(rows, made(rows), scores, strict=True):
        assert answer["label"] == names[int(wanted.argmax())]
        assert answer["score"] == pytest.approx(float(wanted.max()), abs=1e-5)
        assert made(row)["score"] == pytest.approx(answer["score"], abs=1e-5)


def test_languages_may_be_said_once_and_change_the_answer(tiny):
    checkpoint = tiny.checkpoint("bert", "ForSequenceClassification", cross_query=True)
    with torch.no_grad():
        for layer in checkpoint.model.bert.encoder.layer:
            layer.attention.self.cross_lingual_query.weight.normal_()
    options = {"model": checkpoint.model, "tokenizer": checkpoint.tokenizer, "encoding": checkpoint.encoding}
    texts = [{"context": " ".join(row["context"]), "question": row["question"]} for row in questions(tiny)[1]]
    made = ReasoningPipeline(**options, context_language="en", question_language="fr")
    switched, same = made(texts, top_k=None), made(texts, top_k=None, question_language="en")
    assert all(len(answer) == 2 for answer in switched)
    assert switched != same


def test_the_encoding_of_a_checkpoint_is_kept(tiny):
    checkpoint = tiny.checkpoint("bert", "ForSequenceClassification")
    rows = questions(tiny)[1]
    plain, prefixed = (
        ReasoningPipeline(model=checkpoint.model, tokenizer=checkpoint.tokenizer, encoding=encoding)(rows)
        for encoding in ({}, {"prefix": "Bob is kind . "})
    )
    assert plain != prefixed


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ("a text", "expected a dict of context, question, context_language, question_language"),
        ({"context": "A.", "question": "B."}, "expected a dict of"),
        ({"context": "A.", "question": "B.", "context_language": "en", "question_language": "x1"}, "language 'x1'"),
        ({"context": "A.", "question": "B.", "context_language": "en", "question_language": "fr", "label": 1}, "dict"),
    ],
)
def test_other_inputs_are_refused(tiny, inputs, message):
    checkpoint = tiny.checkpoint("bert", "ForSequenceClassification", cross_query=True)
    made = ReasoningPipeline(model=checkpoint.model, tokenizer=checkpoint.tokenizer)
    with pytest.raises(DataError, match=message):
        made(inputs)
    with pytest.raises(DataError, match="got the options"):
        made(inputs, padding=True)

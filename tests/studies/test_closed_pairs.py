"""A model is asked with attention between the languages closed as structured dropout closes it."""

from __future__ import annotations

import pytest
import torch
from by_path import load

import xlprobe
from xlprobe.training import evaluate


@pytest.fixture(scope="module")
def study():
    return load("studies/closed_pairs.py")


def test_with_all_open_it_answers_as_ever_and_closing_matters_between_languages_only(study, tiny, monkeypatch):
    monkeypatch.setattr(study, "BATCH", 5)
    checkpoint, problems = tiny.checkpoint("bert", "ForSequenceClassification"), tiny.problems(6, 2, ("en", "fr"))
    logits = {}

    def asked(pair, closed):
        seen = []
        hook = checkpoint.model.register_forward_hook(lambda model, inputs, out: seen.append(out.logits))
        frame = study.answers(checkpoint, problems, pair, closed, seed=0)
        hook.remove()
        logits[pair, closed] = torch.cat(seen)
        return frame

    as_ever = evaluate(checkpoint, problems, pairs="en-fr").to_frame()
    as_ever = as_ever[as_ever["metric"] == "correct"].set_index("sample")["value"]
    assert asked(("en", "fr"), 0.0).set_index("sample")["value"].to_dict() == as_ever.to_dict()
    for pair in (("en", "fr"), ("en", "en")):
        asked(pair, 0.0), asked(pair, 1.0)
    assert not torch.allclose(logits[("en", "fr"), 1.0], logits[("en", "fr"), 0.0], atol=1e-4)
    assert torch.allclose(logits[("en", "en"), 1.0], logits[("en", "en"), 0.0], atol=1e-5)


def test_a_run_is_read_from_its_directory(study, tiny, tmp_path):
    xlprobe.save(tiny.checkpoint("bert", "ForSequenceClassification"), tmp_path / "run")
    assert study.read(tmp_path / "run").name == "run"

"""Every encoder of transformers with every head: loaded, measured, changed and saved; or refused with a reason."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
import transformers
from architectures import HEADS, OWN, save_encoder
from looked_at import eager, patterns
from measured import check_measured

from xlprobe import effects, encoders, load, measure, save
from xlprobe.encoders.hooks import observe, observe_hidden
from xlprobe.encoders.layout import layout_of
from xlprobe.errors import CaptureError, CheckpointError

CASES = [
    pytest.param(name, head, marks=[pytest.mark.slow] if head == "mlm" and name not in ("ModernBert", "Albert") else [])
    for name in OWN
    for head, suffix in HEADS.items()
    if hasattr(transformers, name + suffix)
]


@pytest.fixture
def saved(tiny, tmp_path):
    """Save a tiny random model of an architecture with a fitting tokenizer, and return its directory."""

    def save(name, head="classification", **options):
        return save_encoder(tmp_path, tiny.tokenizers, name, head, **options)

    return save


@pytest.mark.parametrize(("name", "head"), CASES)
def test_an_architecture_is_loaded_measured_and_saved(saved, tiny, tmp_path, name, head):
    checkpoint, problems = load(saved(name, head)), tiny.problems(4, 2, ("en", "fr"))
    assert checkpoint.head == head
    metrics = ["js_stability", "entropy", "cross_lingual_mass", "norm_js_stability", "cka"]
    metrics += ["correct", "gold_margin"] if head == "classification" else []
    results = measure(checkpoint, problems, pairs="en-fr", metrics=metrics, show_progress=False)
    frame = results.to_frame()
    check_measured(frame, metrics)
    assert set(frame[frame.metric == "js_stability"].layer) == {0, 1, 2}
    if head == "classification":
        moved = effects.knock_out(checkpoint, problems, pairs="en-fr", edges=("question->context",), control=False)
        assert moved.to_frame().value.abs().max() > 0
    again = load(save(checkpoint, tmp_path / "again"))
    assert again.hash == checkpoint.hash
    assert again.encoding == checkpoint.encoding


@pytest.mark.parametrize("name", OWN)
def test_looking_changes_nothing_and_shows_what_eager_attention_shows(saved, tiny, name):
    checkpoint = load(saved(name, "none"))
    model, problems = checkpoint.model, tiny.problems(4, 2, ("en", "fr"))
    batch = checkpoint.encoder().encode([p.pair("en", "fr") for p in problems])
    inputs, real = batch.model_inputs(), batch.attention_mask.bool()
    hidden, wanted = {}, eager(model, inputs)
    with torch.no_grad():
        plain = model(**inputs).last_hidden_state
    with observe_hidden(model, lambda layer, states: hidden.update({layer: states})):
        looked, seen = patterns(model, inputs)
    torch.testing.assert_close(looked.last_hidden_state[real], plain[real], atol=1e-4, rtol=1e-4)
    assert sorted(hidden) == [0, 1, 2, 3]
    torch.testing.assert_close(hidden[1][real], wanted.hidden_states[1][real], atol=1e-4, rtol=1e-4)
    rows = real[:, None, :, None]
    for own, pattern in zip(seen, wanted.attentions, strict=True):
        torch.testing.assert_close(own * rows, pattern.nan_to_num() * rows, atol=1e-5, rtol=1e-4)


def test_the_layout_says_groups_windows_and_projections(saved):
    modern = layout_of(load(saved("ModernBert", "none")).model)
    assert (modern.heads, modern.groups, modern.causal) == (4, 4, False)
    assert modern.windows == (None, 4, None)
    grouped = layout_of(load(saved("EuroBert", "none")).model)
    assert (grouped.heads, grouped.groups) == (4, 2)
    for name in OWN:
        layout = layout_of(load(saved(name, "none")).model)
        assert all(linear is not None and linear.in_features == 32 for linear in layout.outputs), name
        assert len(layout.outputs) == 3
    shared = layout_of(load(saved("Albert", "none")).model)
    assert len(set(map(id, shared.outputs))) == 1


@pytest.mark.parametrize("name", ["RemBert", "DebertaV2"])
def test_attention_that_cannot_be_looked_at_is_refused(saved, name):
    with pytest.raises(CheckpointError, match="code of its own"):
        load(saved(name))


def test_an_encoder_saved_as_a_decoder_is_refused_with_the_reason(saved):
    with pytest.raises(CheckpointError, match="has is_decoder=true"):
        load(saved("Bert", "none", is_decoder=True))


def test_a_model_that_adds_something_to_its_attention_is_refused(tiny_checkpoints, monkeypatch):
    from xlprobe.encoders import attention_hooked

    checkpoint = tiny_checkpoints("bert")
    real = attention_hooked._scores
    monkeypatch.setattr(attention_hooked, "_scores", lambda q, k, scale, softcap: real(q, k, scale * 1.1, softcap))
    with pytest.raises(CaptureError, match="moves by .* when somebody looks"), observe(checkpoint.model, {}):
        pass


@pytest.mark.parametrize("name", ["DistilBert", "ModernBert", "EuroBert", "Albert"])
def test_the_lens_says_which_encoders_it_knows(saved, name):
    checkpoint = load(saved(name, "none"))
    with pytest.raises(CheckpointError, match="expected a BERT or XLM-R"):
        encoders.lens(checkpoint)


def test_compiled_models_run_as_they_were_written(saved, tiny, caplog):
    checkpoint, problems = load(saved("Bert")), tiny.problems(2, 2, ("en", "fr"))
    options = {"pairs": "en-fr", "metrics": ["js_stability", "gold_margin"], "show_progress": False}
    plain = measure(checkpoint, problems, **options).to_frame()
    compiled = dataclasses.replace(load(saved("Bert")), name=checkpoint.name)
    compiled.model.compile(backend="eager")
    again = measure(compiled, problems, **options).to_frame()
    assert "runs as it was written" in caplog.text
    np.testing.assert_allclose(again.value, plain.value, atol=1e-5, rtol=1e-5)

"""Weights of 8 bits: as near as they can be, smaller, and looked into as any others."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from architectures import save_encoder
from decoders import save_decoder

from xlprobe import load, measure, save
from xlprobe.checkpoints.int8 import to_int8
from xlprobe.errors import CheckpointError, TrainingError
from xlprobe.training.classifier import make_classifier


@pytest.fixture(scope="module")
def places(tiny, tmp_path_factory):
    place = tmp_path_factory.mktemp("models")
    return {
        "Llama": save_decoder(place, "Llama", "causal"), "GPT2": save_decoder(place, "GPT2", "none"),
        "ModernBert": save_encoder(place, tiny.tokenizers, "ModernBert", "classification"),
    }  # fmt: skip


@pytest.mark.parametrize("name", ["Llama", "GPT2", "ModernBert"])
def test_every_weight_is_within_half_a_step(places, name):
    plain, rounded = load(places[name]).model, load(places[name], dtype="int8").model
    layers = dict(rounded.named_modules())
    found = [one for one in layers if type(layers[one]).__name__.startswith("Int8")]
    assert len(found) == {"Llama": 3 * 7 + 1, "GPT2": 3 * 4, "ModernBert": 3 * 4 + 2}[name]
    for one in found:
        weight, kept = dict(plain.named_modules())[one].weight, layers[one].weight
        axis = 0 if name == "GPT2" else 1  # its layers have their output features last
        step = weight.abs().amax(dim=axis, keepdim=True) / 127
        assert ((weight - kept).abs() <= step / 2 * 1.001).all()
        assert (weight != kept).any()
        assert layers[one].codes.dtype == torch.int8
        assert "weight" not in dict(layers[one].named_parameters())


@pytest.mark.parametrize("name", ["Llama", "ModernBert"])
def test_it_is_measured_nearly_as_before_and_says_what_it_changes(tiny, places, name):
    problems, options = tiny.problems(3, 2, ("en", "fr")), {"pairs": "en-fr", "show_progress": False}
    plain, rounded = load(places[name]), load(places[name], dtype="int8")
    about = rounded.provenance["int8"]
    assert 0 < about["output_moves_by"] < 0.1
    assert about["mib"] < about["mib_before"]
    metrics = ["js_stability", "mass_lift", "norm_js_stability"]
    one, other = (
        measure(c, problems, metrics=metrics, **options).to_frame().value.to_numpy() for c in (plain, rounded)
    )
    assert np.array_equal(np.isnan(one), np.isnan(other))
    assert 0 < np.nanmax(np.abs(one - other)) < 0.5
    assert np.nanmean(np.abs(one - other)) < 0.02


def test_an_embedding_that_is_an_output_layer_too_stays_whole(tiny):
    model = tiny.make_plain("bert", "ForMaskedLM")
    embedding = model.get_input_embeddings().weight
    to_int8(model)
    assert model.get_output_embeddings().weight is embedding


def test_it_is_neither_trained_nor_saved(places, tmp_path):
    rounded = load(places["ModernBert"], dtype="int8")
    with pytest.raises(CheckpointError, match="rounded to int8"):
        save(rounded, tmp_path / "again")
    with pytest.raises(TrainingError, match="int8"):
        make_classifier(rounded)
    with pytest.raises(CheckpointError, match="device_map"):
        load(places["ModernBert"], dtype="int8", device_map="auto")

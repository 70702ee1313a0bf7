"""Passes that begin at an edit give what whole passes give, in every kind of model."""

from __future__ import annotations

import architectures
import decoders
import pytest
import torch

from xlprobe import effects
from xlprobe.checkpoints import load
from xlprobe.encoders.modules import layer_modules
from xlprobe.encoders.probe import output_of, probe_inputs
from xlprobe.encoders.resume import keep_layers, resume_at
from xlprobe.interventions import Ablate

KINDS = ("Bert", "XLMRoberta", "DistilBert", "Albert", "ModernBert", "Llama", "Gemma3", "GPT2", "cross-query")


@pytest.fixture(scope="module")
def model_of(tiny, tmp_path_factory):
    def make(name):
        if name == "cross-query":
            return tiny.checkpoint("xlm-roberta", "ForSequenceClassification", cross_query=True).model
        directory = tmp_path_factory.mktemp("model")
        if name in decoders.OWN:
            return load(decoders.save_decoder(directory, name)).model
        return load(architectures.save_encoder(directory, tiny.tokenizers, name)).model

    return make


@pytest.mark.parametrize("name", KINDS)
def test_resumed_passes_give_what_whole_ones_give(model_of, name):
    model = model_of(name)
    inputs = probe_inputs(model, [9, 5])
    layers = layer_modules(model)
    with torch.no_grad():
        with keep_layers(model) as kept:
            clean = output_of(model, inputs)
        assert torch.equal(output_of(model, inputs), clean)
        for layer in range(len(layers)):
            with Ablate(model, [(layer, 1)]):
                whole = output_of(model, inputs)
                with resume_at(model, kept, layer):
                    resumed = output_of(model, inputs)
            assert not torch.equal(whole, clean)
            assert torch.allclose(resumed, whole, atol=1e-6)
        assert torch.equal(output_of(model, inputs), clean)
    assert all("forward" not in vars(one) for one in layers)


def test_effects_compute_no_layer_below_the_edit_again(tiny):
    checkpoint = tiny.checkpoint("bert", "ForSequenceClassification")
    calls = [0, 0]

    def count(place):
        def hook(module, args, output):
            calls[place] += 1

        return hook

    def measured(heads):
        calls[:] = 0, 0
        effects.head_ablation(checkpoint, tiny.problems(1, 1), pairs="en-fr", heads=heads)
        return tuple(calls)

    measured([(0, 0)])  # checks of the model are passes of their own
    layers = layer_modules(checkpoint.model)
    handles = [layer.attention.register_forward_hook(count(place)) for place, layer in enumerate(layers)]
    try:
        clean = measured([])
        assert clean == (0, 0)
        one, two = measured([(1, 0)]), measured([(1, 0), (1, 1), (1, 2)])
        assert one == (2, 4)
        assert two == (2, 8)
        assert measured([(0, 0)]) == (4, 4)
    finally:
        [handle.remove() for handle in handles]

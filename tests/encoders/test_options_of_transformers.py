"""What users set on any model of transformers: attentions asked for, gradient checkpointing, holes in a mask."""

from __future__ import annotations

import pytest
import torch
import transformers

from xlprobe.encoders import observe

FAMILIES = ("bert", "xlm-roberta")


def make(tiny, family, cls=None, **options):
    """A model of three layers, of one seed, and a code-switched batch for it."""
    checkpoint = tiny.checkpoint(family, "ForSequenceClassification", cross_query=cls is None)
    config = type(checkpoint.model.config).from_dict(
        {**checkpoint.model.config.to_dict(), "num_hidden_layers": 3, **options}
    )
    torch.manual_seed(1)
    model = type(checkpoint.model)(config)
    batch = checkpoint.encoder().encode([problem.pair("en", "fr") for problem in tiny.problems(3, 1)])
    return model, batch.model_inputs(cls is None)


def patterns(model, inputs):
    seen = {}
    hooks = {f"blocks.{n}.attn.hook_pattern": lambda tensor, hook: seen.update({hook.name: tensor}) for n in range(3)}
    with torch.no_grad(), observe(model, hooks):
        model(**inputs)
    return list(seen.values())


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("layers", [None, [1], [0, 2], []])
@pytest.mark.parametrize("asked", ["argument", "configuration"])
def test_attentions_stand_at_their_layers(tiny, family, layers, asked):
    model, inputs = make(tiny, family, cross_layers=layers)
    model.eval()
    wanted = patterns(model, inputs)
    with torch.no_grad():
        plain = model(**inputs).logits
        if asked == "configuration":
            model.set_attn_implementation("eager")
            model.config.output_attentions = True
            found = model(**inputs)
        else:
            found = model(**inputs, output_attentions=True)
            assert model.config._attn_implementation == "sdpa"
        with observe(model, {"blocks.2.attn.hook_pattern": lambda tensor, hook: None}):
            watched = model(**inputs, output_attentions=True).attentions
    torch.testing.assert_close(found.logits, plain, atol=1e-4, rtol=1e-4)
    assert len(found.attentions) == len(watched) == 3
    for own, other, pattern in zip(found.attentions, watched, wanted, strict=True):
        torch.testing.assert_close(own, pattern, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(other, pattern, atol=1e-5, rtol=1e-4)


def test_a_plain_model_of_which_one_layer_is_watched_shows_all_that_are_asked_for(tiny):
    model, inputs = make(tiny, "bert", cls=transformers.BertForSequenceClassification)
    model.eval().set_attn_implementation("eager")
    with torch.no_grad():
        wanted = model(**inputs, output_attentions=True).attentions
        with observe(model, {"blocks.1.attn.hook_pattern": lambda tensor, hook: None}):
            found = model(**inputs, output_attentions=True).attentions
    assert len(found) == len(wanted) == 3
    for own, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(own, other, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("crossed", [False, True])
@pytest.mark.parametrize("how", ["method", "configuration"])
@pytest.mark.parametrize("watched", [False, True])
def test_gradient_checkpointing_changes_no_gradient(tiny, family, crossed, how, watched):
    def gradients(on):
        options = {"gradient_checkpointing": True} if on and how == "configuration" else {}
        if crossed:
            options |= {"q_p_mask": 0.5, "cross_p_mask": 0.5}
        model, inputs = make(tiny, family, *(() if crossed else ("plain",)), **options)
        if on and how == "method":
            model.activation_checkpointing_enable()
        assert model.train().is_activation_checkpointing == on
        hooks = {"blocks.1.attn.hook_pattern": lambda tensor, hook: tensor * 0.5} if watched else {}
        with observe(model, hooks):
            torch.manual_seed(5)
            model(**inputs, labels=torch.tensor([0, 1, 0])).loss.backward()
        assert model.config._attn_implementation == "sdpa"
        return {name: tensor.grad for name, tensor in model.named_parameters() if tensor.grad is not None}

    plain, checkpointed = gradients(False), gradients(True)
    assert plain.keys() == checkpointed.keys()
    assert any("cross_lingual" in name for name in plain) == crossed
    for name, tensor in plain.items():
        torch.testing.assert_close(checkpointed[name], tensor, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_hole_in_the_mask_is_no_language(tiny, family):
    model, inputs = make(tiny, family)
    model.eval()
    inputs["attention_mask"][:, 2] = 0
    answers = []
    for other in (0, 149, 999):
        inputs["language_ids"][:, 2] = other
        with torch.no_grad():
            answers.append(model(**inputs).logits)
    assert torch.equal(answers[0], answers[1])
    assert torch.equal(answers[0], answers[2])
    one = {**inputs, "language_ids": torch.full_like(inputs["language_ids"], 149)}
    hole = {**one, "language_ids": one["language_ids"] * inputs["attention_mask"]}
    with torch.no_grad():
        assert torch.equal(model(**one).logits, model(**hole).logits)

from __future__ import annotations

import copy

import pytest
import torch

from xlprobe.encoders import attention
from xlprobe.encoders.convert import to_cross_query
from xlprobe.encoders.hooks import CROSS_POINTS, PLAIN_POINTS, hook_points, observe
from xlprobe.encoders.selfcheck import check_hooks
from xlprobe.errors import CaptureError

FAMILIES = ("bert", "xlm-roberta")


@pytest.fixture(params=FAMILIES)
def model(request, tiny):
    return tiny.make_plain(request.param, "ForSequenceClassification")


@pytest.fixture
def plain_inputs(tiny, inputs):
    return tiny.without_languages(inputs)


def record(model, inputs, names=None):
    seen = {}

    def look(tensor, hook):
        seen[hook.name] = tensor

    with observe(model, dict.fromkeys(names or hook_points(model), look)), torch.no_grad():
        logits = model(**inputs).logits
    return seen, logits


def test_patterns_equal_transformers_eager(model, plain_inputs):
    seen, logits = record(model, plain_inputs)
    eager = copy.deepcopy(model)
    eager.set_attn_implementation("eager")
    with torch.no_grad():
        expected = eager(**plain_inputs, output_attentions=True)
    for layer, pattern in enumerate(expected.attentions):
        torch.testing.assert_close(seen[f"blocks.{layer}.attn.hook_pattern"], pattern, atol=1e-6, rtol=0)
    torch.testing.assert_close(logits, expected.logits, atol=1e-6, rtol=0)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("crossed", [False, True])
@pytest.mark.parametrize("heads", [1, 2, 5])  # one of two, one sample's, those of two samples
def test_patterns_computed_by_parts_are_the_same(tiny, inputs, monkeypatch, family, crossed, heads):
    if crossed:
        model = to_cross_query(tiny.make_plain(family, "ForSequenceClassification")).eval()
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if "cross_lingual_quer" in name:
                    parameter.add_(torch.randn_like(parameter), alpha=0.1)
    else:
        model, inputs = tiny.make_plain(family, "ForSequenceClassification"), tiny.without_languages(inputs)
    whole, expected = record(model, inputs)  # hooks on the scores ask for all samples at once
    monkeypatch.setattr(attention, "SCORES_AT_ONCE", heads * inputs["input_ids"].shape[1] ** 2)
    unscored = [name for name in whole if "scores" not in name]
    for names in (unscored, [name for name in whole if name.endswith("hook_pattern")]):
        found, logits = record(model, inputs, names)
        assert set(found) == set(names)
        for name in names:
            torch.testing.assert_close(found[name], whole[name], atol=1e-5, rtol=0)
        torch.testing.assert_close(logits, expected, atol=1e-5, rtol=0)


def test_shapes_and_meaning(model, plain_inputs):
    seen, _ = record(model, plain_inputs)
    assert set(seen) == {f"blocks.{layer}.attn.{name}" for layer in range(2) for name in PLAIN_POINTS}
    part = {name: seen[f"blocks.1.attn.{name}"] for name in PLAIN_POINTS}
    assert part["hook_q"].shape == part["hook_z"].shape == (4, 11, 2, 16)
    scores = torch.einsum("bqhd,bkhd->bhqk", part["hook_q"], part["hook_k"]) / 4
    scores = scores.masked_fill(plain_inputs["attention_mask"][:, None, None] == 0, -torch.inf)
    torch.testing.assert_close(part["hook_attn_scores"], scores, atol=1e-5, rtol=0)
    torch.testing.assert_close(part["hook_pattern"], scores.softmax(-1), atol=1e-6, rtol=0)
    z = torch.einsum("bhqk,bkhd->bqhd", part["hook_pattern"], part["hook_v"])
    torch.testing.assert_close(part["hook_z"], z, atol=1e-5, rtol=0)


def test_nobody_hooked_runs_transformers_own_attention(model, plain_inputs, monkeypatch):
    from transformers import AttentionInterface

    points = hook_points(model)
    with torch.no_grad():
        before = model(**plain_inputs).logits
        monkeypatch.setitem(AttentionInterface._global_mapping, "xlprobe_hooked", None)
        assert torch.equal(model(**plain_inputs).logits, before)
    assert model.config._attn_implementation == "sdpa"
    assert not any(point._forward_hooks for point in points.values())


def test_edits_act_as_arithmetic_says(model, plain_inputs):
    def first_token_only(pattern, hook):
        edited = torch.zeros_like(pattern)
        edited[..., 0] = 1.0
        return edited

    name = "blocks.0.attn.hook_pattern"
    seen = {}

    def look(tensor, hook):
        seen["z"] = tensor

    def look_v(tensor, hook):
        seen["v"] = tensor

    hooks = [(name, first_token_only), ("blocks.0.attn.hook_z", look), ("blocks.0.attn.hook_v", look_v)]
    with torch.no_grad():
        before = model(**plain_inputs).logits
        with observe(model, hooks):
            after = model(**plain_inputs).logits
        assert torch.equal(model(**plain_inputs).logits, before)
    torch.testing.assert_close(seen["z"], seen["v"][:, :1].expand_as(seen["z"]), atol=1e-6, rtol=0)
    assert (after - before).abs().max() > 1e-3


@pytest.mark.parametrize("name", ["hook_q", "hook_k", "hook_v", "hook_z", "hook_attn_scores"])
def test_every_point_can_be_edited(model, plain_inputs, name):
    with torch.no_grad():
        before = model(**plain_inputs).logits
        with observe(model, {f"blocks.1.attn.{name}": lambda tensor, hook: tensor * 0.5}):
            assert (model(**plain_inputs).logits - before).abs().max() > 1e-5


def test_only_hooked_layers_leave_the_fused_kernel(model, plain_inputs, monkeypatch):
    from transformers.integrations import sdpa_attention

    calls = []
    fused = sdpa_attention.sdpa_attention_forward
    monkeypatch.setattr(
        sdpa_attention,
        "sdpa_attention_forward",
        lambda module, *a, **k: calls.append(module.layer_idx) or fused(module, *a, **k),
    )
    check_hooks(model)
    calls.clear()
    record(model, plain_inputs, ["blocks.1.attn.hook_pattern", "blocks.0.attn.hook_q"])
    assert calls == [0]


def test_restored_after_an_exception(model, plain_inputs):
    def fail(tensor, hook):
        raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"), observe(model, {"blocks.0.attn.hook_pattern": fail}):
        model(**plain_inputs)
    assert model.config._attn_implementation == "sdpa"
    assert not any(point.has_hooks() for point in hook_points(model).values())
    model(**plain_inputs)


def test_bare_encoder_and_head_share_points_and_copies_do_not(model, plain_inputs):
    points = hook_points(model)
    assert hook_points(model.base_model) == points == hook_points(model)
    twin = copy.deepcopy(model)
    seen = []
    with observe(model, {"blocks.0.attn.hook_pattern": lambda tensor, hook: seen.append(1)}), torch.no_grad():
        twin(**plain_inputs)
        assert not seen
        model.base_model(**plain_inputs)
    assert seen == [1]
    assert hook_points(twin)["blocks.0.attn.hook_q"] is not points["blocks.0.attn.hook_q"]


def test_gradients_reach_the_pattern(model, plain_inputs):
    patterns = []

    def keep(pattern, hook):
        pattern.retain_grad()
        patterns.append(pattern)

    with observe(model, {"blocks.0.attn.hook_pattern": keep}):
        model(**plain_inputs).logits.sum().backward()
    assert patterns[0].grad.abs().sum() > 0


def test_unknown_points_and_models_are_refused(model):
    with pytest.raises(CaptureError, match="hook_nothing"), observe(model, {"blocks.0.attn.hook_nothing": print}):
        pass
    with pytest.raises(CaptureError, match="Linear"):
        hook_points(torch.nn.Linear(2, 2))


def test_cross_query_models_have_more_points(tiny):
    model = tiny.cross_class("bert", "Model")(
        tiny.cross_class("bert", "Model").config_class(
            hidden_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=16,
            vocab_size=9,
            cross_layers=[1],
        )
    )
    names = set(hook_points(model))
    assert {f"blocks.1.attn.{name}" for name in PLAIN_POINTS + CROSS_POINTS} <= names
    assert not any(f"blocks.0.attn.{name}" in names for name in CROSS_POINTS)


def test_any_encoder_on_the_attention_interface_works():
    from transformers import ModernBertConfig, ModernBertModel

    special = dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id"), 0)
    torch.manual_seed(0)
    model = ModernBertModel(
        ModernBertConfig(
            hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16, vocab_size=50, **special
        )
    ).eval()
    ids = torch.randint(1, 50, (2, 7))
    seen = {}
    with torch.no_grad():
        expected = model(ids).last_hidden_state
        with observe(model, {"blocks.1.attn.hook_pattern": lambda tensor, hook: seen.update(p=tensor)}):
            got = model(ids).last_hidden_state
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(seen["p"].sum(-1), torch.ones(2, 2, 7))

from __future__ import annotations

import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from decoders import save_decoder

from xlprobe import encoders, load
from xlprobe.encoders import lens, to_cross_query
from xlprobe.encoders.hooks import hook_points, observe
from xlprobe.encoders.lens import check_lens
from xlprobe.errors import CaptureError, CheckpointError, DataError
from xlprobe.interventions import Ablate

PAIRS = {"pairs": ["en-fr"], "cross_layers": [1]}
MODELS = [
    ("bert", "ForSequenceClassification", None),
    ("xlm-roberta", "ForSequenceClassification", {}),
    ("bert", "Model", PAIRS),
    pytest.param("bert", "ForMaskedLM", {}, marks=pytest.mark.slow),
    pytest.param("xlm-roberta", "Model", None, marks=pytest.mark.slow),
    pytest.param("xlm-roberta", "ForMaskedLM", PAIRS, marks=pytest.mark.slow),
]


def make(tiny, family, head, options):
    model = tiny.make_plain(family, head)
    if options is not None:
        model = to_cross_query(model, **options)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if "cross_lingual" in name:
                    parameter.mul_(-0.6)
    # double precision, so that 1e-6 says something about the computation and not about rounding
    return SimpleNamespace(model=model.double(), tokenizer=None, name="tiny")


def outputs(model, inputs):
    with torch.no_grad():
        output = model(**inputs)
    return output.logits if hasattr(output, "logits") else output.last_hidden_state


@pytest.mark.parametrize(("family", "head", "options"), MODELS)
def test_logits_patterns_and_edits(tiny, family, head, options, inputs):
    checkpoint = make(tiny, family, head, options)
    model = checkpoint.model
    given = inputs if options is not None else tiny.without_languages(inputs)
    expected = outputs(model, given)
    names = list(model.state_dict())
    bridge = lens(checkpoint)
    rest = {key: value for key, value in given.items() if key != "input_ids"}
    with torch.no_grad():
        logits, cache = bridge.run_with_cache(given["input_ids"], **rest)
    torch.testing.assert_close(logits, expected, atol=1e-6, rtol=1e-6)

    # the checkpoint's own model is as it was, and shares the weights
    assert list(model.state_dict()) == names
    assert torch.equal(outputs(model, given), expected)
    assert not any(point.has_hooks() for point in hook_points(model).values())
    assert (
        bridge.blocks[0].attn.q.original_component.weight
        is model.base_model.encoder.layer[0].attention.self.query.weight
    )

    seen = {}
    with observe(model, dict.fromkeys(hook_points(model), lambda tensor, hook: seen.update({hook.name: tensor}))):
        outputs(model, given)
    for name, tensor in seen.items():
        torch.testing.assert_close(cache[name], tensor, atol=1e-9, rtol=1e-9)
    torch.testing.assert_close(cache["blocks.1.hook_resid_pre"], cache["blocks.0.hook_resid_post"])

    def shift(scores, hook):
        scores = scores.clone()
        scores[:, 1, :, 2] += 1.5
        return scores

    point = "blocks.1.attn.hook_attn_scores" + ("" if options is None else "_cross")
    with torch.no_grad():
        edited = bridge.run_with_hooks(given["input_ids"], fwd_hooks=[(point, shift)], **rest)
    with observe(model, {point: shift}):
        torch.testing.assert_close(edited, outputs(model, given), atol=1e-6, rtol=1e-6)
    assert (edited - expected)[0].abs().max() > 1e-4


def test_edited_scores_change_the_output_as_arithmetic_says(tiny, inputs):
    checkpoint = make(tiny, "bert", "ForSequenceClassification", {})
    bridge = lens(checkpoint)
    rest = {key: value for key, value in inputs.items() if key != "input_ids"}
    seen = {}

    def close(scores, hook):
        edited = scores.clone()
        edited[:, :, :, 3] = -torch.inf
        return edited

    def keep(tensor, hook):
        seen[hook.name.rsplit("_", 1)[1]] = tensor

    with torch.no_grad():
        _, cache = bridge.run_with_cache(inputs["input_ids"], **rest)
        hooks = [("blocks.0.attn.hook_attn_scores_cross", close), ("blocks.0.attn.hook_attn_scores", close)]
        hooks += [("blocks.0.attn.hook_pattern", keep), ("blocks.0.attn.hook_z", keep)]
        bridge.run_with_hooks(inputs["input_ids"], fwd_hooks=hooks, **rest)
    expected = cache["blocks.0.attn.hook_pattern"].clone()
    expected[..., 3] = 0.0
    expected /= expected.sum(-1, keepdim=True)
    torch.testing.assert_close(seen["pattern"], expected, atol=1e-6, rtol=0)
    z = torch.einsum("bhqk,bkhd->bqhd", expected, cache["blocks.0.attn.hook_v"])
    torch.testing.assert_close(seen["z"], z, atol=1e-5, rtol=0)


def test_unknown_names_are_refused(tiny, inputs):
    bridge = lens(make(tiny, "bert", "Model", None))
    with pytest.raises(KeyError, match="hook_nothing"):
        bridge.run_with_hooks(inputs["input_ids"], fwd_hooks=[("blocks.0.attn.hook_nothing", print)])


def test_the_self_check_notices_what_goes_wrong(tiny):
    checkpoint = make(tiny, "bert", "ForSequenceClassification", None)
    bridge = lens(checkpoint)

    class Broken:
        def __init__(self, **changes):
            self.changes = changes

        def __call__(self, ids, **kwargs):
            return bridge(ids, **kwargs)

        def run_with_cache(self, ids, **kwargs):
            logits, cache = bridge.run_with_cache(ids, **kwargs)
            factor = self.changes.get("rows", 1.0)
            return logits + self.changes.get("logits", 0.0), {name: t * factor for name, t in cache.items()}

        def run_with_hooks(self, ids, fwd_hooks, **kwargs):
            hooks = [] if self.changes.get("deaf") else fwd_hooks
            return bridge.run_with_hooks(ids, fwd_hooks=hooks, **kwargs)

    check_lens(Broken(), checkpoint.model)
    for changes, match in (
        ({"rows": 0.9}, "do not sum to 1"),
        ({"logits": 0.1}, "does not compute what the model does"),
        ({"deaf": True}, "leaves the output as it is"),
    ):
        with pytest.raises(CaptureError, match=match):
            check_lens(Broken(**changes), checkpoint.model)


def test_other_architectures_are_refused():
    from transformers import DistilBertConfig, DistilBertModel

    model = DistilBertModel(DistilBertConfig(dim=16, n_layers=1, n_heads=2, hidden_dim=16, vocab_size=30))
    with pytest.raises(CheckpointError, match="DistilBertModel"):
        lens(SimpleNamespace(model=model, tokenizer=None, name="other"))


@pytest.fixture
def discovering(monkeypatch):
    """Have TransformerLens look for adapters as if xlprobe were installed: by the entry points that it declares."""
    from transformer_lens.factories import architecture_adapter_factory as factory

    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    declared = project["entry-points"]["transformer_lens.architectures"]
    monkeypatch.setattr(
        factory, "entry_points", lambda group: [EntryPoint(name, value, group) for name, value in declared.items()]
    )
    maker = factory.ArchitectureAdapterFactory
    monkeypatch.setattr(maker, "_adapters", dict(factory.SUPPORTED_ARCHITECTURES))
    monkeypatch.setattr(maker, "_entry_points_discovered", False)
    return declared


@pytest.mark.parametrize(
    ("family", "head", "options"), [("xlm-roberta", "ForSequenceClassification", {}), ("xlm-roberta", "Model", None)]
)
def test_transformer_lens_finds_the_adapters_by_entry_points(tiny, inputs, discovering, family, head, options):
    from transformer_lens.model_bridge.sources._bridge_builder import build_bridge_from_module

    model = make(tiny, family, head, options).model
    given = inputs if options is not None else tiny.without_languages(inputs)
    expected = outputs(model, given)
    bridge = build_bridge_from_module(model, type(model).__name__, hf_config=model.config)
    rest = {key: value for key, value in given.items() if key != "input_ids"}
    with torch.no_grad():
        torch.testing.assert_close(bridge(given["input_ids"], **rest), expected, atol=1e-6, rtol=1e-6)
    assert ("blocks.1.attn.hook_pattern_cross" in bridge.hook_dict) == (options is not None)


def test_entry_points_name_every_class_that_transformer_lens_lacks(discovering):
    from transformer_lens.factories.architecture_adapter_factory import SUPPORTED_ARCHITECTURES

    from xlprobe.encoders.adapter import EncoderAdapter

    assert not set(discovering) & set(SUPPORTED_ARCHITECTURES)
    assert set(discovering) >= {
        name for name in encoders.__all__ if name.startswith("CrossQuery") and "Config" not in name
    }
    assert all(EntryPoint("x", value, "y").load() is EncoderAdapter for value in discovering.values())


def test_interventions_act_through_the_lens_too(tiny, inputs):
    checkpoint = make(tiny, "bert", "ForSequenceClassification", {})
    bridge = lens(checkpoint)
    rest = {key: value for key, value in inputs.items() if key != "input_ids"}
    with torch.no_grad():
        with Ablate(checkpoint.model, [(0, 1)]):
            expected = outputs(checkpoint.model, inputs)
            untouched = bridge(inputs["input_ids"], **rest)
        with Ablate(bridge.original_model, [(0, 1)]):
            got = bridge(inputs["input_ids"], **rest)
        after = bridge(inputs["input_ids"], **rest)
    torch.testing.assert_close(got, expected, atol=1e-9, rtol=0)
    assert (got - untouched).abs().max() > 1e-4
    assert torch.equal(after, untouched)


@pytest.mark.parametrize("family", ["bert", "xlm-roberta"])
@pytest.mark.parametrize("cross_query", [False, True])
def test_texts_get_the_ids_of_the_checkpoint_and_its_tokenizer_stays(tiny_checkpoints, family, cross_query):
    checkpoint = tiny_checkpoints(family, "ForSequenceClassification", cross_query=cross_query)
    tokenizer, text = checkpoint.tokenizer, "Anne is kind."
    before = (len(tokenizer), dict(tokenizer.special_tokens_map), tokenizer(text).input_ids, tokenizer.padding_side)
    bridge = lens(checkpoint)
    assert bridge.to_tokens(text)[0].tolist() == tokenizer(text).input_ids
    assert bridge.to_tokens([text, "Bob is."])[0].tolist() == tokenizer(text).input_ids
    after = (len(tokenizer), dict(tokenizer.special_tokens_map), tokenizer(text).input_ids, tokenizer.padding_side)
    assert after == before


@pytest.mark.parametrize("cross_query", [False, True])
def test_weights_by_head_and_the_results_of_heads(tiny_checkpoints, cross_query):
    checkpoint = tiny_checkpoints("bert", "ForSequenceClassification", cross_query=cross_query)
    bridge, model = lens(checkpoint), checkpoint.model
    attention = model.bert.encoder.layer[1].attention
    assert bridge.W_Q.shape == bridge.W_K.shape == bridge.W_V.shape == (2, 4, 32, 8)
    assert bridge.W_O.shape == (2, 4, 8, 32)
    hidden = torch.randn(3, 32)
    queries = torch.einsum("pw,hwd->phd", hidden, bridge.W_Q[1]) + bridge.b_Q[1]
    torch.testing.assert_close(queries.flatten(1), attention.self.query(hidden))
    if cross_query:
        crossed = torch.einsum("pw,hwd->phd", hidden, bridge.blocks[1].attn.W_Q_cross)
        crossed += attention.self.cross_lingual_query.bias.view(4, 8)
        torch.testing.assert_close(crossed.flatten(1), attention.self.cross_lingual_query(hidden))
    ids = torch.tensor([checkpoint.tokenizer("Anne is kind.").input_ids])
    inputs = {"language_ids": torch.full_like(ids, 149)} if cross_query else {}
    with torch.no_grad():
        _, cache = bridge.run_with_cache(ids, **inputs)
        results = cache.stack_head_results(layer=2)
        wanted = attention.output.dense(cache["blocks.1.attn.hook_z"].flatten(2)) - attention.output.dense.bias
    torch.testing.assert_close(results[4:].sum(dim=0), wanted, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("cross_query", [False, True])
def test_patching_works_on_plain_models_and_asks_for_languages_on_others(tiny_checkpoints, cross_query):
    from transformer_lens import patching

    checkpoint = tiny_checkpoints("bert", "ForSequenceClassification", cross_query=cross_query)
    bridge, tokenizer = lens(checkpoint), checkpoint.tokenizer
    clean, corrupt = (torch.tensor([tokenizer(text).input_ids]) for text in ("Anne is kind.", "Bob is red."))
    with torch.no_grad():
        _, cache = bridge.run_with_cache(
            clean, **({"language_ids": torch.full_like(clean, 149)} if cross_query else {})
        )

        def patched():
            return patching.get_act_patch_resid_pre(bridge, corrupt, cache, lambda logits: logits[0, 0])

        if cross_query:
            with pytest.raises(DataError, match="got no language_ids"):
                patched()
        else:
            assert patched().shape == (2, clean.shape[1])
            assert not torch.allclose(patched()[-1, 0], bridge(corrupt)[0, 0])


@pytest.mark.parametrize("name", ["Llama", "GPT2"])
def test_causal_models_have_the_lens_that_transformer_lens_gives_them(tmp_path, tiny, name):
    checkpoint = load(save_decoder(tmp_path, name))
    batch = checkpoint.encoder().encode([one.pair("en", "fr") for one in tiny.problems(2, 1, ("en", "fr"))])
    inputs, seen = batch.model_inputs(), {}
    with torch.no_grad():
        expected = checkpoint.model(**inputs).logits
        bridge = lens(checkpoint)
        logits, cache = bridge.run_with_cache(inputs["input_ids"], attention_mask=inputs["attention_mask"])
        point = "blocks.2.attn.hook_pattern"
        with observe(checkpoint.model, {point: lambda pattern, hook: seen.update({hook.name: pattern})}):
            checkpoint.model(**inputs)
    real = batch.attention_mask.bool()
    torch.testing.assert_close(logits[real], expected[real], atol=1e-4, rtol=1e-4)
    rows = real[:, None, :, None]
    torch.testing.assert_close(cache[point] * rows, seen[point] * rows, atol=1e-5, rtol=1e-4)


def test_without_an_adapter_the_lens_says_so(tmp_path):
    checkpoint = load(save_decoder(tmp_path, "Llama", "classification"))
    with pytest.raises(CheckpointError, match="got a LlamaForSequenceClassification; expected .* TransformerLens"):
        lens(checkpoint)

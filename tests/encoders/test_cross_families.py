"""Q_cross in models not built as BERT is: rotary positions, windows, shared keys, fused projections, causal."""

from __future__ import annotations

import pytest
import torch
import transformers
from architectures import save_encoder
from decoders import save_decoder

from xlprobe import load, measure, save
from xlprobe.encoders import cross_families, hook_points, is_cross_query, observe, to_cross_query
from xlprobe.encoders.attention_trained import TRAINED, register
from xlprobe.encoders.cross_families import family
from xlprobe.encoders.layout import layout_of
from xlprobe.encoders.probe import output_of, probe_inputs
from xlprobe.errors import CaptureError, CheckpointError, DataError, TrainingError
from xlprobe.interventions import KnockOut
from xlprobe.training import Method, TrainSettings, evaluate, finetune, train_lm_head

NAMES = ("Llama", "Mistral", "ModernBert")
ONE_STEP = TrainSettings(steps=1, batch_size=4, learning_rate=1e-2, dropout=0.0, log_every=1, device="cpu")
CAUSAL = ("Llama", "Mistral", "Qwen2", "Qwen3", "Gemma3")
SLOW = [pytest.param(one, marks=pytest.mark.slow) for one in ("Qwen2", "Qwen3", "Gemma3", "EuroBert", "NomicBert")]


@pytest.fixture(scope="module")
def plain(tiny, tmp_path_factory):
    """The maker of plain checkpoints that were saved to disk: (name, head) -> Checkpoint."""
    made = {}

    def make(name, head=None):
        head = head or ("none" if name == "Gemma3" else "classification")  # whose classifier sees pictures too
        if (name, head) not in made:
            place = tmp_path_factory.mktemp(name)
            write = save_decoder if name in CAUSAL else lambda *a: save_encoder(a[0], tiny.tokenizers, *a[1:])
            made[name, head] = load(write(place, name, head))
        return made[name, head]

    return make


def crossed(checkpoint, perturb=True, **options):
    """A cross-query model of a checkpoint; perturbed: with a Q_cross that is not Q."""
    model = to_cross_query(checkpoint.model, **options)
    if perturb:
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if "cross_lingual" in name:
                    parameter.add_(torch.randn(parameter.shape, generator=generator))
    return model


def mixed_inputs(model):
    """Three samples: code-switched, code-switched and padded, in one language and padded."""
    inputs = probe_inputs(model, [23, 17, 9])
    inputs["language_ids"][2] = inputs["language_ids"][2, 0]
    return inputs


@pytest.mark.parametrize("name", [*NAMES, *SLOW])
def test_a_fresh_q_cross_is_the_baseline_in_one_language(plain, name):
    checkpoint = plain(name)
    model = crossed(checkpoint, perturb=False)
    assert is_cross_query(model)
    assert layout_of(model) == layout_of(checkpoint.model) or layout_of(model).windows == layout_of(model).windows
    inputs = mixed_inputs(model)
    alone = {key: value[2:, :9] for key, value in inputs.items()}
    without = [{key: value for key, value in one.items() if key != "language_ids"} for one in (inputs, alone)]
    with torch.no_grad():
        torch.testing.assert_close(output_of(model, alone), output_of(checkpoint.model, without[1]))
        mixed, baseline = output_of(model, inputs), output_of(checkpoint.model, without[0])
    torch.testing.assert_close(mixed[2], baseline[2], atol=1e-4, rtol=1e-4)
    assert (mixed[:2] - baseline[:2]).abs().amax() > 1e-4


@pytest.mark.parametrize("name", ["Llama", "ModernBert"])
def test_rotary_positions_act_on_q_cross_as_on_q(plain, name):
    model = crossed(plain(name, "none"), perturb=False)
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if "cross_lingual" in key:
                parameter.mul_(2)
    seen = {}
    hooks = {
        f"blocks.0.attn.{point}": lambda t, hook: seen.update({hook.name[14:]: t})
        for point in ("hook_q", "hook_q_cross")
    }
    with torch.no_grad(), observe(model, hooks):
        output_of(model, mixed_inputs(model))
    torch.testing.assert_close(seen["hook_q_cross"], 2 * seen["hook_q"], atol=1e-5, rtol=1e-5)


def by_loops(seen, inputs, causal, window, scale):
    """Both terms of the pattern and what the heads give, a pair of tokens at a time."""
    q, q_cross, k, v = (seen[name].double() for name in ("hook_q", "hook_q_cross", "hook_k", "hook_v"))
    batch, length, heads, _ = q.shape
    shared = heads // k.shape[2]
    mono, cross = torch.zeros(2, batch, heads, length, length, dtype=torch.float64)
    ids, real = inputs["language_ids"], inputs["attention_mask"].bool()
    for b in range(batch):
        switched = len(set(ids[b][real[b]].tolist())) > 1
        for h in range(heads):
            for i in range(int(real[b].sum())):
                for j in range(int(real[b].sum())):
                    if (causal and j > i) or (window is not None and abs(i - j) > window):
                        continue
                    same, bridge = bool(ids[b, i] == ids[b, j]), i == 0 or j == 0
                    key = k[b, j, h // shared]
                    if same or bridge or not switched:
                        mono[b, h, i, j] = torch.exp(q[b, i, h] @ key * scale)
                    if switched and (bridge or not same):
                        cross[b, h, i, j] = torch.exp(q_cross[b, i, h] @ key * scale)
    total = (mono + cross).sum(-1, keepdim=True)
    mono, cross = (torch.where(total > 0, term / total, 0.0) for term in (mono, cross))
    values = v.repeat_interleave(shared, dim=2)
    return mono, cross, torch.einsum("bhqk,bkhd->bqhd", mono + cross, values)


@pytest.mark.parametrize("name", [*NAMES, *SLOW])
def test_both_terms_are_those_of_nested_loops(plain, name):
    model = crossed(plain(name))
    inputs, layout = mixed_inputs(model), layout_of(plain(name).model)
    windows = {"ModernBert": (None, 4, None)}.get(name, layout.windows)
    seen = [{} for _ in windows]

    def look(tensor, hook):
        _, layer, _, point = hook.name.split(".")
        seen[int(layer)][point] = tensor

    with torch.no_grad():
        unseen = output_of(model, inputs)
        with observe(model, dict.fromkeys(hook_points(model), look)):
            torch.testing.assert_close(output_of(model, inputs), unseen, atol=1e-4, rtol=1e-4)
    rows = inputs["attention_mask"].bool()[:, None, :, None]
    for layer, (found, window) in enumerate(zip(seen, windows, strict=True)):
        scale = 256**-0.5 if name == "Gemma3" else 8**-0.5  # its scale does not go by the heads' width
        mono, cross, output = by_loops(found, inputs, layout.causal, window, scale)
        for point, term in (("hook_pattern_mono", mono), ("hook_pattern_cross", cross), ("hook_pattern", mono + cross)):
            torch.testing.assert_close(
                (found[point] * rows).double(), term, atol=1e-5, rtol=1e-4, msg=f"{layer} {point}"
            )
        kept = rows[:, 0, :, :, None]
        torch.testing.assert_close(found["hook_z"].double() * kept, output * kept, atol=1e-4, rtol=1e-4)
        assert (cross[:2].sum(dim=(-1, -2)) > 0).all()
        assert found["hook_pattern"].isfinite().all()


@pytest.mark.parametrize("name", NAMES)
def test_every_way_to_compute_gives_the_same(plain, name):
    model, found = crossed(plain(name)), {}
    inputs = mixed_inputs(model)
    register()
    for implementation in ("sdpa", "eager", TRAINED):
        model.set_attn_implementation(implementation)
        with torch.no_grad():
            found[implementation] = output_of(model, inputs)
    for other in ("eager", TRAINED):
        torch.testing.assert_close(found[other], found["sdpa"], atol=1e-4, rtol=1e-4)
    model.set_attn_implementation("sdpa")
    with torch.no_grad():
        attentions = model(**inputs, output_attentions=True).attentions
    assert len(attentions) == 3
    rows = attentions[1].sum(-1).amin(dim=1)[inputs["attention_mask"].bool()]
    torch.testing.assert_close(rows, torch.ones_like(rows))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("Llama", {}),
        ("ModernBert", {"pairs": ["en-fr", "en-zh"], "fallback_pair": "en-zh"}),
        pytest.param("Llama", {"cross_layers": [1]}, marks=pytest.mark.slow),
    ],
)
def test_it_is_saved_and_loaded_by_a_process_that_never_saw_it(plain, tmp_path, name, options):
    from dataclasses import replace

    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    made = replace(plain(name), model=crossed(plain(name), **options))
    assert sum("cross_lingual" in key for key in made.model.state_dict()) == {0: 3, 1: 1, 2: 6}[len(options)]
    place, delta = save(made, tmp_path / "whole"), save(made, tmp_path / "delta", delta=True, base=plain(name))
    CONFIG_MAPPING._extra_content.pop(made.model.config.model_type)
    cross_families._made.cache_clear()
    for again in (load(place), load(delta, base=plain(name))):
        assert type(again.model).__name__ == f"CrossQuery{name}ForSequenceClassification"
        assert again.is_cross_query
        assert again.hash == made.hash
    inputs = mixed_inputs(made.model)
    with torch.no_grad():
        torch.testing.assert_close(output_of(load(place).model, inputs), output_of(made.model, inputs))


@pytest.mark.parametrize("name", ["Llama", "ModernBert"])
def test_a_step_of_training_reaches_q_cross(tiny, plain, tmp_path, name):
    method = Method(mechanism="cross-query", tuning="cross-query", mix={"en-fr": 1.0})
    problems = tiny.problems(4, 2, ("en", "fr"))
    made = finetune(plain(name, "none"), problems, method, out=tmp_path, settings=ONE_STEP)
    start = to_cross_query(plain(name, "none").model).state_dict()
    prefix = made.model.base_model_prefix + "."
    for key, tensor in made.model.state_dict().items():
        own = start.get(key.removeprefix(prefix))
        if own is not None:
            assert torch.equal(own, tensor) is ("cross_lingual" not in key), key
    assert len(evaluate(made, problems, pairs="en-fr, en-en").to_frame()) == 2 * 2 * len(problems)


@pytest.mark.parametrize(
    ("name", "tuning"),
    [
        ("Llama", "bitfit"),
        ("ModernBert", "attention"),
        pytest.param("Llama", "full", marks=pytest.mark.slow),
        pytest.param("ModernBert", "bitfit", marks=pytest.mark.slow),
    ],
)
def test_the_default_recipe_trains(tiny, plain, tmp_path, name, tuning):
    method = Method(mechanism="cross-query", tuning=tuning, mix={"en-fr": 0.5, "en-en": 0.5})
    problems = tiny.problems(4, 2, ("en", "fr"))
    made = finetune(plain(name, "none"), problems, method, out=tmp_path, settings=ONE_STEP)
    moved, base = (dict(model.named_parameters()) for model in (made.model, plain(name, "none").model))
    prefix = made.model.base_model_prefix + "."
    changed = [key for key, own in base.items() if not torch.equal(own, moved[prefix + key])]
    assert not any("embed" in key for key in changed)
    assert any("attn" in key for key in changed) is (tuning != "bitfit")


@pytest.mark.parametrize(
    ("name", "head"),
    [("Llama", "causal"), pytest.param("ModernBert", "classification", marks=pytest.mark.slow)],
)
def test_it_is_measured_with_forced_routing_and_knock_out(tiny, plain, name, head):
    from dataclasses import replace

    checkpoint = replace(plain(name, head), model=crossed(plain(name, head)))
    problems = tiny.problems(3, 2, ("en", "fr"))
    metrics = ["js_stability", "mass_lift", "share_cross", "norm_js_stability", "correct", "knock_out_effect"]
    frame = measure(checkpoint, problems, pairs="en-fr", metrics=metrics, show_progress=False).to_frame()
    for metric in metrics:
        assert frame[(frame.metric == metric) & frame.value.notna()].shape[0], metric
    stable = frame[(frame.metric == "js_stability") & frame.value.notna()]
    assert {"observed", "forced", "floor", "chance"} <= set(stable.condition)
    share = frame[(frame.metric == "share_cross") & (frame.block == "question->context") & frame.value.notna()]
    share = share[share.condition == "observed"]
    switched = share.context_language.astype(str) != share.question_language.astype(str)
    assert switched.any()
    assert (share.value == switched).all()
    with pytest.raises(CaptureError, match="a cross-query model"):
        measure(checkpoint, problems, metrics=["mass_lift"], queries_at_once=4, show_progress=False)


def test_cutting_q_cross_cuts_what_a_question_sees_of_its_context(tiny, plain):
    checkpoint = plain("Llama", "causal")
    model = crossed(checkpoint)
    batch = checkpoint.encoder().encode([tiny.problems(2, 2, ("en", "fr"))[0].pair("en", "fr")])
    inputs = batch.model_inputs(cross_query=True)
    with torch.no_grad():
        before = output_of(model, inputs)
        with KnockOut(model, "question", "context", branch="cross").on(batch):
            assert (output_of(model, inputs) - before).abs().amax() > 1e-4
        with KnockOut(model, "question", "context", branch="mono").on(batch):
            torch.testing.assert_close(output_of(model, inputs), before, atol=5e-5, rtol=1e-5)


def test_what_cannot_have_a_second_query_is_refused_with_the_reason(tiny, tmp_path, plain):
    reasons = {"GPT2": r"none of the linear layers .* makes its query", "Albert": "its layers share one attention"}
    for name, reason in reasons.items():
        write = save_decoder if name == "GPT2" else lambda *a: save_encoder(a[0], tiny.tokenizers, *a[1:])
        with pytest.raises(CheckpointError, match=f"cannot be given a Q_cross: {reason}"):
            to_cross_query(load(write(tmp_path, name)).model)
    with pytest.raises(CheckpointError, match="has a Q_cross already"):
        to_cross_query(crossed(plain("Llama")))
    with pytest.raises(TrainingError, match="built as BERT and XLM-R are"):
        train_lm_head(plain("ModernBert", "none"), [], out=tmp_path, settings=ONE_STEP)
    cls = family(transformers.LlamaConfig)["none"]
    with pytest.raises(CheckpointError, match="to_cross_query"):
        cls(cls.config_class(num_hidden_layers=1, vocab_size=9, hidden_size=8, num_attention_heads=2))


def test_a_text_in_parts_is_refused(plain):
    model = crossed(plain("Llama", "causal"))
    inputs = {key: value[:1] for key, value in mixed_inputs(model).items()}
    with pytest.raises((CaptureError, DataError)):
        model.generate(inputs["input_ids"], language_ids=inputs["language_ids"], max_new_tokens=3)

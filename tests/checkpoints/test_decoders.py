"""Causal models of transformers: loaded, asked, measured and changed, as tiny random models saved to disk."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from decoders import OWN, save_decoder
from looked_at import eager, patterns
from measured import METRICS, check_measured

from xlprobe import effects, load, measure, save
from xlprobe.encoders.answers import answer_logits
from xlprobe.encoders.hooks import observe
from xlprobe.encoders.layout import layout_of
from xlprobe.errors import CheckpointError, DataError
from xlprobe.metrics.blocks import CLOSED_TO_CAUSAL

WINDOWS = {"Mistral": (11, 11, 11), "Gemma2": (7, None, 7), "Gemma3": (7, None, 7)}


@pytest.fixture(scope="module")
def problems(tiny):
    return tiny.problems(4, 2, ("en", "fr"))


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    return load(save_decoder(tmp_path_factory.mktemp("llama")))


@pytest.mark.parametrize(
    "name", [pytest.param(one, marks=[] if one in ("Llama", "Gemma3", "XGLM") else [pytest.mark.slow]) for one in OWN]
)
def test_a_causal_model_is_loaded_asked_and_measured(tmp_path, problems, name):
    checkpoint = load(save_decoder(tmp_path, name))
    layout = layout_of(checkpoint.model)
    assert (checkpoint.head, layout.causal, layout.heads) == ("causal", True, 4)
    assert layout.groups == (4 if name in ("GPT2", "XGLM") else 2)
    assert layout.windows == WINDOWS.get(name, (None, None, None))
    results = measure(checkpoint, problems, pairs="en-fr", metrics=METRICS, show_progress=False)
    frame = results.to_frame()
    check_measured(frame)
    closed = frame[frame.block.isin(list(CLOSED_TO_CAUSAL))]
    assert len(closed)
    assert closed.value.isna().all(), "never 0"
    assert closed.reason.str.contains("in a causal model").all()
    about = results.manifest["checkpoints"][checkpoint.name]
    assert "{question}" in about["template"]["fr"]
    assert set(about["closed"]) == set(CLOSED_TO_CAUSAL)
    knocked = frame[(frame.metric == "knock_out_effect") & frame.value.notna()]
    assert {"question->context", "last->context", "last->question"} <= set(knocked.block)
    assert knocked[knocked.block == "last->context"].value.abs().max() > 0
    assert frame[frame.metric == "patching_gain"].value.abs().max() > 0


@pytest.mark.parametrize(
    ("name", "head"),
    [("Llama", "classification"), ("GPT2", "none"), pytest.param("GPT2", "classification", marks=[pytest.mark.slow])],
)
def test_bare_decoders_and_classifiers_over_them(tmp_path, problems, name, head):
    checkpoint = load(save_decoder(tmp_path, name, head))
    metrics = ["js_stability", "cka", "correct", "gold_margin"]
    frame = measure(checkpoint, problems, pairs="en-fr", metrics=metrics, show_progress=False).to_frame()
    answered = frame[frame.metric == "gold_margin"].value.notna().any()
    assert answered == (head == "classification")
    if head == "classification":
        batch = checkpoint.encoder().encode([problem.pair("en", "fr") for problem in problems])
        model, rows = checkpoint.model, torch.arange(len(batch))
        with torch.no_grad():
            hidden = model.base_model(batch.input_ids, attention_mask=batch.attention_mask).last_hidden_state
            wanted = model.score(hidden[rows, batch.lengths - 1])
            torch.testing.assert_close(answer_logits(model, batch), wanted)
    again = load(save(checkpoint, tmp_path / "again"))
    assert again.hash == checkpoint.hash


def test_an_answer_is_read_after_the_prompt_by_its_first_token(llama, problems):
    samples = [problem.pair("en", "fr") for problem in problems]
    batch = llama.encoder().encode(samples)
    assert len(set(batch.lengths.tolist())) > 1
    with torch.no_grad():
        logits = answer_logits(llama.model, batch)
        for row in range(len(samples)):
            alone = batch.input_ids[row : row + 1, : int(batch.lengths[row])]
            after = llama.model(alone).logits[0, -1]
            for label, word in enumerate((" Faux", " Vrai")):
                whole = llama.tokenizer(llama.tokenizer.decode(alone[0, 1:]) + word)["input_ids"]
                torch.testing.assert_close(logits[row, label], after[whole[alone.shape[1]]], atol=1e-4, rtol=1e-4)
    frame = measure(llama, problems, pairs="en-fr", metrics=["gold_margin"], show_progress=False).to_frame()
    own = frame[frame.question_language == "fr"].set_index("sample").value
    for row, sample in enumerate(samples):
        margin = float(logits[row, sample.label] - logits[row, 1 - sample.label])
        assert own[sample.key] == pytest.approx(margin, abs=1e-4)


def test_what_the_context_does_is_the_same_whatever_is_asked(llama, problems):
    frame = measure(llama, problems, pairs="en-fr", metrics=["js_stability"], show_progress=False).to_frame()
    own = frame[(frame.block == "context->context") & (frame.pooling == "token")]
    np.testing.assert_allclose(own[own.condition.isin(["observed", "floor"])].value.dropna(), 1.0, atol=1e-6)
    assert own[own.condition == "chance"].value.max() < 0.99
    asked = frame[(frame.block == "question->context") & (frame.condition == "observed")].value
    assert asked.min() < 0.999


def test_patterns_are_those_of_eager_attention(tmp_path, problems):
    for name in ("Gemma2", "Gemma3", "Qwen3", "XGLM"):
        checkpoint = load(save_decoder(tmp_path, name, "none"))
        batch = checkpoint.encoder().encode([problem.pair("en", "fr") for problem in problems])
        _, seen = patterns(checkpoint.model, batch.model_inputs())
        wanted = eager(checkpoint.model, batch.model_inputs()).attentions
        rows = batch.attention_mask.bool()[:, None, :, None]
        for own, pattern in zip(seen, wanted, strict=True):
            torch.testing.assert_close(own * rows, pattern * rows, atol=1e-5, rtol=1e-4)


def test_a_cap_on_scores_holds_some_queries_at_a_time_too(tmp_path, problems):
    checkpoint = load(save_decoder(tmp_path, "Gemma2"))
    options = {"pairs": "en-fr", "metrics": ["mass_lift"], "show_progress": False}
    whole, parts = (measure(checkpoint, problems, **options, **more).to_frame().value.to_numpy()
                    for more in ({}, {"queries_at_once": 5}))  # fmt: skip
    np.testing.assert_allclose(parts, whole, atol=2e-5, rtol=1e-4)


def test_attention_sinks_are_refused_with_the_reason(tmp_path):
    experts = {"num_local_experts": 2, "num_experts_per_tok": 1}
    with pytest.raises(CheckpointError, match="attention sinks, .* the rows of its pattern sum to less than 1"):
        load(save_decoder(tmp_path, "GptOss", **experts))


def test_a_model_with_code_of_its_own_keeps_it_and_its_cache(tmp_path):
    model = load(save_decoder(tmp_path, "XGLM", "none")).model
    ids = torch.tensor([[1, 5, 6, 7, 8]])
    own = model.layers[0].self_attn.forward
    with torch.no_grad():
        plain = model(ids).last_hidden_state
        with observe(model, {"blocks.0.attn.hook_pattern": lambda pattern, hook: None}):
            first = model(ids[:, :3], use_cache=True)
            rest = model(ids[:, 3:], past_key_values=first.past_key_values, use_cache=True)
    joined = torch.cat([first.last_hidden_state, rest.last_hidden_state], dim=1)
    torch.testing.assert_close(joined, plain, atol=1e-4, rtol=1e-4)
    assert model.layers[0].self_attn.forward == own


def test_the_last_token_takes_the_place_of_the_first_in_interventions(llama, problems):
    from xlprobe.interventions import KnockOut, Patch, record

    english = llama.encoder().encode([problem.pair("en", "en") for problem in problems])
    batch = llama.encoder().encode([problem.pair("en", "fr") for problem in problems])
    edges = KnockOut(llama.model, "last", "context").edges(batch)
    assert edges.sum(dim=(1, 2)).tolist() == ((batch.segment_ids == 0) & ~batch.special_mask).sum(dim=1).tolist()
    drawn = KnockOut(llama.model, "question", "context", random_seed=1).edges(batch)
    assert not drawn.triu().any(), "a causal model has no edges to later tokens, so none is drawn"
    assert drawn.sum() == KnockOut(llama.model, "question", "context").edges(batch).sum()
    with torch.no_grad():
        clean, corrupt = answer_logits(llama.model, english), answer_logits(llama.model, batch)
        source = record(llama.model, english)
        with Patch(llama.model, source, at=("cls", "context")).on(batch):
            unmoved = answer_logits(llama.model, batch)
        with Patch(llama.model, source, at="last").on(batch):
            moved = answer_logits(llama.model, batch)
    torch.testing.assert_close(unmoved, corrupt, atol=1e-4, rtol=1e-4)
    assert (moved - corrupt).abs().max() > 1e-3
    assert clean.shape == moved.shape


def test_own_templates_and_answers_are_kept(tmp_path, problems):
    place = save_decoder(tmp_path)
    checkpoint = load(place, template="{context}\n{question} {choices}?\n:", answers=["no", "yes"])
    ids = checkpoint.encoder().encode([problems[0].pair("en", "fr")]).input_ids[0]
    assert checkpoint.tokenizer.decode(ids).strip().endswith(" no / yes?\n:")
    again = load(save(checkpoint, tmp_path / "again"))
    assert again.encoder().templates == checkpoint.encoder().templates
    with pytest.raises(DataError, match="got the template"):
        load(place, template="{question}")
    with pytest.raises(CheckpointError, match="prefix"):
        dataclasses.replace(checkpoint, encoding={"prefix": "query: "}).encoder()


def test_a_context_whose_tokens_depend_on_the_question_is_refused(tmp_path, problems):
    checkpoint = load(save_decoder(tmp_path), template={"en": "{context}d {question}:", "*": "{context}\n{question}:"})
    odd = [
        dataclasses.replace(one, context={c: (*u[:-1], u[-1][:-2]) for c, u in one.context.items()}) for one in problems
    ]
    with pytest.raises(DataError, match="other tokens with another question"):
        measure(checkpoint, odd, pairs="en-fr", metrics=["js_stability"], show_progress=False)


def test_attention_by_code_of_its_own_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="code of its own"):
        load(save_decoder(tmp_path, "Bloom", n_head=4))


@pytest.mark.slow
def test_a_report_of_a_causal_model(tmp_path):
    from xlprobe.report.build import build
    from xlprobe.report.options import ReportOptions

    place = save_decoder(tmp_path)
    options = ReportOptions((str(place),), languages=("en", "fr"), limit=8, out=tmp_path / "report", figures="all")
    page = build(options).read_text(encoding="utf-8")
    assert "Llama" in page
    assert (tmp_path / "report" / "results.parquet").exists()


def test_a_prompt_over_the_context_length_is_said(tmp_path, problems):
    checkpoint = load(save_decoder(tmp_path, "GPT2", max_position_embeddings=32))
    with pytest.raises(DataError, match="more than the 32 tokens that GPT2 takes"):
        measure(checkpoint, problems, pairs="en-fr", metrics=["js_stability"], show_progress=False)


def test_effects_say_what_a_causal_model_has_not(llama, problems):
    frame = effects.knock_out(llama, problems, pairs="en-fr", control=False).to_frame()
    closed = frame[frame.block.isin(list(CLOSED_TO_CAUSAL))]
    assert set(closed.block) == {"context->question", "cls->context", "cls->question"}
    assert closed.value.isna().all()
    assert closed.reason.str.contains("causal model").all()

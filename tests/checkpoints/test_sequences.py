"""Encoder-decoders of transformers: loaded, asked, measured and changed, as tiny random models saved to disk."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
import transformers
from looked_at import eager, patterns
from measured import METRICS, check_measured
from sequences import OWN, save_sequence_model

from xlprobe import effects, encoders, load, measure, save
from xlprobe.checkpoints.named import Reading, load_named
from xlprobe.encoders.answers import answer_logits
from xlprobe.encoders.hooks import observe, observe_hidden
from xlprobe.encoders.layout import layout_of
from xlprobe.errors import CaptureError, CheckpointError, DataError
from xlprobe.metrics.blocks import CLOSED_WITHOUT_CLS

FAST = ("T5", "Bart")


def families(*fast):
    return [pytest.param(name, marks=[] if name in fast else [pytest.mark.slow]) for name in OWN]


@pytest.fixture(scope="module")
def problems(tiny):
    return tiny.problems(4, 2, ("en", "fr"))


@pytest.fixture(scope="module")
def t5(tmp_path_factory):
    return load(save_sequence_model(tmp_path_factory.mktemp("t5")))


@pytest.fixture(scope="module")
def bart(tmp_path_factory):
    place = save_sequence_model(tmp_path_factory.mktemp("bart"), "Bart")
    transformers.GenerationConfig(decoder_start_token_id=2, forced_bos_token_id=1).save_pretrained(place)
    return load(place)


def batch_of(checkpoint, problems):
    return checkpoint.encoder().encode([problem.pair("en", "fr") for problem in problems])


@pytest.mark.parametrize("name", families(*FAST))
def test_an_encoder_decoder_is_loaded_asked_and_measured(tmp_path, problems, name):
    checkpoint = load(save_sequence_model(tmp_path, name))
    layout = layout_of(checkpoint.model)
    assert (checkpoint.head, layout.causal, layout.heads, checkpoint.num_layers) == ("seq2seq", False, 4, 3)
    results = measure(checkpoint, problems, pairs="en-fr", metrics=METRICS, show_progress=False)
    frame = results.to_frame()
    check_measured(frame)
    first = frame[frame.block.isin(list(CLOSED_WITHOUT_CLS))]
    if name in ("Bart", "M2M100"):
        assert first.value.notna().any()
    else:
        assert len(first)
        assert first.value.isna().all()
        assert first.reason.str.contains("no token of its own").all()
    for metric in ("knock_out_effect", "patching_gain"):
        assert frame[frame.metric == metric].value.abs().max() > 0
    about = results.manifest["checkpoints"][checkpoint.name]
    assert about["decoder_start"] == [0 if "T5" in name else 2]
    assert "{question}" in about["template"]["fr"]
    again = load(save(checkpoint, tmp_path / "again"))
    assert again.hash == checkpoint.hash


@pytest.mark.parametrize("name", families("T5", "MBart"))
def test_looking_changes_nothing_and_shows_what_eager_attention_shows(tmp_path, problems, name):
    checkpoint = load(save_sequence_model(tmp_path, name))
    batch, model = batch_of(checkpoint, problems), checkpoint.model
    assert len(set(batch.lengths.tolist())) > 1
    inputs, real = batch.model_inputs(), batch.attention_mask.bool()
    hidden, wanted = {}, eager(model, inputs)
    with torch.no_grad():
        plain = model(**inputs).logits
    with observe_hidden(model, lambda layer, states: hidden.update({layer: states})):
        looked, seen = patterns(model, inputs)
    torch.testing.assert_close(looked.logits, plain, atol=1e-3, rtol=1e-4)
    assert sorted(hidden) == [0, 1, 2, 3]
    torch.testing.assert_close(hidden[2][real], wanted.encoder_hidden_states[2][real], atol=1e-4, rtol=1e-4)
    rows = real[:, None, :, None]
    for own, pattern in zip(seen, wanted.encoder_attentions, strict=True):
        torch.testing.assert_close(own * rows, pattern * rows, atol=1e-5, rtol=1e-4)


def test_patterns_by_rows_have_the_bias_of_positions(t5, problems):
    options = {"pairs": "en-fr", "metrics": ["cross_lingual_mass"], "show_progress": False}
    whole = measure(t5, problems, **options).to_frame()
    parts = measure(t5, problems, queries_at_once=5, **options).to_frame()
    assert whole.value.notna().sum() > 100
    np.testing.assert_allclose(parts.value, whole.value, atol=1e-5)


def test_tokens_that_the_tokenizer_adds_are_no_text(t5, bart, problems):
    batch = batch_of(t5, problems[:2])
    ends = batch.input_ids[torch.arange(2), batch.lengths - 1]
    assert ends.tolist() == [t5.tokenizer.eos_token_id] * 2
    assert batch.special_mask[torch.arange(2), batch.lengths - 1].all()
    assert (batch.unit_ids[:, 0] == 0).all(), "T5's first token is the context's first"
    assert not batch.special_mask[:, 0].any()
    batch = batch_of(bart, problems[:2])
    assert (batch.input_ids[:, 0] == 1).all()
    assert batch.special_mask[:, 0].all()
    assert (batch.decoder_ids[:, :2] == torch.tensor([2, 1])).all(), "the start, then the forced first token"


def test_an_answer_is_read_where_the_words_differ(t5, problems):
    odd = dataclasses.replace(t5, encoding={"answers": {"en": ["True", "False"], "fr": ["Vrai oui", "Vrai"]}})
    with pytest.raises(DataError, match="no first token by which"):
        batch_of(odd, problems)
    odd = dataclasses.replace(t5, encoding={"answers": {"en": ["no", "yes"], "fr": ["Vrai b", "Vrai c"]}})
    pairs = [problems[0].pair("en", "en"), problems[0].pair("en", "fr"), problems[5].pair("fr", "fr")]
    batch = odd.encoder().encode(pairs)
    assert batch.answer_steps.unique().numel() == 2
    with torch.no_grad():
        logits = answer_logits(t5.model, batch)
        for row, words in enumerate((("no", "yes"), ("Vrai b", "Vrai c"), ("Vrai b", "Vrai c"))):
            ids = [t5.tokenizer(word, add_special_tokens=False)["input_ids"] for word in words]
            shared = next(n for n, (one, other) in enumerate(zip(*ids, strict=False)) if one != other)
            text = batch.input_ids[row : row + 1, : int(batch.lengths[row])]
            given = torch.tensor([[0, *ids[0][:shared]]])
            after = t5.model(input_ids=text, decoder_input_ids=given).logits[0, -1]
            wanted = after[[one[shared] for one in ids]]
            torch.testing.assert_close(logits[row], wanted, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("name", "head"),
    [("Bart", "classification"), ("T5", "encoder")]
    + [
        pytest.param(*one, marks=pytest.mark.slow)
        for one in (("T5", "classification"), ("MBart", "classification"), ("MT5", "encoder"), ("Bart", "none"))
    ],
)
def test_classifiers_and_bare_encoders(tmp_path, problems, name, head):
    options = (
        {"id2label": {0: "false", 1: "true"}, "label2id": {"false": 0, "true": 1}} if head == "classification" else {}
    )
    checkpoint = load(save_sequence_model(tmp_path, name, head, **options))
    assert checkpoint.head == ("none" if head == "encoder" else head)
    metrics = ["js_stability", "mass_lift", "cka", "gold_margin", "knock_out_effect"]
    frame = measure(checkpoint, problems, pairs="en-fr", metrics=metrics, show_progress=False).to_frame()
    for metric in metrics:
        answered = head == "classification" or metric in metrics[:3]
        assert frame[frame.metric == metric].value.notna().any() == answered, metric
    if head == "classification":
        batch = batch_of(checkpoint, problems)
        with torch.no_grad():
            wanted = checkpoint.model(batch.input_ids, attention_mask=batch.attention_mask).logits
            torch.testing.assert_close(answer_logits(checkpoint.model, batch), wanted)
    again = load(save(checkpoint, tmp_path / "again"))
    assert again.hash == checkpoint.hash


def test_a_context_has_the_same_tokens_whatever_is_asked(t5, problems):
    one, other = (t5.encoder().encode([problems[0].pair("en", code)]) for code in ("en", "fr"))
    contexts = [batch.input_ids[0][batch.segment_ids[0] == 0] for batch in (one, other)]
    assert torch.equal(*contexts)
    frame = measure(t5, problems, pairs="en-fr", metrics=["js_stability"], show_progress=False).to_frame()
    own = frame[(frame.block == "context->context") & (frame.pooling == "token")]
    assert own[own.condition == "observed"].value.min() < 0.999, "an encoder's context sees the question"


def test_effects_reach_the_answer_through_the_decoder(t5, problems):
    frame = effects.knock_out(t5, problems, pairs="en-fr", control=False).to_frame()
    closed = frame[frame.block.isin(list(CLOSED_WITHOUT_CLS))]
    assert closed.value.isna().all()
    assert closed.reason.str.contains("no token of its own").all()
    assert frame[frame.block == "question->context"].value.abs().max() > 0
    assert not frame.block.str.startswith("last").any()


def test_a_decoder_without_a_first_token_is_refused(tmp_path):
    place = save_sequence_model(tmp_path, "T5", decoder_start_token_id=None)
    for file in ("config.json", "generation_config.json"):
        assert '"decoder_start_token_id": 0' not in (place / file).read_text()
    with pytest.raises(CheckpointError, match="no decoder_start_token_id"):
        load(place)
    assert load(place, head="none").can_answer is False


@pytest.fixture(scope="module")
def across(tmp_path_factory):
    return load(save_sequence_model(tmp_path_factory.mktemp("across")), part="cross")


@pytest.mark.parametrize("name", families("T5"))
def test_cross_attention_is_measured_where_the_decoder_answers(tmp_path, problems, name):
    checkpoint = load(save_sequence_model(tmp_path, name), part="cross")
    assert (checkpoint.name, checkpoint.part) == (f"{name}-cross", "cross")
    assert (checkpoint.num_layers, checkpoint.num_heads) == (
        (3 if name in ("MT5", "UMT5") else 2),
        4 if "T5" in name else 2,
    )
    results = measure(checkpoint, problems, pairs="en-fr", metrics=METRICS, show_progress=False)
    frame = results.to_frame()
    for metric in METRICS:
        own = frame[frame.metric == metric]
        assert own.reason[own.value.isna()].notna().all(), metric
        defined = own[own.value.notna()]
        if metric in ("entropy", "sink_mass", "cka"):
            assert defined.empty, metric
        elif metric not in ("head_rsa", "instability") or name == "T5":  # two heads have no structure, chance no gap
            assert len(defined), metric
        assert set(defined.block.dropna()) <= {"cls->context", "cls->question", "cls->both"} | {None, ""}, metric
    for metric in ("knock_out_effect", "patching_gain"):
        assert frame[frame.metric == metric].value.abs().max() > 0
    assert results.manifest["checkpoints"][checkpoint.name]["part"] == "cross"
    again = load(save(checkpoint, tmp_path / "again"))
    assert (again.part, again.hash) == ("cross", checkpoint.hash)
    assert load(tmp_path / "again", part="encoder").part == "encoder"


@pytest.mark.parametrize("name", families("T5", "Bart"))
def test_cross_attention_is_that_of_eager_attention(tmp_path, problems, name):
    checkpoint = load(save_sequence_model(tmp_path, name), part="cross", answers=["Vrai b", "Vrai c"])
    batch, model = batch_of(checkpoint, problems), checkpoint.model
    assert batch.decoder_ids.shape[1] > 1
    inputs, wanted = batch.model_inputs(), eager(model, batch.model_inputs()).cross_attentions
    with torch.no_grad():
        plain = model(**inputs).logits
    looked, seen = patterns(model, inputs, layers=2)
    torch.testing.assert_close(looked.logits, plain, atol=1e-3, rtol=1e-4)
    for own, pattern in zip(seen, wanted[:2], strict=True):
        torch.testing.assert_close(own, pattern, atol=1e-4, rtol=1e-3)
    frame = measure(checkpoint, problems, pairs="en-fr", metrics=["cross_lingual_mass"], show_progress=False).to_frame()
    own = frame[(frame.question_language == "fr") & (frame.block == "cls->question") & (frame.layer == 1)]
    text = batch.unit_ids >= 0
    for row, problem in enumerate(problems):
        answering = wanted[1][row, :, batch.answer_steps[row]]
        asked = answering[:, text[row] & (batch.segment_ids[row] == 1)].sum(dim=1)
        mass = own[own["sample"] == problem.key].sort_values("head").value
        np.testing.assert_allclose(mass, asked / answering[:, text[row]].sum(dim=1), atol=1e-4)


def test_edges_across_are_cut_for_the_decoder_only(across, problems):
    from xlprobe.interventions import KnockOut, Patch, head_means, record

    batch, model = batch_of(across, problems), across.model
    context = (batch.segment_ids == 0) & ~batch.special_mask
    cut = KnockOut(model, "cls", "context").edges(batch)
    assert torch.equal(cut[:, 0], context), "the first token, too: nothing attends to itself"
    assert not cut[:, 1:].any()
    drawn = KnockOut(model, "cls", "context", random_seed=1).edges(batch)
    assert torch.equal(drawn.sum(dim=(1, 2)), cut.sum(dim=(1, 2)))
    assert not (drawn[:, 0] & ~batch.attention_mask.bool()).any()
    everything = KnockOut(model, "cls", "all")
    assert (everything.edges(batch).sum(dim=(1, 2)) == batch.lengths - 1).all()
    seen = []
    with (
        torch.no_grad(),
        everything.on(batch),
        observe(model, {"blocks.1.attn.hook_pattern": lambda t, hook: seen.append(t)}),
    ):
        assert answer_logits(model, batch).isfinite().all()
    last = seen[0][torch.arange(len(batch)), :, 0, batch.lengths - 1]
    torch.testing.assert_close(last, torch.ones_like(last))
    with pytest.raises(CaptureError, match="nothing would change"), KnockOut(model, "question", "context").on(batch):
        pass
    english = across.encoder().encode([problem.pair("en", "en") for problem in problems])
    with torch.no_grad():
        source, own = record(model, english), answer_logits(model, batch)
        with Patch(model, source).on(batch):
            assert (answer_logits(model, batch) - own).abs().max() > 1e-3
        with Patch(model, record(model, batch)).on(batch):
            torch.testing.assert_close(answer_logits(model, batch), own)
    assert head_means(model, [batch]).shape == (2, 4, 6)


def test_parts_that_there_are_not_are_refused(tmp_path, across, problems, tiny_checkpoints):
    with pytest.raises(CheckpointError, match="observe work without a lens"):
        encoders.lens(across)
    place = save_sequence_model(tmp_path, "T5")
    with pytest.raises(CheckpointError, match="sees neither context nor question"):
        load(place, part="decoder")
    assert load_named([f"mine={place}"], reading=Reading(part="cross"))[0].part == "cross"
    with pytest.raises(CheckpointError, match="expected an encoder-decoder that answers by a word"):
        load(place, head="none", part="cross")
    save(tiny_checkpoints("bert"), tmp_path / "bert")
    with pytest.raises(CheckpointError, match="expected an encoder-decoder"):
        load(tmp_path / "bert", part="encoder")
    with pytest.raises(CaptureError, match="whose cross attention has one"):
        measure(across, problems, pairs="en-fr", metrics=["mass_lift"], queries_at_once=4, show_progress=False)


@pytest.mark.slow
@pytest.mark.parametrize("part", ["encoder", "cross"])
def test_a_report_of_an_encoder_decoder(tmp_path, part):
    from xlprobe.report.build import build
    from xlprobe.report.options import ReportOptions

    place = save_sequence_model(tmp_path)
    options = ReportOptions(
        (str(place),), languages=("en", "fr"), limit=8, out=tmp_path / "report", figures="all", part=part
    )
    assert "T5" + "-cross" * (part == "cross") in build(options).read_text(encoding="utf-8")

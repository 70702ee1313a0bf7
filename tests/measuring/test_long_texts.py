"""Texts so long that no pattern is ever whole in memory: the same numbers, some queries at a time."""

from __future__ import annotations

import numpy as np
import pytest
from decoders import save_decoder

from xlprobe import load, measure
from xlprobe.errors import CaptureError, CheckpointError, DataError

METRICS = ["js_stability", "cross_lingual_mass", "mass_expectation", "mass_lift", "instability", "gold_margin"]
KEYS = ["metric", "layer", "head", "block", "pooling", "condition", "reference", "sample", "context_language",
        "question_language"]  # fmt: skip


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    return save_decoder(tmp_path_factory.mktemp("long"))


def values(frame):
    known = frame[frame.value.notna()]
    return known.assign(**{key: known[key].astype(str) for key in KEYS}).set_index(KEYS).value.sort_index()


@pytest.mark.parametrize("queries", [1, 7, 1000])
@pytest.mark.parametrize("kind", ["causal", "encoder"])
def test_some_queries_at_a_time_give_the_same_values(tiny, llama, kind, queries):
    checkpoint = load(llama) if kind == "causal" else tiny.checkpoint("bert", "ForSequenceClassification")
    problems, options = tiny.problems(4, 2, ("en", "fr")), {"pairs": "en-fr", "show_progress": False}
    whole = measure(checkpoint, problems, metrics=METRICS, **options).to_frame()
    parts = measure(checkpoint, problems, metrics=METRICS, queries_at_once=queries, **options).to_frame()
    expected, found = values(whole[whole.pooling != "token"]), values(parts)
    assert list(found.index) == list(expected.index)
    np.testing.assert_allclose(found, expected, atol=2e-5, rtol=1e-4)
    noted = parts[parts.value.isna() & (parts.pooling == "token")]
    assert set(noted.metric) == {"js_stability"}
    assert noted.reason.str.contains("whole patterns").all()


def test_what_needs_whole_patterns_is_left_out_with_the_reason(tiny, llama):
    frame = measure(
        load(llama), tiny.problems(2, 2, ("en", "fr")), pairs="en-fr", queries_at_once=8, show_progress=False,
        metrics=["entropy", "sink_mass", "head_rsa", "norm_js_stability", "attention_distance", "mass_lift"],
    ).to_frame()  # fmt: skip
    absent = frame[frame.metric != "mass_lift"]
    assert absent.value.isna().all()
    assert absent.reason.str.contains("queries_at_once").all()
    assert set(absent.metric) == {"entropy", "sink_mass", "head_rsa", "norm_js_stability", "attention_distance"}
    assert frame[frame.metric == "mass_lift"].value.notna().any()


def test_what_cannot_be_done_by_rows_is_refused(tiny, llama):
    problems = tiny.problems(2, 2, ("en", "fr"))
    options = {"pairs": "en-fr", "metrics": ["mass_lift"], "show_progress": False}
    with pytest.raises(CaptureError, match="a cross-query model"):
        measure(tiny.checkpoint("bert", cross_query=True), problems, queries_at_once=8, **options)
    with pytest.raises(DataError, match="keep_patterns with queries_at_once"):
        measure(load(llama), problems, queries_at_once=8, keep_patterns=["t0-q0"], **options)
    with pytest.raises(DataError, match="got queries_at_once=0"):
        measure(load(llama), problems, queries_at_once=0, **options)


def test_half_precision_is_measured_in_single(tiny, llama):
    problems, options = tiny.problems(4, 2, ("en", "fr")), {"pairs": "en-fr", "show_progress": False}
    single, half = load(llama), load(llama, dtype="bfloat16")
    assert half.provenance["dtype"] == "bfloat16"
    frames = [
        measure(one, problems, metrics=["js_stability", "mass_lift"], **options).to_frame() for one in (single, half)
    ]
    exact, rounded = (values(frame[frame.block == "question->context"]) for frame in frames)
    assert list(exact.index) == list(rounded.index)
    assert (exact - rounded).abs().median() < 0.02
    assert (exact - rounded).abs().max() > 0


def test_where_the_weights_go(tiny, llama):
    import torch

    plain, mapped, auto = load(llama), load(llama, device_map={"": "cpu"}), load(llama, device_map="auto")
    batch = plain.encoder().encode([one.pair("en", "fr") for one in tiny.problems(2, 1, ("en", "fr"))])
    with torch.no_grad():
        logits = [one.model(**batch.model_inputs()).logits for one in (plain, mapped, auto)]
    assert torch.equal(logits[0], logits[1])
    assert torch.equal(logits[0], logits[2])
    with pytest.raises(CheckpointError, match="which does not fit"):
        load(llama, device_map={"model.embed_tokens": "cpu"})
    with pytest.raises(CheckpointError, match="expected 'auto', or a device for each part"):
        load(llama, device_map="anywhere")

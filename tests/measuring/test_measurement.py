from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from xlprobe import measure, save
from xlprobe.errors import DataError
from xlprobe.measuring import attention, checkpoint_run
from xlprobe.metrics import METRICS, SIMILARITIES, metrics_in, tensors
from xlprobe.samples import ParallelSample, resting

KEYS = [
    "checkpoint",
    "context_language",
    "question_language",
    "reference",
    "sample",
    "layer",
    "head",
    "metric",
    "block",
]
KEYS += ["pooling", "condition"]
VECTORS = [name for name, one in METRICS.items() if one.kind == "vectors" and not name.startswith("map_")]
ATTENTION = [name for name, one in METRICS.items() if one.kind in ("attention", "comparison", "logits")]
ATTENTION.remove("attention")


def values(results):
    frame = results.to_frame()
    frame[KEYS] = frame[KEYS].astype(object).where(frame[KEYS].notna(), "")
    series = frame.set_index(KEYS)["value"]
    assert not series.index.duplicated().any()
    return series.sort_index()


# One metric of each way to the table: a comparison, a shape, a mass, the two queries, norms, heads, the answer.
FEW = ["js_stability", "sink_mass", "mass_lift", "share_cross", "norm_mass_lift", "instability", "gold_margin"]


@pytest.mark.parametrize("cross_query", [False, True])
def test_every_number_is_the_same_for_every_batch_size(tiny, tiny_checkpoints, tmp_path, cross_query):
    checkpoint = tiny_checkpoints("xlm-roberta", "ForSequenceClassification", cross_query=cross_query)
    problems = tiny.problems(3, 2)
    options = {"pairs": "en-fr, zh-en", "metrics": FEW, "show_progress": False}
    small = values(measure(checkpoint, problems, batch_size=1, out=tmp_path / "a", **options))
    large = values(measure(checkpoint, problems[::-1], batch_size=500, out=tmp_path / "b", **options))
    # The order of problems decides who is whose neighbour; within one order only rounding may differ.
    again = values(measure(checkpoint, problems, batch_size=500, out=tmp_path / "c", **options))
    assert small.index.equals(again.index)
    np.testing.assert_allclose(again, small, rtol=2e-5, atol=2e-5)
    level = small.index.get_level_values
    own = small.index[(level("condition") == "observed") & (level("sample") != "")]
    np.testing.assert_allclose(large.reindex(own), small[own], rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("layers", [1, 3])
def test_every_number_is_the_same_however_many_layers_are_measured_together(
    tiny, tiny_checkpoints, monkeypatch, layers
):
    checkpoint, problems = tiny_checkpoints("bert", "ForSequenceClassification"), tiny.problems(4, 2)
    options = {"pairs": "en-fr, zh-en", "metrics": "all", "show_progress": False, "batch_size": 8}
    expected = values(measure(checkpoint, problems, **options))
    monkeypatch.setattr(attention, "LAYERS_AT_ONCE", layers)
    found = values(measure(checkpoint, problems, **options))
    assert found.index.equals(expected.index)
    np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("elements", [1, 3000])
def test_every_number_is_the_same_however_few_are_compared_at_a_time(tiny, tiny_checkpoints, monkeypatch, elements):
    checkpoint, problems = tiny_checkpoints("bert", "ForSequenceClassification"), tiny.problems(4, 2)
    options = {"pairs": "en-fr, zh-en", "metrics": [*SIMILARITIES, "norm_js_stability"], "show_progress": False}
    at_once = values(measure(checkpoint, problems, **options))
    monkeypatch.setattr(tensors, "CHUNK_ELEMENTS", elements)
    few = values(measure(checkpoint, problems, **options))
    assert few.index.equals(at_once.index)
    np.testing.assert_allclose(few, at_once, rtol=2e-5, atol=2e-5)


def test_the_table_has_a_row_for_everything_that_was_asked(tiny, tiny_checkpoints):
    checkpoint = tiny_checkpoints("bert", "ForSequenceClassification", cross_query=True)
    problems = tiny.problems(4, 2)
    results = measure(checkpoint, problems, pairs="en-fr, fr-en", metrics=ATTENTION, show_progress=False)
    assert set(results.unique("metric")) == set(ATTENTION)
    assert set(results.unique("condition")) == {"observed", "floor", "chance", "forced"}
    stability = results.select(metric="js_stability", block="question->context", pooling="token")
    assert len(stability.select(condition="observed")) == 2 * len(problems) * 2 * 4
    assert len(stability.select(condition="forced", context_language="en")) == len(problems) * 2 * 4
    frame = stability.to_frame()
    assert frame.value.between(0, 1).all()
    correct = results.select(metric="correct").to_frame()
    assert set(correct.value) <= {0.0, 1.0}
    observed = correct[correct.condition == "observed"]
    assert observed.groupby(["context_language", "question_language"], observed=True).size().to_dict() == {
        ("en", "en"): 8, ("en", "fr"): 8, ("fr", "en"): 8, ("fr", "fr"): 8
    }  # fmt: skip
    shares = results.select(metric=["share_mono", "share_cross"], block="question->context").to_frame()
    assert np.allclose(
        shares.groupby(
            ["context_language", "question_language", "sample", "layer", "head", "condition"], observed=True
        ).value.sum(),
        1,
    )
    in_language = shares[(shares.context_language == shares.question_language) & (shares.condition == "observed")]
    assert (in_language[in_language.metric == "share_cross"].value == 0).all()
    forced = shares[(shares.condition == "forced") & (shares.metric == "share_cross")]
    assert (forced.value == 1).all()


def test_the_manifest_tells_where_the_numbers_come_from(tiny, tiny_checkpoints):
    checkpoint = tiny_checkpoints("bert")
    results = measure(checkpoint, tiny.problems(2), pairs="en-fr", metrics=["entropy"], show_progress=False)
    manifest = results.manifest
    assert manifest["checkpoints"][checkpoint.name]["sha256"] == checkpoint.hash
    assert manifest["data"]["samples"] == 4
    assert manifest["data"]["groups"] == 2
    assert manifest["arguments"]["pairs"] == ["en-fr"]
    assert {"python", "torch", "transformers"} <= set(manifest["versions"])
    other = measure(checkpoint, tiny.problems(3), pairs="en-fr", metrics=["entropy"], show_progress=False)
    assert other.manifest["data"]["sha256"] != manifest["data"]["sha256"]


def test_what_cannot_be_computed_is_a_row_with_a_reason(tiny, tiny_checkpoints):
    results = measure(
        tiny_checkpoints("bert"), tiny.problems(2), pairs="en-fr", metrics=["correct"], show_progress=False
    )
    frame = results.to_frame()
    assert frame.value.isna().all()
    assert frame.reason.tolist() == ["no classification head"]


def test_all_metrics_of_both_kinds_of_checkpoint(tiny, tiny_checkpoints):
    """Every metric is registered and has rows; those that a checkpoint cannot have are one row with the reason."""
    checkpoints = [tiny_checkpoints("bert"), tiny_checkpoints("bert", "ForSequenceClassification", cross_query=True)]
    problems = tiny.problems(5, 2, ("en", "fr"))
    results = measure(checkpoints, problems, pairs="en-fr", metrics="all", show_progress=False)
    frame = results.to_frame()
    for checkpoint in checkpoints:
        rows = frame[frame.checkpoint == checkpoint.name]
        assert set(rows.metric) == set(METRICS)
        # Representations are those of single sentences and of whole problems.
        assert set(rows[rows.metric == "cka"].block) == {"sentence", "problem"}
        retrieval = rows[(rows.metric == "retrieval_raw") & (rows.block == "problem")]
        assert set(retrieval["sample"]) == {problem.key for problem in problems}
        assert set(retrieval["group"]) == {problem.group for problem in problems}
        # A sentence counts with the theory that says it first.
        single = rows[(rows.metric == "retrieval_raw") & (rows.block == "sentence")]
        assert single["sample"].nunique() > single["group"].nunique() > 1
        assert set(single["group"]) <= {problem.group for problem in problems}
    plain = frame[frame.checkpoint == checkpoints[0].name].groupby("metric", observed=True).reason.unique()
    assert list(plain["share_cross"]) == ["one query only: not a cross-query model"]
    assert list(plain["correct"]) == ["no classification head"]
    finite = frame[~frame.metric.isin(["pearson", "instability"]) & frame.reason.isna()]
    assert finite.value.notna().all()


def test_parallel_sentences_have_neutrality_and_no_problems(tiny, tiny_checkpoints):
    sentences = [
        ParallelSample(
            f"s{number}", f"s{number}", "plain", {"en": (f"Anne is kind {word} .",), "fr": (f"Anne {word} .",)}
        )
        for number, word in enumerate("abcdefghij")
    ]
    results = measure(tiny_checkpoints("xlm-roberta"), sentences, metrics=VECTORS, show_progress=False)
    frame = results.to_frame()
    assert set(frame.metric) == set(VECTORS)
    assert set(frame.block) == {"sentence"}
    assert frame.value.notna().all()
    everything = measure(tiny_checkpoints("xlm-roberta"), sentences, metrics="all", show_progress=False)
    crossing = everything.select(metric="mass_lift").to_frame()
    assert crossing.value.isna().all()


def test_instability_needs_no_other_metric_but_controls(tiny, tiny_checkpoints):
    problems = tiny.problems(4)
    options = {"pairs": "en-fr", "metrics": ["instability"], "show_progress": False}
    results = measure(tiny_checkpoints("bert"), problems, **options)
    assert results.unique("metric") == ["instability"]
    assert np.isfinite(results.to_frame().value).any()
    alone = measure(tiny_checkpoints("bert"), tiny.problems(4, 1), **options).to_frame()
    assert alone.reason.str.startswith("no floor").all()
    without = measure(tiny_checkpoints("bert"), problems, controls=False, **options).to_frame()
    assert without.reason.tolist() == ["measured without controls"]


def test_two_theories_against_each_other_are_one_observation(tiny, tiny_checkpoints):
    checkpoint = tiny_checkpoints("bert")
    results = measure(checkpoint, tiny.problems(4), pairs="en-fr", metrics=["js_stability"], show_progress=False)
    chance, floor = (results.select(condition=condition).to_frame() for condition in ("chance", "floor"))
    assert floor["group"].nunique() == 4
    assert chance["group"].nunique() == 2
    assert set(chance["group"]) < set(floor["group"])
    one = chance[(chance["layer"] == 0) & (chance["head"] == 0) & (chance["block"] == "question->context")]
    for _, both in one[one["pooling"] == "token"].groupby(["group", "context_language"], observed=True):
        assert both["sample"].nunique() == len(both) == 4
        # Each value stands there twice, once for either theory.
        assert np.sort(both["value"].to_numpy())[::2] == pytest.approx(
            np.sort(both["value"].to_numpy())[1::2], abs=1e-6
        )


def test_runs_with_other_seeds_may_share_a_name(tiny, tiny_checkpoints):
    runs = [
        replace(tiny_checkpoints("bert", seed=number + 10 * part), name=name, provenance={"seed": number})
        for part, name in enumerate(("cross-query", "baseline"))
        for number in range(3)
    ]
    problems = tiny.problems(4)
    results = measure(runs, problems, pairs="en-fr, fr-en", metrics=["js_stability"], show_progress=False)
    assert results.unique("seed") == [0, 1, 2]
    assert list(results.manifest["checkpoints"])[:2] == ["cross-query", "cross-query (seed 1)"]
    by = {"by": ("layer",), "block": "question->context", "draws": 499}
    token = results.contrast("cross-query", "baseline", "js_stability", **by)
    assert token["n_seeds"].tolist() == [3, 3]
    assert token["n"].tolist() == [2 * 8 * 4 * 3] * 2


def test_patterns_are_kept_for_the_samples_that_are_named(tiny, tiny_checkpoints):
    checkpoint = tiny_checkpoints("bert", cross_query=True)
    kept = []
    measure(
        checkpoint,
        tiny.problems(3),
        pairs="en-zh",
        metrics=["entropy"],
        keep_patterns=["t1-q0"],
        kept=kept,
        show_progress=False,
    )
    found = {(k.sample.context_language, k.sample.question_language): k for k in kept}
    assert set(found) == {("en", "en"), ("en", "zh")}
    for one in kept:
        pattern = one.pattern()
        assert pattern.shape == (2, 4, len(one.tokens), len(one.tokens))
        np.testing.assert_allclose(pattern.astype(np.float64).sum(-1), 1, atol=5e-3)
        parts = one.pattern("mono").astype(np.float32) + one.pattern("cross").astype(np.float32)
        np.testing.assert_allclose(parts, pattern, atol=2e-3)


def test_the_tokenizer_of_a_model_that_was_loaded_here_rests_while_it_runs(
    tiny, tiny_checkpoints, tmp_path, monkeypatch
):
    checkpoint = tiny_checkpoints("xlm-roberta", "ForSequenceClassification", cross_query=True)
    checkpoint = replace(checkpoint, name="saved")
    save(checkpoint, tmp_path / "saved")
    problems = tiny.problems(8)
    options = {"pairs": "en-fr, zh-en", "answers": "*-*", "metrics": "figures", "keep_patterns": [problems[0].key]}
    given, loaded = [], []
    expected = measure(checkpoint, problems, kept=given, show_progress=False, **options)
    monkeypatch.setattr(resting, "LARGE", 1)
    rested = []
    monkeypatch.setattr(resting._Resting, "_wake", lambda self: pytest.fail("somebody tokenises"))
    monkeypatch.setattr(checkpoint_run, "rest", lambda one: (resting.rest(one), rested.append(one)))
    found = measure(tmp_path / "saved", problems, kept=loaded, show_progress=False, **options)
    assert [type(one._tokenizer) for one in rested] == [resting._Resting]
    pd.testing.assert_series_equal(values(found), values(expected))
    assert [one.tokens for one in loaded] == [one.tokens for one in given]
    measure(checkpoint, problems, pairs="en-fr", metrics=["gold_margin"], show_progress=False)
    assert len(rested) == 1, "a tokenizer of the caller's does not rest"


def test_samples_that_are_too_long_are_refused_or_counted(tiny, tiny_checkpoints, monkeypatch):
    checkpoint = tiny_checkpoints("bert")
    monkeypatch.setattr(checkpoint.model.config, "max_position_embeddings", 18)
    with pytest.raises(DataError, match=r"of 8 samples have more than the 18 tokens"):
        measure(checkpoint, tiny.problems(4), pairs="en-fr", metrics=["entropy"], show_progress=False)
    results = measure(
        checkpoint, tiny.problems(4), pairs="en-fr", metrics=["entropy"], too_long="skip", show_progress=False
    )
    left_out = results.manifest["left_out"][checkpoint.name]
    assert left_out["too_long"] == len(left_out["samples"]) > 0
    assert len(results.unique("sample")) == 8 - left_out["too_long"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metrics": ["nonsense"]}, "got the metrics"),
        ({"pairs": "en-de"}, "'de', which is not among the languages"),
        ({"keep_patterns": ["nobody"]}, "not among the 4 samples"),
        ({"base": "xx"}, "got base='xx'"),
        ({"batchsize": 3}, "got the options"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"too_long": "cut"}, "too_long='cut'"),
    ],
)
def test_wrong_options_are_errors_before_any_work(tiny, tiny_checkpoints, options, message):
    with pytest.raises(DataError, match=message):
        measure(tiny_checkpoints("bert"), tiny.problems(2), show_progress=False, **options)


def test_no_samples_and_two_checkpoints_of_one_name_are_errors(tiny, tiny_checkpoints):
    checkpoint = tiny_checkpoints("bert")
    with pytest.raises(DataError, match="no samples"):
        measure(checkpoint, [])
    with pytest.raises(DataError, match="several checkpoints named"):
        measure([checkpoint, checkpoint], tiny.problems(2))
    assert "js_stability" in {one.name for one in metrics_in("default")}

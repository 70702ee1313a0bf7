"""What the report adds to a measured table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from xlprobe import plots
from xlprobe.measuring.measurement import measure
from xlprobe.report import extras
from xlprobe.results import Results

LANGUAGES = ("en", "fr", "zh")


@pytest.fixture(scope="module")
def problems(tiny: Any) -> Any:
    return tiny.problems()


@pytest.fixture(scope="module")
def classifier(tiny: Any) -> Any:
    return tiny.checkpoint("xlm-roberta", "ForSequenceClassification", cross_query=True)


def joined(parts: Any) -> Any:
    return Results.concat(list(parts)).to_frame()


def test_the_map_is_flat_and_centred(problems: Any, classifier: Any) -> None:
    frame = joined(extras.map_rows(classifier, problems, LANGUAGES))
    assert set(frame["metric"]) == {"map_x", "map_y"}
    assert set(frame["layer"]) == {classifier.num_layers}
    means = (
        frame[frame["condition"] == "centred"].groupby(["metric", "context_language"], observed=True)["value"].mean()
    )
    assert means.to_numpy() == pytest.approx(0, abs=1e-4)
    raw = frame[frame["condition"] == "raw"].groupby("metric", observed=True)["value"]
    assert raw.mean().to_numpy() == pytest.approx(0, abs=1e-4)
    # The first axis is the one along which sentences differ most.
    assert raw.var()["map_x"] >= raw.var()["map_y"]


def test_few_sentences_make_no_map(problems: Any, classifier: Any) -> None:
    assert list(extras.map_rows(classifier, problems[:1], LANGUAGES)) == []


def test_accuracy_is_measured_where_it_was_not(problems: Any, classifier: Any) -> None:
    there = Results(
        pd.DataFrame(
            [
                {"checkpoint": classifier.name, "metric": "correct", "value": 1.0, "context_language": "en",
                 "question_language": code} for code in LANGUAGES
            ]
        )
    )  # fmt: skip
    frame = joined(extras.remaining_accuracy(classifier, problems, there, LANGUAGES))
    cells = set(zip(frame["context_language"], frame["question_language"], strict=True))
    assert cells == {(one, other) for one in ("fr", "zh") for other in LANGUAGES}
    assert frame["sample"].nunique() == len(problems)


def test_effects_are_measured_on_short_problems_of_many_theories(problems: Any, classifier: Any) -> None:
    few = extras._few(problems, "en")
    assert len(few) == len(problems)
    assert {sample.group for sample in few[:4]} == {f"t{number}" for number in range(4)}
    frame = joined(extras.effect_rows(classifier, problems[:2], LANGUAGES))
    assert set(frame["metric"]) == {"knock_out_effect", "patching_recovery", "head_importance"}
    assert set(frame[frame["metric"] == "knock_out_effect"]["layer"].dropna()) == {0, 1}


def test_without_a_head_there_are_no_effects(problems: Any, tiny: Any) -> None:
    bare = tiny.checkpoint("xlm-roberta")
    assert list(extras.effect_rows(bare, problems, LANGUAGES)) == []
    empty = Results(pd.DataFrame({"metric": []}))
    assert list(extras.remaining_accuracy(bare, problems, empty, LANGUAGES)) == []


def test_complete_keeps_the_measured_rows(problems: Any, classifier: Any, tmp_path: Path) -> None:
    kept: list[Any] = []
    results = measure(
        classifier, problems, pairs="en-fr, fr-en", metrics=("js_stability", "correct"), out=tmp_path, controls=False,
        show_progress=False, keep_patterns=[problems[0].key], kept=kept,
    )  # fmt: skip
    before = results.select(metric="js_stability").to_frame()["value"].to_numpy()
    whole = extras.complete(results, [classifier], problems, kept, languages=LANGUAGES, out=tmp_path)
    assert np.array_equal(whole.select(metric="js_stability").to_frame()["value"], before, equal_nan=True)
    assert len(Results.load(tmp_path)) == len(whole)
    assert whole.manifest["arguments"]["pairs"] == ["en-fr", "fr-en"]
    for name in ("attention_maps", "query_masks", "map_of_sentences", "transfer_matrix", "knock_out_effects",
                 "head_importance", "patching_recovery", "tokens_per_word"):  # fmt: skip
        assert plots.FIGURES[name].needs(whole) is None, name

"""Metrics of one's own, of each kind, through everything that those of xlprobe go through."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import xlprobe
from xlprobe import measure
from xlprobe.errors import DataError
from xlprobe.interventions import KnockOut
from xlprobe.measuring.inputs import metrics_of
from xlprobe.metrics import METRICS, get_metric
from xlprobe.results import Results

FILE = """
import xlprobe

@xlprobe.metric("most_on_one", range=(0, 1), label="most on one token")
def most_on_one(pattern, batch):
    return pattern.amax(dim=-1).mean(dim=-1)
"""


@pytest.fixture(autouse=True)
def own_metrics_go() -> Any:
    known = dict(METRICS)
    yield
    METRICS.clear()
    METRICS.update(known)


@pytest.fixture(scope="module")
def checkpoint(tiny: Any) -> Any:
    return tiny.checkpoint("xlm-roberta", "ForSequenceClassification", cross_query=True)


def run(checkpoint: Any, problems: Any, metrics: Any, **options: Any) -> Results:
    return measure(checkpoint, problems, pairs="en-fr", metrics=metrics, show_progress=False, **options)


def test_one_version_s_attention(tiny: Any, checkpoint: Any) -> None:
    @xlprobe.metric("own_row_sum", range=(0, 1.001), label="sum of a row", direction="up")
    def row_sum(pattern, batch):
        text = (~batch.special_mask)[:, None, :, None]
        return (pattern * text).sum(dim=(2, 3)) / text.sum(dim=(2, 3))

    results = run(checkpoint, tiny.problems(3), ["entropy", row_sum])
    frame = results.select(metric="own_row_sum").to_frame()
    assert frame["value"].to_numpy() == pytest.approx(1, abs=1e-5)
    assert len(frame) == 6 * 3 * 2 * 4  # problems, versions (one forced), layers, heads
    assert set(frame["condition"]) == {"observed", "forced"}
    assert get_metric("own_row_sum").label == "sum of a row"


def test_a_comparison_has_floor_chance_forced_and_units(tiny: Any, checkpoint: Any) -> None:
    @xlprobe.metric("own_total_variation", "comparison", range=(0, 1), direction="down")
    def variation(p, q):
        return (p - q).abs().sum(dim=-1) / 2

    @xlprobe.metric("own_quiet", "comparison", controls=False, blocks=("cls->context",), poolings=("mass",))
    def quiet(p, q):
        return (p * q).sum(dim=-1)

    results = run(checkpoint, tiny.problems(4), ["total_variation", variation, quiet])
    own, known = (results.select(metric=name).to_frame() for name in ("own_total_variation", "total_variation"))
    assert set(own["condition"]) == {"observed", "floor", "chance", "forced"}
    assert set(known["condition"]) == {"observed"}
    keys = ["context_language", "question_language", "reference", "sample", "layer", "head", "block", "pooling"]
    mine = own[own["condition"] == "observed"].set_index(keys)["value"].sort_index()
    np.testing.assert_allclose(mine, known.set_index(keys)["value"].sort_index(), atol=1e-6)
    few = results.select(metric="own_quiet").to_frame()
    assert set(few["block"]) == {"cls->context"}
    assert set(few["pooling"]) == {"mass"}
    assert set(few["condition"]) == {"observed"}


def test_logits_vectors_and_interventions(tiny: Any, checkpoint: Any) -> None:
    @xlprobe.metric("own_sureness", "logits", range=(0, 1))
    def sureness(logits, labels):
        return logits.softmax(dim=-1).amax(dim=-1)

    @xlprobe.metric("own_offset", "vectors", range=(0, float("inf")))
    def offset(x, y):
        return float(np.linalg.norm(x.mean(axis=0) - y.mean(axis=0)))

    @xlprobe.metric("own_languages", "vectors")
    def languages(vectors):
        return float(len(vectors))

    @xlprobe.metric("own_cut", "intervention")
    def cut(model, batch):
        return KnockOut(model, "cls", "context").on(batch)

    problems = tiny.problems(5)
    results = run(checkpoint, problems, [sureness, offset, languages, cut, "knock_out_effect"])
    assert results.select(metric="own_sureness").to_frame()["value"].between(0.5, 1).all()
    vectors = results.select(metric="own_offset").to_frame()
    assert set(vectors["block"]) == {"sentence", "problem"}
    assert set(vectors["layer"]) == {0, 1, 2}
    assert set(results.select(metric="own_languages").to_frame()["value"]) == {2.0}
    own = results.select(metric="own_cut").to_frame().set_index(["sample", "question_language"])["value"]
    known = results.select(metric="knock_out_effect", block="cls->context", condition="observed", layer=None)
    frame = known.to_frame().set_index(["sample", "question_language"])["value"]
    np.testing.assert_allclose(own.sort_index(), frame.sort_index(), atol=1e-6)


def test_intervals_and_contrasts_take_them(tiny: Any, checkpoint: Any) -> None:
    @xlprobe.metric("own_top", range=(0, 1))
    def top(pattern, batch):
        return pattern.amax(dim=-1).mean(dim=-1)

    other = tiny.checkpoint("xlm-roberta", "ForSequenceClassification", seed=1)
    results = run([checkpoint, other], tiny.problems(6), [top])
    answer = results.contrast(checkpoint.name, other.name, "own_top", by=("layer",), draws=99)
    assert len(answer)
    assert answer["n"].gt(0).all()


def test_a_file_and_a_name(tiny: Any, checkpoint: Any, tmp_path: Path) -> None:
    path = tmp_path / "own.py"
    path.write_text(FILE)
    results = run(checkpoint, tiny.problems(2), f"entropy, {path}:most_on_one", out=tmp_path / "table")
    assert (
        set(Results.load(tmp_path / "table").unique("metric"))
        == {"entropy", "most_on_one"}
        == set(results.unique("metric"))
    )
    with pytest.raises(DataError, match="it declares most_on_one"):
        metrics_of(f"{path}:other")
    with pytest.raises(DataError, match="does not exist"):
        metrics_of(f"{tmp_path / 'none.py'}:other")


def test_what_is_wrong_is_said(tiny: Any, checkpoint: Any) -> None:
    @xlprobe.metric("own_flat")
    def flat(pattern, batch):
        return pattern.sum()

    @xlprobe.metric("own_rows", "comparison")
    def rows(p, q):
        return (p - q).abs().sum()

    for metric, message in ((flat, r"gave \(\) for a batch of"), (rows, r"gave values of shape \(\)")):
        with pytest.raises(DataError, match=message):
            run(checkpoint, tiny.problems(2), [metric])
    with pytest.raises(DataError, match="which xlprobe has itself"):
        xlprobe.metric("js_stability")(lambda pattern, batch: pattern)
    with pytest.raises(DataError, match="got kind='text'"):
        xlprobe.metric("own", "text")
    with pytest.raises(DataError, match=r"got \['lable'\]"):
        xlprobe.metric("own", lable="x")
    with pytest.raises(DataError, match="expected the least and the largest"):
        xlprobe.metric("own", range=(1, 0))
    with pytest.raises(DataError, match="declared with @xlprobe.metric"):
        run(checkpoint, tiny.problems(2), [lambda pattern, batch: torch.zeros(1)])


def test_declaring_again_replaces_one_s_own(tiny: Any) -> None:
    for label in ("one", "two"):
        xlprobe.metric("own_again", label=label)(lambda pattern, batch: pattern)
    assert get_metric("own_again").label == "two"

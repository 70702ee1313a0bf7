"""Measuring along the way does not disturb what it measures."""

from __future__ import annotations

import numpy as np
import pytest

from xlprobe import measure
from xlprobe.errors import TrainingError
from xlprobe.results import Results
from xlprobe.statistics import above_floor
from xlprobe.training import Dynamics, Method, evaluate, finetune


def test_steps_in_one_table_and_the_same_weights(tiny, settings, tmp_path):
    base, problems = tiny.checkpoint(), tiny.problems(6)
    probe = problems[8:]
    watch = Dynamics(
        base,
        probe,
        steps=[0, 2, 4],
        out=tmp_path / "table",
        name="run",
        pairs="en-fr",
        metrics=["js_stability", "correct"],
        seed=5,
    )
    given = settings(dropout=0.1)
    method = Method("cross-query", "full", {"en-en": 1.0, "en-fr": 1.0})
    watched = finetune(base, problems[:8], method, out=tmp_path / "a", settings=given, callbacks=[watch])
    alone = finetune(base, problems[:8], method, out=tmp_path / "b", settings=given)
    assert watched.hash == alone.hash
    frame = Results.load(tmp_path / "table").to_frame()
    assert sorted(set(frame["step"])) == [0, 2, 4]
    assert set(frame["seed"]) == {5}
    assert {"js_stability", "correct"} <= set(frame["metric"])
    stable = frame[frame["metric"] == "js_stability"]
    assert set(stable["condition"]) == {"observed", "floor", "chance"}
    above = above_floor(stable)
    assert sorted(set(above["step"])) == [0, 2, 4]
    assert above["value"].notna().all()
    last = frame[(frame["step"] == 4) & (frame["metric"] == "correct") & (frame["question_language"] == "fr")]
    expected = evaluate(watched, probe, pairs="en-fr").select(metric="correct").to_frame()
    assert last.set_index("sample")["value"].to_dict() == expected.set_index("sample")["value"].to_dict()


def test_measures_in_full_precision_while_training_in_half(tiny, settings, tmp_path):
    base, problems = tiny.checkpoint(), tiny.problems(6)
    watch = Dynamics(
        base, problems[8:], steps=[0], out=tmp_path / "table", name="run", pairs="en-fr", metrics="all", controls=False
    )  # fmt: skip
    finetune(
        base, problems[:8], Method(tuning="full"), out=tmp_path / "a", callbacks=[watch], settings=settings(bf16=True),
    )  # fmt: skip
    keys = [
        "metric",
        "block",
        "pooling",
        "layer",
        "head",
        "sample",
        "context_language",
        "question_language",
        "reference",
    ]
    options = {"pairs": "en-fr", "metrics": ["js_stability", "entropy"], "controls": False, "show_progress": False}
    expected = measure(base, problems[8:], **options).to_frame()
    found = Results.load(tmp_path / "table").select(metric=options["metrics"]).to_frame()
    merged = found.merge(expected, on=keys)
    assert len(merged) == len(found) == len(expected)
    np.testing.assert_allclose(merged["value_x"], merged["value_y"], atol=1e-6)


@pytest.mark.parametrize(("probe", "steps"), [([], [1]), ([1], []), ([1], [-1])])
def test_bad_arguments(tiny, tmp_path, probe, steps):
    with pytest.raises(TrainingError, match="got"):
        Dynamics(tiny.checkpoint(), probe, steps=steps, out=tmp_path, name="x")

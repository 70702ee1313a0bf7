"""Figures, page and library have one floor and one pairing, also where problems and heads are undefined."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from xlprobe import plots
from xlprobe.report.headline import measured
from xlprobe.results import Results
from xlprobe.statistics import above_floor, contrast_frame, recovery, subtract_reference, summarise, verdict

ROWS = {"block": "question->context", "pooling": "token"}
PAIR = ["context_language", "question_language"]


@pytest.fixture(scope="module")
def uneven(results: Any) -> Any:
    """A table in which one question of a theory is lost, and single heads have no floor or are undefined."""
    frame = results.to_frame()
    stable = frame["metric"] == "js_stability"
    lost = (frame["sample"] == "t1-q1") & (frame["condition"] == "observed")
    gone = (frame["condition"] == "floor") & (frame["head"] == 1) & (frame["sample"] == "t0-q0")
    frame = frame[~(stable & (lost | gone))].reset_index(drop=True)
    absent = (frame["metric"] == "js_stability") & (frame["sample"] == "t2-q0") & (frame["head"] == 0)
    frame.loc[absent & (frame["condition"] == "floor"), "value"] = np.nan
    frame.loc[(frame["metric"] == "mass_lift") & (frame["sample"] == "t3-q1") & (frame["head"] == 2), "value"] = np.nan
    return Results(frame, results.manifest)


def of_block(table: Any) -> pd.DataFrame:
    return table.select(metric="js_stability", **ROWS).to_frame()


def same(drawn: pd.DataFrame, said: pd.DataFrame, by: list[str], **columns: str) -> None:
    merged = drawn.merge(said, on=by, suffixes=("_drawn", "_said"))
    assert len(merged) == len(drawn) == len(said)
    for mine, theirs in columns.items():
        left, right = (mine, theirs) if mine != theirs else (f"{mine}_drawn", f"{theirs}_said")
        np.testing.assert_allclose(merged[left].astype(float), merged[right].astype(float), rtol=1e-9, atol=1e-12)


def test_stability_above_floor_is_that_of_the_library(uneven: Any) -> None:
    drawn = plots.stability_by_layer.table(uneven)
    by = ["checkpoint", *PAIR, "layer"]
    rows = above_floor(of_block(uneven))
    said = summarise(rows[rows["condition"] == "observed"], by)
    same(drawn[drawn["quantity"] == "S − floor"], said, by, mean="mean", low="low", high="high", n="n", n_nan="n_nan")


def test_changes_of_heads_are_those_of_the_library(uneven: Any) -> None:
    by = ["layer", "head"]
    drawn = plots.stability_by_head.table(uneven)
    drawn = drawn[drawn["quantity"] == "change"]
    said = uneven.contrast("crossed", "base", "js_stability", reference="floor", **ROWS)
    same(drawn, said, by, mean="estimate", low="low", high="high", q="q", raw="raw", n_groups="n_groups")
    assert drawn.merge(said, on=by)["held"].tolist() == (verdict(said, p="q") != 0).tolist()
    drawn = plots.heads_that_change.table(uneven, most=7)
    said = uneven.heads_that_change("base", "crossed")
    assert drawn["tests"].unique().tolist() == [len(said)]
    by = [*PAIR, *by]
    same(drawn, said.head(7), by, mean="estimate", low="low", high="high", q="q", n_seeds="n_seeds")
    assert drawn[by].astype(str).to_numpy().tolist() == said.head(7)[by].astype(str).to_numpy().tolist()


def test_other_changes_are_those_of_the_library(uneven: Any) -> None:
    drawn = plots.transfer_matrix.table(uneven)
    said = uneven.contrast("crossed", "base", "correct", by=PAIR)
    same(drawn[drawn["quantity"] == "change"], said, PAIR, mean="estimate", low="low", high="high", q="q")
    drawn = plots.cross_lingual_mass.table(uneven)
    by = ["checkpoint", *PAIR, "layer"]
    rows = uneven.select(metric="mass_lift", block="question->context").to_frame()
    said = summarise(subtract_reference(rows, "mass_lift"), by)
    same(drawn[drawn["quantity"] == "change by the border"], said, by, mean="mean", low="low", high="high", n="n")


def test_the_page_says_what_the_library_says(uneven: Any) -> None:
    found = measured(uneven)
    said = uneven.contrast("crossed", "base", "js_stability", by=(), reference="floor", **ROWS).iloc[0]
    for name in ("estimate", "low", "high", "p", "raw", "n", "n_nan"):
        assert found.differs[name] == pytest.approx(said[name])
    rows = subtract_reference(uneven.select(metric="mass_lift", block=ROWS["block"]).to_frame(), "mass_lift")
    said = contrast_frame(rows, "crossed", "base", "mass_lift", by=()).iloc[0]
    assert found.crosses["estimate"] == pytest.approx(said["estimate"])


def test_without_a_floor_figures_say_so_and_compare_what_was_observed(uneven: Any) -> None:
    frame = of_block(uneven)
    bare = Results(frame[frame["condition"] != "floor"], uneven.manifest)
    for name in ("stability_by_layer", "stability_by_head", "heads_that_change"):
        caption = plots.FIGURES[name](bare).caption
        assert "o floor was measured" in caption, name
        assert "floor taken off" not in caption, name
        assert "S − floor" not in caption, name
    said = bare.heads_that_change("base", "crossed", reference=None)
    drawn = plots.heads_that_change.table(bare, most=5)
    assert drawn["mean"].tolist() == pytest.approx(said["estimate"].head(5).tolist())
    assert measured(bare).differs is None


def test_what_patching_recovers_is_a_ratio_of_means(results: Any) -> None:
    drawn = plots.patching_recovery.table(results)
    frame = results.select(metric=["patching_gain", "patching_gap"]).to_frame()
    for row in drawn.itertuples():
        own = frame[frame["checkpoint"].eq(row.checkpoint) & frame["question_language"].eq(row.question_language)]
        gain = own[(own["metric"] == "patching_gain") & (own["layer"] == row.layer)].set_index("sample")
        gap = own[own["metric"] == "patching_gap"].set_index("sample")["value"].loc[gain.index]
        said = recovery(gain["value"], 0 * gap, gap, gain["group"])
        assert [row.mean, row.low, row.high] == pytest.approx([said.value[0], said.low[0], said.high[0]], nan_ok=True)
        assert (row.n, row.n_groups, row.reason) == (said.n[0], said.n_groups[0], said.reason[0])
    lost = drawn[drawn["mean"].isna()]
    assert set(zip(lost["checkpoint"], lost["question_language"], strict=True)) == {("base", "ar")}
    caption = plots.patching_recovery(results).caption
    assert f"Undefined where less than a logit was lost: {len(lost)} of {len(drawn)}." in caption
    assert plots.patching_recovery.needs(results.select(metric="patching_gain")) == "the table has no patching_gap"


def test_dynamics_take_the_floor_off_or_say_that_there_is_none(steps: Any) -> None:
    drawn = plots.dynamics_over_steps.table(steps)
    rows = above_floor(steps.select(metric="js_stability").to_frame())
    said = summarise(rows, ["checkpoint", "step"])
    same(drawn[drawn["quantity"] == "above_floor"], said, ["checkpoint", "step"], mean="mean", low="low", high="high")
    figure = plots.dynamics_over_steps(steps)
    assert "S − floor: floor (another question about the same facts, in one language) taken off" in figure.caption
    frame = steps.to_frame()
    bare = Results(frame[frame["condition"] != "floor"], steps.manifest)
    assert set(plots.dynamics_over_steps.table(bare)["quantity"]) == {"correct", "js_stability"}
    assert "No floor was measured" in plots.dynamics_over_steps(bare).caption

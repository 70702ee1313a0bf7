"""`report` is measure, then draw: all that figures need is in the table, or in the file beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from xlprobe import plots
from xlprobe.measuring.measurement import measure
from xlprobe.report.build import build
from xlprobe.report.options import ReportOptions
from xlprobe.results import Results
from xlprobe.results.patterns import read_patterns

DRAWN = ("attention_maps", "query_masks", "map_of_sentences", "transfer_matrix", "knock_out_effects", "head_importance",
         "tokens_per_word")  # fmt: skip


@pytest.fixture(scope="module")
def table(tiny: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("table")
    checkpoint = tiny.checkpoint("xlm-roberta", "ForSequenceClassification", cross_query=True)
    problems = tiny.problems(6)
    measure(
        checkpoint, problems, pairs="en-fr, fr-en", answers="*-*", metrics="figures", keep_patterns=[problems[0].key],
        out=out, show_progress=False,
    )  # fmt: skip
    return out


def test_the_table_holds_what_the_figures_need(table: Path) -> None:
    results = Results.load(table)
    for name in DRAWN:
        assert plots.FIGURES[name].needs(results) is None, name
    maps = results.select(metric=["map_x", "map_y"]).to_frame()
    centred = maps[maps["condition"] == "centred"].groupby(["metric", "context_language"], observed=True)["value"]
    assert centred.mean().to_numpy() == pytest.approx(0, abs=1e-4)


def test_the_patterns_are_beside_it_and_the_page_is_drawn_without_a_model(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = read_patterns(table)
    assert {one.sample.key for one in kept} == {"t0-q0"}
    few = {name: plots.FIGURES[name] for name in ("transfer_matrix", "tokens_per_word")}
    monkeypatch.setattr(plots, "FIGURES", few)
    monkeypatch.setattr("xlprobe.checkpoints.loading.load", lambda *arguments, **options: pytest.fail("loaded a model"))
    page = build(ReportOptions(results=table, out=tmp_path))
    assert page.exists()
    assert any("explorer" in path.name for path in tmp_path.iterdir())


def test_effects_can_be_left_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from xlprobe.cli import app
    from xlprobe.measuring import measurement

    asked: list[set[str]] = []

    def spied(checkpoints: Any, samples: Any, *, metrics: Any, **options: Any) -> Any:
        asked.append({one.kind for one in metrics})
        raise KeyboardInterrupt

    monkeypatch.setattr(measurement, "measure", spied)
    for option in ("--effects", "--no-effects"):
        CliRunner().invoke(app, ["report", "--limit", "2", option, "--out", str(tmp_path)])
    assert [("intervention" in kinds, "attention" in kinds) for kinds in asked] == [(True, True), (False, True)]

"""The report from a table: what is drawn, what is left out and why, and where to look."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from xlprobe import plots
from xlprobe.cli import app, run
from xlprobe.errors import ResultsError
from xlprobe.plots.explorer import explorer_data
from xlprobe.plots.explorer.document import document
from xlprobe.plots.scope import checkpoints
from xlprobe.report import drawing
from xlprobe.report.build import build
from xlprobe.report.measuring import measured, spread
from xlprobe.report.options import ReportOptions
from xlprobe.report.side_by_side import can_share
from xlprobe.results import Results

FEW = ("tokens_per_word", "dynamics_over_steps")
FIGURES = Path(__file__).resolve().parents[2] / "figures"


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plots, "FIGURES", {name: plots.FIGURES[name] for name in FEW})


def test_what_is_drawn_after_the_opening_are_main_figures() -> None:
    assert not any(plots.FIGURES[name].appendix for name in drawing.LIKE_THE_OPENING)


def test_a_table_in_a_store_is_drawn_into_one(
    results: Any, kept: Any, few: None, tmp_path: Path, memory: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    results.save("memory://bucket/table")
    memory.pipe_file("/bucket/table/explorer.html", document(explorer_data(kept, budget=0)).encode())
    assert run(app, ["report", "--results", "memory://bucket/table", "--out", "memory://bucket/report"]) == 0
    out = capsys.readouterr().out
    assert "figures in memory://bucket/report" in out
    assert out.strip().endswith("open memory://bucket/report/report.html")
    results.save(tmp_path / "table")
    memory.get_file("/bucket/table/explorer.html", str(tmp_path / "table" / "explorer.html"))
    build(ReportOptions(results=tmp_path / "table", out=tmp_path / "report"))
    here = {path.relative_to(tmp_path).as_posix() for path in (tmp_path / "report").rglob("*") if path.is_file()}
    assert {name.removeprefix("/bucket/") for name in memory.find("/bucket/report")} == here
    assert memory.cat_file("/bucket/report/report.html") == (tmp_path / "report" / "report.html").read_bytes()


def test_a_table_is_drawn_again_without_a_model(
    results: Any, kept: Any, few: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results.save(tmp_path / "table")
    data = explorer_data(kept, budget=0)
    (tmp_path / "table" / "explorer.html").write_text(document(data), encoding="utf-8")
    path = build(ReportOptions(results=tmp_path / "table", out=tmp_path / "again"))
    out = capsys.readouterr().out
    assert "1 figures in" in out
    assert "left out: dynamics_over_steps (the table holds no or one step of training" in out
    assert out.strip().endswith(f"open {path}")
    assert (tmp_path / "again" / "explorer.html").read_text(encoding="utf-8") == document(data)
    assert 'href="explorer.html"' in path.read_text(encoding="utf-8")
    assert "attention_maps." not in path.read_text(encoding="utf-8")


@pytest.mark.skipif(not can_share(), reason="needs Linux and two cores")
def test_two_processes_leave_the_same_bytes(results: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("tokens_per_word", "transfer_matrix", "cross_lingual_mass", "instability_by_layer")
    monkeypatch.setattr(plots, "FIGURES", {name: plots.FIGURES[name] for name in names})
    results.save(tmp_path / "table")
    made = []
    for rows in (range(0), range(10**9)):
        monkeypatch.setattr(drawing, "SHARED_ROWS", rows)
        out = build(ReportOptions(results=tmp_path / "table", out=tmp_path / "out")).parent
        made.append({path.name: path.read_bytes() for path in out.iterdir()})
        shutil.rmtree(out)
    assert made[0] == made[1]
    assert {f"{name}.pdf" for name in names} | {"report.html", "summary.csv"} <= set(made[0])


def test_an_empty_or_useless_table_is_refused(results: Any, few: None, tmp_path: Path) -> None:
    results.select(metric="gold_margin").save(tmp_path / "empty")
    with pytest.raises(ResultsError, match="has no rows"):
        build(ReportOptions(results=tmp_path / "empty", out=tmp_path / "out"))
    results.select(metric="cka").save(tmp_path / "useless")
    with pytest.raises(ResultsError, match="the table allows no figure: tokens_per_word: the table has no"):
        build(ReportOptions(results=tmp_path / "useless", out=tmp_path / "out"))


def test_long_patterns_are_rounded_or_left_out_to_fit(kept: Any) -> None:
    whole = explorer_data(kept)
    none = explorer_data(kept, budget=0)
    assert whole["tokenwise"] == len(kept)
    assert none["tokenwise"] == 0
    assert [item["unit"] for item in whole["items"]] == [item["unit"] for item in none["items"]]


def test_the_summary_counts_problems_not_sentences(results: Any) -> None:
    from xlprobe.report.summary import plain, summary

    said = [plain(sentence) for sentence in summary(results).sentences]
    assert "12 problems from 6 theories" in said[0]
    assert any("stable above floor in crossed than in base" in sentence for sentence in said)


@pytest.mark.parametrize("name", ["transfer_matrix", "cka_matrix", "tokens_per_word"])
def test_the_shipped_figures_are_those_of_the_shipped_table(name: str, tmp_path: Path) -> None:
    if not (FIGURES / "results.parquet").exists() or not (FIGURES / f"{name}.csv").exists():
        pytest.skip("the figures and their table are not here; make them with python -m xlprobe.report")
    again = plots.FIGURES[name].table(Results.load(FIGURES))
    if list(again) != (FIGURES / f"{name}.csv").read_text(encoding="utf-8").splitlines()[0].split(","):
        pytest.skip("the figures are of another version; make them with python -m xlprobe.report")
    again.to_csv(tmp_path / "again.csv", index=False, float_format="%.6g", lineterminator="\n")
    assert (tmp_path / "again.csv").read_text() == (FIGURES / f"{name}.csv").read_text()


@pytest.mark.slow
def test_all_shipped_figures_can_be_drawn_again(tmp_path: Path) -> None:
    if not (FIGURES / "results.parquet").exists():
        pytest.skip("the figures and their table are not here; make them with python -m xlprobe.report")
    build(ReportOptions(results=FIGURES, out=tmp_path))
    assert checkpoints(Results.load(FIGURES))
    for path in sorted(FIGURES.glob("*.csv")):
        assert (tmp_path / path.name).read_text() == path.read_text(), path.name


@pytest.mark.parametrize(("limit", "theories"), [(6, 3), (14, 7), (16, 8), (None, 32)])
def test_a_limit_to_few_theories_is_warned_of(
    limit: int | None,
    theories: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given: list[Any] = []
    monkeypatch.setattr("xlprobe.measuring.measurement.measure", lambda _, problems, **options: given.extend(problems))
    measured(ReportOptions(limit=limit, out=tmp_path))
    assert len({problem.group for problem in given}) == theories
    warning = f"{theories} theories: too few to conclude from; --limit 16 or more gives at least 8"
    assert (warning in capsys.readouterr().err) == (theories < 8)


@pytest.mark.parametrize(("limit", "theories", "each"), [(8, 4, 2), (7, 4, 2), (40, 10, 4), (1000, 10, 5)])
def test_a_limit_is_spread_over_theories(tiny: Any, limit: int, theories: int, each: int) -> None:
    problems = tiny.problems(theories=10, questions=5)
    chosen = spread(problems, limit)
    counts = [sum(one.group == group for one in chosen) for group in dict.fromkeys(one.group for one in chosen)]
    assert len(chosen) == min(limit, len(problems))
    assert len(counts) == theories
    assert max(counts) == each
    assert chosen == [one for one in problems if one in chosen]


def test_the_explorer_is_given_the_longest_problem_that_can_be_read_there() -> None:
    from xlprobe.report.measuring import READABLE, _to_explore
    from xlprobe.samples import RULETAKER, SMALL, generate

    large = generate(6, languages=("en", "ar", "zh"), seed=0, **RULETAKER)
    small = generate(3, languages=("en", "ar", "zh"), seed=1, **SMALL)
    first, second = _to_explore(large)
    assert first == large[0]
    assert second.group != first.group
    readable = [one for one in large[1:] if len(one.context["en"]) <= READABLE[0]]
    assert len(second.context["en"]) == max(len(one.context["en"]) for one in readable) > len(small[0].context["en"])
    assert len(_to_explore([*small, *large])[1].context["en"]) == len(second.context["en"])
    assert _to_explore(small[:1]) == small[:1]
    assert _to_explore([]) == []

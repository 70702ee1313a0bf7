"""The page, its first table, sentences and captions agree with the numbers beside them, in any report."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from agreement import disagreements

from xlprobe import plots
from xlprobe.report.build import build
from xlprobe.report.drawing import EXPLORER, SUMMARY
from xlprobe.report.options import ReportOptions

FIGURES = Path(__file__).resolve().parents[2] / "figures"
KINDS = (".html", ".csv", ".json", ".pdf", ".png", ".svg")
DRAWN = ("transfer_matrix", "stability_by_layer", "stability_by_head", "cross_lingual_mass", "patching_recovery")


@pytest.fixture(scope="module")
def made(results: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("agreement")
    results.save(directory)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plots, "FIGURES", {name: plots.FIGURES[name] for name in DRAWN})
        build(ReportOptions(results=directory, out=directory))
    return directory


def test_a_report_agrees_with_itself(made: Path) -> None:
    assert disagreements(made) == []


CHANGES = {
    "a number of the first table": ("report.html", r"(<td>[+−]0\.)(\d)", r"\g<1>9"),
    "a number of a figure's table": ("report.html", r'(data-key="[^"]*">[+−]?0\.)\d', r"\g<1>8"),
    "the word of a claim": ("report.html", r"\bis more <a", "is less <a"),
    "an interval in a sentence": ("report.html", r"\[[+]0\.0\d\d, ", "[+0.999, "),
    "a count of the page": ("report.html", r"12 problems from", "13 problems from"),
    "an accuracy": ("summary.csv", r"(accuracy,crossed,[^,]*,[^,]*,0\.)\d", r"\g<1>1"),
    "a mean of a figure": ("stability_by_layer.csv", r"(?m)^(crossed,en,fr,observed,\d,)-?0\.0\d+", r"\g<1>0.4"),
    "a count of dots": ("stability_by_head.svg", r"Dots: \d+ of", "Dots: 77 of"),
    "a count of what is undefined": ("patching_recovery.svg", r"lost: \d+ of", "lost: 1 of"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_is_noticed(made: Path, tmp_path: Path, what: str) -> None:
    name, pattern, other = CHANGES[what]
    copy = tmp_path / "report"
    shutil.copytree(made, copy)
    before = (copy / name).read_text(encoding="utf-8")
    after = re.sub(pattern, other, before, count=1)
    assert after != before
    (copy / name).write_text(after, encoding="utf-8")
    assert disagreements(copy) != []


def test_the_shipped_figures_agree_with_themselves() -> None:
    if not (FIGURES / SUMMARY).exists():
        pytest.skip(f"the figures here are older than their {SUMMARY}; make them with python -m xlprobe.report")
    assert disagreements(FIGURES) == []
    # Table, patterns and explorer of the run are not shipped.
    shipped = [path for path in FIGURES.rglob("*") if path.suffix in KINDS and path.name != EXPLORER]
    assert sum(path.stat().st_size for path in shipped) < 10 * 2**20


@pytest.mark.slow
def test_a_fresh_report_of_eight_theories_agrees_with_itself(tmp_path: Path) -> None:
    build(ReportOptions(limit=16, out=tmp_path))
    assert disagreements(tmp_path) == []

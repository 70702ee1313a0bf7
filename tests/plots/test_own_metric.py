"""The how-to page about an own metric does what it says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import xlprobe
from xlprobe import plots

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "own_metric.md"


def test_the_page_runs_as_it_stands(monkeypatch: pytest.MonkeyPatch, tiny: Any) -> None:
    if not PAGE.exists():
        pytest.skip("the documentation is not here")
    code = "\n".join(re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL))
    monkeypatch.setattr(xlprobe, "load", lambda spec: tiny.checkpoint("xlm-roberta"))
    monkeypatch.setattr(xlprobe.samples, "generate", lambda seed, **options: tiny.problems(**options))
    monkeypatch.setattr(plots, "FIGURES", dict(plots.FIGURES))
    space: dict[str, Any] = {"__name__": "own_metric"}
    exec(compile(code, str(PAGE), "exec", dont_inherit=True), space)
    rows = space["table"].select(metric="previous_token").to_frame()
    assert len(rows) == 6 * 2 * 2 * 2 * 4  # theories, questions, languages, layers, heads
    assert rows["value"].between(0, 1).all()
    assert space["figure"].axes
    assert space["heads"].axes
    distances = space["distances"].to_frame()
    assert set(distances["condition"]) == {"observed", "floor", "chance"}
    assert set(space["changed"]["layer"]) == {0, 1}
    assert space["figure"].axes[0].lines
    assert len(space["heads"].numbers) == 2 * 2 * 4  # in one language and across, layers, heads
    assert plots.FIGURES["previous_token"].needs(space["table"]) is None

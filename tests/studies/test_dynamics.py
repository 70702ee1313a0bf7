"""What the study prints of its dynamics: changes above floor, the raw ones beside, and no claim without a floor."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from by_path import load

from xlprobe.errors import ResultsError
from xlprobe.results import COLUMNS, Results


@pytest.fixture(scope="module")
def study() -> Any:
    return load("studies/dynamics.py")


def measured(steps: tuple[int, ...], lost: dict[str, float]) -> Results:
    """Stability that both models lose in training, in one language as across; one of them loses more across."""
    rng = np.random.default_rng(0)
    rows = []
    for name, more in lost.items():
        for step, theory, question in np.ndindex(len(steps), 8, 2):
            at = {"checkpoint": name, "step": steps[step], "group": f"t{theory}", "sample": f"s{theory}-{question}"}
            at |= {"metric": "js_stability", "block": "question->context", "pooling": "token", "reference": "en-en"}
            at |= {"dataset": "toy", "context_language": "en", "layer": 0, "head": 0}
            trained = step == len(steps) - 1
            for condition, language in (("observed", "fr"), ("floor", "en")):
                value = 0.95 - trained * (0.04 + more * (condition == "observed")) + 0.002 * rng.normal()
                rows.append(at | {"condition": condition, "question_language": language, "value": value})
    return Results(pd.DataFrame(rows).reindex(columns=list(COLUMNS)))


def test_changes_are_of_stability_above_floor_with_the_raw_ones_beside(study: Any) -> None:
    table = measured(study.STEPS, {"baseline": 0.0, "cross-query": 0.02})
    found = study.before_and_after(table).set_index("model")
    assert found["n"].tolist() == [16, 16, 16]
    assert found["change"].to_dict() == pytest.approx(
        {"baseline": 0.0, "cross-query": -0.02, "cross-query minus baseline": -0.02}, abs=2e-3
    )
    assert found.loc["baseline", "raw"] == pytest.approx(-0.04, abs=2e-3)
    assert found["claim"].to_dict() == {"baseline": 0, "cross-query": -1, "cross-query minus baseline": -1}


def test_without_a_floor_nothing_is_printed_but_why(study: Any) -> None:
    table = measured(study.STEPS, {"baseline": 0.0, "cross-query": 0.02})
    with pytest.raises(ResultsError, match="no floor of 'js_stability'; measure with controls"):
        study.before_and_after(table.select(condition="observed"))

"""Tables for a paper: what LaTeX reads is well formed, and says the numbers of the table."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from xlprobe.errors import ResultsError
from xlprobe.report.latex import to_latex
from xlprobe.statistics import summarise


def rows_of(text: str) -> list[list[str]]:
    """The cells between the rules, the heading first; every row must have as many as there are columns."""
    count = len(re.search(r"\\begin\{tabular\}\{([lr]+)\}", text)[1])  # type: ignore[index]
    lines = [line for line in text.splitlines() if line.endswith(r"\\")]
    rows = [[cell.strip() for cell in re.split(r"(?<!\\)&", line[:-2])] for line in lines]
    assert {len(row) for row in rows} == {count}
    return rows


def well_formed(text: str) -> None:
    assert text.count(r"\begin{") == text.count(r"\end{") == 2
    for rule in (r"\toprule", r"\midrule", r"\bottomrule", r"\caption{", r"\label{"):
        assert text.count(rule) == 1
    bare = re.sub(r"\\[{}]", "", text)
    assert bare.count("{") == bare.count("}")
    assert len(re.findall(r"(?<!\\)\$", text)) % 2 == 0
    assert not re.search(r"(?<!\\)[_#]", text.replace(r"\label{tab:xlprobe}", ""))


@pytest.fixture(scope="module")
def right(results: Any) -> pd.DataFrame:
    frame = results.select(metric="correct", condition="observed").to_frame()
    return summarise(frame, by=["checkpoint", "context_language", "question_language"])


def test_the_summary_of_the_page(results: Any) -> None:
    from xlprobe.report.summary import summary

    text = to_latex(results)
    well_formed(text)
    rows = rows_of(text)
    assert rows[0][0] == "checkpoint"
    assert [row[0] for row in rows[1:]] == ["base", "crossed"]
    assert len(rows[0]) == len(summary(results).columns)
    assert "12 problems from 6 theories" in text
    assert "−" not in text
    assert "$-$" in text


def test_a_row_for_each_pair(right: pd.DataFrame) -> None:
    text = to_latex(right, caption="Accuracy of 100 % & more", label="tab:accuracy", digits=2)
    well_formed(text)
    assert r"\caption{Accuracy of 100 \% \& more}" in text
    assert r"\label{tab:accuracy}" in text
    rows = rows_of(text)
    assert rows[0] == ["checkpoint", "context", "question", "mean", "theories"]
    first = right.iloc[0]
    assert rows[1] == [
        first.checkpoint, first.context_language, first.question_language,
        f"{first['mean']:.2f} [{first.low:.2f}, {first.high:.2f}]", str(first.n_groups),
    ]  # fmt: skip
    assert len(rows) == len(right) + 1


def test_checkpoints_side_by_side(right: pd.DataFrame) -> None:
    columns = ["checkpoint", "context_language", "question_language", "mean"]
    rows = rows_of(to_latex(right, across="checkpoint", columns=columns))
    assert rows[0] == ["context", "question", "base", "crossed"]
    assert len(rows) == 1 + 9
    for row in right.itertuples():
        (own,) = [r for r in rows if r[:2] == [row.context_language, row.question_language]]
        assert own[rows[0].index(row.checkpoint)].startswith(f"{row.mean:.3f}")
    assert rows_of(to_latex(right, across="checkpoint"))[0][2:4] == ["base, mean", "base, theories"]


def test_a_contrast_has_its_q_and_names_are_escaped(results: Any) -> None:
    frame = results.contrast("crossed", "base", "js_stability", by=["layer", "block"], reference="floor")
    text = to_latex(frame)
    well_formed(text)
    assert "difference" in text
    assert r"question $\rightarrow$ context" in text
    odd = frame.assign(layer=r"50%_of {a}\b ~^#$&<")
    assert r"50\%\_of \{a\}\textbackslash{}b \textasciitilde{}\textasciicircum{}\#\$\&$<$" in to_latex(odd)


def test_without_an_interval_there_are_no_brackets(right: pd.DataFrame) -> None:
    text = to_latex(right.assign(low=float("nan"), high=float("nan")))
    assert "[" not in text
    assert r"\caption{Means.}" in text
    lost = right.copy()
    lost.loc[0, ["mean", "low", "high"]] = float("nan")
    assert rows_of(to_latex(lost))[1][3] == "--"


def test_what_is_no_answer_is_refused(right: pd.DataFrame) -> None:
    with pytest.raises(ResultsError, match="without a column mean or estimate"):
        to_latex(right.drop(columns="mean"))
    with pytest.raises(ResultsError, match="got the columns accuracy; the answer has checkpoint"):
        to_latex(right, columns=["accuracy"])
    with pytest.raises(ResultsError, match="several rows of one checkpoint"):
        to_latex(right, columns=["checkpoint", "context_language", "mean"], across="checkpoint")


def test_latex_takes_it(results: Any, right: pd.DataFrame, tmp_path: Path) -> None:
    program = next((path for name in ("pdflatex", "xelatex", "tectonic") if (path := shutil.which(name))), None)
    if program is None:
        pytest.skip("no LaTeX here; install pdflatex to compile the tables")
    body = to_latex(results) + to_latex(right)
    document = f"\\documentclass{{article}}\\usepackage{{booktabs}}\\begin{{document}}\n{body}\\end{{document}}"
    (tmp_path / "table.tex").write_text(document, encoding="utf-8")
    options = [] if "tectonic" in program else ["-interaction=nonstopmode", "-halt-on-error"]
    subprocess.run([program, *options, "table.tex"], cwd=tmp_path, check=True, capture_output=True)

"""Tables for a paper: the page's summary, or an answer of the statistics, as LaTeX with intervals in brackets."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from xlprobe.errors import ResultsError
from xlprobe.plots.words import block_label
from xlprobe.results import Results

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["to_latex"]

_NUMBERS = ("mean", "estimate")
_BESIDE = ("low", "high", "p", "q", "n_groups", "n_seeds")
_NAMES = {
    "mean": "mean", "estimate": "difference", "n_groups": "theories", "n_seeds": "runs", "p": "$p$", "q": "$q$",
    "context_language": "context", "question_language": "question",
}  # fmt: skip
_SIGNS = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": "$<$", ">": "$>$", "−": "$-$", "→": r"$\rightarrow$",
    "±": r"$\pm$", "–": "--", "\u00a0": "~",
}  # fmt: skip


def to_latex(
    what: Results | pd.DataFrame,
    *,
    caption: str | None = None,
    label: str = "tab:xlprobe",
    columns: Sequence[str] | None = None,
    across: str | None = None,
    digits: int = 3,
) -> str:
    """Return a table for a paper, with caption and label; it takes \\usepackage{booktabs}.

    `what` is a table of results, of which the page's summary is told, or an answer of `statistics.summarise`,
    `contrast_frame` or `Results.contrast`: a row per row, 95 % intervals in brackets behind the number. `columns` are
    those of the answer to print, by default those that tell rows apart, the number, p, q and the count of theories;
    `across` names one whose values stand side by side, such as "checkpoint". Names are escaped. Raises `ResultsError`
    for what is neither, and for columns that it lacks.
    """
    if isinstance(what, Results):
        return _summary(what, caption, label)
    if (number := next((name for name in _NUMBERS if name in getattr(what, "columns", ())), None)) is None:
        raise ResultsError(
            f"got {type(what).__name__} without a column {' or '.join(_NUMBERS)}; expected a table of results, or an "
            "answer of summarise or contrast"
        )
    keys = list(what.columns[: list(what.columns).index(number)])
    keys = [name for name in keys if name not in ("mean_a", "mean_b")]
    chosen = (
        list(columns) if columns is not None else [*keys, number, *(c for c in ("p", "q", "n_groups") if c in what)]
    )
    if unknown := [name for name in [*chosen, *([across] if across else [])] if name not in what]:
        raise ResultsError(f"got the columns {', '.join(unknown)}; the answer has {', '.join(map(str, what.columns))}")
    cells = _cells(what, chosen, number, digits)
    beside = [name for name in cells if name in (number, *_BESIDE)]
    if across is not None:
        cells = _side_by_side(cells, across, beside)
    elsewise = "Means, with 95 % intervals over theories in brackets."
    known = what["low"].notna().any() if "low" in what else False
    words = caption if caption is not None else elsewise if known else "Means."
    numeric = [name in beside or (across is not None and name not in chosen) for name in cells]
    heads = [_NAMES.get(str(name), _escaped(str(name).replace("_", " "))) for name in cells]
    return _table(heads, cells.to_numpy().tolist(), numeric, words, label)


def _summary(results: Results, caption: str | None, label: str) -> str:
    """Return the page's first table; its first sentence, on what was measured, opens the caption."""
    from xlprobe.report.summary import plain, summary

    opening = summary(results)
    words = caption if caption is not None else f"{opening.sentences[0]} In brackets: 95 % intervals."
    heads = [_escaped(plain(name)) for name in opening.columns]
    rows = [[_escaped(cell) for cell in row] for row in opening.rows]
    return _table(heads, rows, [False, *[True] * (len(heads) - 1)], plain(words), label)


def _cells(answer: pd.DataFrame, chosen: Sequence[str], number: str, digits: int) -> pd.DataFrame:
    """Return the cells as text, the interval behind its number."""
    import pandas as pd

    cells = {}
    for name in chosen:
        values = list(answer[name])
        if name == number and {"low", "high"} <= set(answer):
            ends = zip(values, answer["low"], answer["high"], strict=True)
            cells[name] = [_interval(*one, digits) for one in ends]
        else:
            cells[name] = [_cell(name, value, digits) for value in values]
    return pd.DataFrame(cells)


def _interval(value: float, low: float, high: float, digits: int) -> str:
    if value != value:
        return "--"
    text = _signed(value, digits)
    return text if low != low or high != high else f"{text} [{_signed(low, digits)}, {_signed(high, digits)}]"


def _signed(value: float, digits: int) -> str:
    return f"{value:.{digits}f}".replace("-", "$-$")


def _cell(name: str, value: Any, digits: int) -> str:
    if value is None or value != value:
        return "--"
    if name in ("p", "q"):
        return "$<$.0001" if value < 1e-4 else f"{value:.4f}".lstrip("0")
    if isinstance(value, str):
        return _escaped(block_label(value) if "->" in value else value)
    number = float(value)
    return str(int(number)) if number.is_integer() and name not in _NUMBERS else _signed(number, digits)


def _side_by_side(cells: pd.DataFrame, across: str, beside: Sequence[str]) -> pd.DataFrame:
    """Return the cells with one column's values next to each other: a column for each of them and each number."""
    keys = [name for name in cells if name not in (across, *beside)]
    if cells.duplicated([*keys, across]).any():
        raise ResultsError(f"got several rows of one {across} and {', '.join(keys) or 'table'}; print more columns")
    table = None
    for value in cells[across].drop_duplicates():
        own = cells[cells[across] == value].drop(columns=across)
        names = {name: value if len(beside) == 1 else f"{value}, {_NAMES.get(name, name)}" for name in beside}
        own = own.rename(columns=names)
        table = (
            own if table is None else table.merge(own, on=keys, how="outer", sort=False) if keys else table.join(own)
        )
    assert table is not None
    return table.fillna("--")


def _escaped(text: str) -> str:
    """Return a text that LaTeX prints as it is."""
    return "".join(_SIGNS.get(letter, letter) for letter in text)


def _table(
    heads: Sequence[str], rows: Sequence[Sequence[str]], numeric: Sequence[bool], caption: str, label: str
) -> str:
    # A cell that opens a row with a bracket would be taken for an option of the line before.
    lines = [" & ".join(re.sub(r"^\[", "{}[", cell) for cell in row) + r" \\" for row in [list(heads), *rows]]
    return "\n".join([
        r"% needs \usepackage{booktabs}",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{_escaped(caption)}}}",
        rf"\label{{{label}}}",
        rf"\begin{{tabular}}{{{''.join('r' if one else 'l' for one in numeric)}}}",
        r"\toprule",
        lines[0],
        r"\midrule",
        *lines[1:],
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
        "",
    ])  # fmt: skip

"""The numbers behind a figure, as a table of the page."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["MAX_ROWS", "PageTable", "figure_table"]

MAX_ROWS = 240
"""Longer tables are averaged over their layers' heads, or cut, and the page says so."""


@dataclass(frozen=True)
class PageTable:
    """Columns, rows of (text, sort key), and how many rows the whole table has."""

    columns: list[str]
    rows: list[list[tuple[str, str]]]
    total: int
    numeric: list[bool]

    @property
    def shortened(self) -> bool:
        """Whether the page shows only the first rows."""
        return self.total > len(self.rows)


def figure_table(path: Path) -> PageTable | None:
    """Read a figure's csv; columns that never vary and are empty are left out."""
    if not path.exists():
        return None
    import pandas as pd

    frame = pd.read_csv(path, keep_default_na=False, na_values=[""], dtype={"seed": "object"})
    frame = frame.loc[:, [name for name in frame if frame[name].notna().any()]]
    shown = frame.head(MAX_ROWS)
    numbers = frame.select_dtypes("number").columns
    numeric = [name in numbers for name in frame]
    rows = [
        [_cell(value, number) for value, number in zip(row, numeric, strict=True)]
        for row in shown.itertuples(index=False, name=None)
    ]
    return PageTable([name.replace("_", " ") for name in frame], rows, len(frame), numeric)


def _cell(value: object, numeric: bool) -> tuple[str, str]:
    if value is None or value != value:
        return "–", ""
    if not numeric:
        return str(value).replace("->", " → "), str(value)
    number = float(str(value))
    text = f"{number:.0f}" if number == int(number) and abs(number) < 1e9 else f"{number:.4f}"
    return text.replace("-", "−"), repr(number)

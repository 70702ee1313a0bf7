"""What a figure of the report is: a name, when it can be drawn, how, and the numbers behind it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from xlprobe.files import write_atomically
from xlprobe.results import Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["FORMATS", "FigureSpec", "once", "save"]

P = ParamSpec("P")
T = TypeVar("T")
FORMATS = ("pdf", "svg", "png")


@dataclass(frozen=True)
class FigureSpec:
    """One figure: `needs` says why a table does not allow it (or None), `draw` and `table` make it and its numbers."""

    title: str
    caption: str
    needs: Callable[[Results], str | None]
    draw: Callable[[Results], Figure]
    table: Callable[[Results], pd.DataFrame]


def once(function: Callable[P, T]) -> Callable[P, T]:
    """Keep what a function of a table returned last, since a figure and its csv need the same numbers."""
    return functools.lru_cache(maxsize=1)(function)  # type: ignore[return-value]


def save(figure: Figure, name: str, directory: str | Path, table: pd.DataFrame | None = None) -> list[Path]:
    """Write a figure as pdf, svg and png, and its numbers as csv, under one name; return the paths.

    Equal figures give equal bytes: no dates, fixed ids. Fonts are embedded in the pdf; text in pdf and svg can be
    selected. The figure is emptied.
    """
    import io
    import warnings

    from xlprobe.plots.style import style

    directory = Path(directory)
    metadata = {"pdf": {"CreationDate": None, "ModDate": None}, "svg": {"Date": None}, "png": {"Software": None}}
    paths = []
    with style(), warnings.catch_warnings():
        # Figures with texts say on themselves which letters have no font here.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        # The layout is found once, not again for every format.
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
        for kind in FORMATS:
            buffer = io.BytesIO()
            figure.savefig(buffer, format=kind, metadata=metadata[kind])
            paths.append(directory / f"{name}.{kind}")
            write_atomically(paths[-1], buffer.getvalue())
    figure.clear()
    if table is not None:
        paths.append(directory / f"{name}.csv")
        write_atomically(paths[-1], table.to_csv(index=False, float_format="%.6g", lineterminator="\n"))
    return paths

"""Figures as files: pdf, svg, png and their numbers as csv, the same bytes for the same figure."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from xlprobe.files import table_text, write_atomically

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["FORMATS", "save"]

FORMATS = ("pdf", "svg", "png")
_METADATA = {"pdf": {"CreationDate": None, "ModDate": None}, "svg": {"Date": None}, "png": {"Software": None}}


def save(figure: Figure, name: str, directory: str | Path, table: pd.DataFrame | None = None) -> list[Path]:
    """Write a figure as pdf, svg and png, and its numbers as csv, under one name; return the paths.

    `table` are other numbers than the figure's own. Equal figures give equal bytes: no dates, fixed ids. Fonts are
    embedded in the pdf; text in pdf and svg can be selected. The figure is emptied.
    """
    from xlprobe.plots.style import style

    directory = Path(directory)
    numbers = getattr(figure, "numbers", None) if table is None else table
    paths = []
    with style(), warnings.catch_warnings():
        # Figures with texts say on themselves which letters have no font here.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        _lay_out(figure)
        for kind in FORMATS:
            buffer = io.BytesIO()
            with _plain_fonts():
                figure.savefig(buffer, format=kind, metadata=_METADATA[kind])
            paths.append(directory / f"{name}.{kind}")
            write_atomically(paths[-1], buffer.getvalue())
    figure.clear()
    if numbers is not None:
        paths.append(directory / f"{name}.csv")
        write_atomically(paths[-1], table_text(numbers))
    return paths


def _lay_out(figure: Figure) -> None:
    """Find the layout once, not again for every format."""
    from matplotlib.transforms import Bbox

    if (engine := figure.get_layout_engine()) is not None:
        engine.execute(figure)
        for axes in figure.axes:
            # The solver goes through its terms in the order of their addresses: the last bits vary.
            axes.set_position(Bbox(axes.get_position(original=True).get_points().round(9)))
    figure.set_layout_engine("none")


@contextmanager
def _plain_fonts() -> Iterator[None]:
    """Embed fonts without the tables that arrange letters.

    In a pdf letters stand where they stand; cutting these tables down took most of the time of writing it.
    """
    from fontTools.subset import Options

    before = Options._drop_tables_default
    Options._drop_tables_default = [*before, "GSUB", "GPOS", "GDEF"]
    try:
        yield
    finally:
        Options._drop_tables_default = before

"""Type, lines and sizes of figures as print needs them; what the user has set in rcParams stays."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from xlprobe.errors import ResultsError
from xlprobe.plots.palette import INK, LINES, QUIET, language_colour

__all__ = ["MAX_HEIGHT", "WIDTHS", "inches", "language_colour", "style"]

WIDTHS = {"column": 3.3, "text": 6.9}
"""Widths of a journal's column and of its text, in inches."""

MAX_HEIGHT = 9.0
"""How tall a figure may be, in inches: a page."""

_STYLE: dict[str, Any] = {
    "figure.dpi": 150,
    "savefig.dpi": 220,
    "font.size": 8,
    "axes.titlelocation": "left",
    "axes.titlepad": 3.5,
    "axes.labelpad": 2.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": QUIET,
    "axes.linewidth": 0.6,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.size": 2.0,
    "ytick.major.size": 2.0,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.pad": 2.0,
    "ytick.major.pad": 2.0,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LINES,
    "grid.linewidth": 0.5,
    "lines.linewidth": 1.1,
    "lines.markersize": 3.2,
    "legend.frameon": False,
    "legend.handlelength": 2.4,
    "legend.columnspacing": 1.2,
    "legend.labelspacing": 0.3,
    "legend.borderpad": 0.1,
    "hatch.linewidth": 0.5,
    "image.interpolation": "nearest",
    "pdf.fonttype": 42,
    "ps.fonttype": 42,
    "svg.fonttype": "none",
    "svg.hashsalt": "xlprobe",
}

_OF_FONT_SIZE = {
    "axes.titlesize": 1.0, "axes.labelsize": 1.0, "xtick.labelsize": 0.875, "ytick.labelsize": 0.875,
    "legend.fontsize": 0.9, "legend.title_fontsize": 0.9, "figure.titlesize": 1.125, "figure.labelsize": 0.875,
}  # fmt: skip
"""Sizes of type as shares of `font.size`, which is 8 points where the user has not set it."""


@contextmanager
def style() -> Iterator[None]:
    """Draw in the project's style; what the user has changed in rcParams, or by a style sheet, wins."""
    import matplotlib as mpl

    with mpl.rc_context(_chosen(mpl.rcParams, mpl.rcParamsDefault)):
        yield


def _chosen(now: Any, default: Any) -> Any:
    from xlprobe.plots.fonts import families

    untouched = [name for name in (*_STYLE, *_OF_FONT_SIZE) if now[name] == default[name]]
    size = _STYLE["font.size"] if "font.size" in untouched else now["font.size"]
    chosen = {name: _STYLE[name] if name in _STYLE else size * _OF_FONT_SIZE[name] for name in untouched}
    own = now["font.family"] if now["font.family"] != default["font.family"] else []
    # The user's family first, and after it those that know further scripts.
    return chosen | {"font.family": [*own, *families()]}


def inches(width: str | float) -> float:
    """Return a width in inches: "column", "text", or a number of inches from 2 to 20. Raises `ResultsError`."""
    if isinstance(width, str) and width in WIDTHS:
        return WIDTHS[width]
    if isinstance(width, str) or not 2 <= width <= 20:
        raise ResultsError(f"got width={width!r}; expected 'column', 'text' or a number of inches from 2 to 20")
    return float(width)

"""Colours, markers and type that are the same in every figure."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["CHECKPOINT_COLOURS", "LANGUAGE_COLOURS", "checkpoint_colour", "language_colour", "language_marker", "style"]

LANGUAGE_COLOURS: dict[str, str] = {
    "en": "#222222",
    "fr": "#0072B2",
    "de": "#4BA3DB",
    "es": "#009E73",
    "ru": "#CC79A7",
    "ar": "#D55E00",
    "fa": "#D99A00",
    "zh": "#882255",
    "bg": "#AA4499",
    "el": "#44AA99",
    "hi": "#999933",
    "sw": "#117733",
    "th": "#CC6677",
    "tr": "#332288",
    "ur": "#A65628",
    "vi": "#6699CC",
}
"""One colour per language, after Okabe and Ito 2008 and Tol 2021: told apart under the common colour blindnesses."""

CHECKPOINT_COLOURS: tuple[str, ...] = ("#555555", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#D99A00", "#882255")
"""Colours of checkpoints, in the order of the run."""

_MARKERS = {"en": "o", "fr": "s", "de": "D", "es": "^", "ru": "P", "ar": "v", "fa": "X", "zh": "*"}
_SPARE_MARKERS = ("<", ">", "p", "h", "d", "H", "8")

TEXT = "#1a1a1a"
QUIET = "#666666"
FLOOR, CHANCE = "#7F9F7F", "#B0A8B9"
SEQUENTIAL, DIVERGING = "viridis", "PuOr"

_STYLE: dict[str, Any] = {
    "figure.dpi": 100,
    "figure.facecolor": "white",
    "savefig.dpi": 150,
    "font.size": 12,
    "axes.titlesize": 12.5,
    "axes.labelsize": 12,
    "xtick.labelsize": 11,
    "ytick.labelsize": 11,
    "legend.fontsize": 11,
    "figure.titlesize": 14,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": QUIET,
    "axes.labelcolor": TEXT,
    "text.color": TEXT,
    "xtick.color": TEXT,
    "ytick.color": TEXT,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.8,
    "lines.linewidth": 1.8,
    "lines.markersize": 5.5,
    "legend.frameon": False,
    "hatch.linewidth": 0.8,
    "image.interpolation": "nearest",
    "pdf.fonttype": 42,
    "ps.fonttype": 42,
    "svg.fonttype": "none",
    "svg.hashsalt": "xlprobe",
    "axes.unicode_minus": True,
}


@contextmanager
def style() -> Iterator[None]:
    """Draw with the project's style, whatever style is set outside."""
    import matplotlib as mpl
    from matplotlib import rcParamsDefault

    from xlprobe.plots.fonts import families

    keep = {"backend", "interactive", "toolbar", "timezone", "date.epoch"}
    base = {
        name: value for name, value in rcParamsDefault.items() if name not in keep and not name.startswith("backend")
    }
    chosen: Any = base | _STYLE | {"font.family": families()}
    with mpl.rc_context(chosen):
        yield


def language_colour(code: str) -> str:
    """Return the language's colour; unknown languages get one of the palette that depends on their code alone."""
    spare = list(LANGUAGE_COLOURS.values())[1:]
    return LANGUAGE_COLOURS.get(code) or spare[zlib.crc32(code.encode()) % len(spare)]


def language_marker(code: str) -> str:
    """Return the language's marker, so that no figure rests on colour alone."""
    return _MARKERS.get(code) or _SPARE_MARKERS[zlib.crc32(code.encode()) % len(_SPARE_MARKERS)]


def checkpoint_colour(names: Sequence[str], name: str) -> str:
    """Return the colour of a checkpoint among those of the run."""
    return CHECKPOINT_COLOURS[list(names).index(name) % len(CHECKPOINT_COLOURS)]


def panels(
    rows: int, columns: int, *, width: float = 10.0, height: float = 3.0, share: bool = True
) -> tuple[Figure, list[list[Axes]]]:
    """Return a figure that belongs to no window and its grid of axes; `height` is per row, in inches."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height * rows + 1.4), layout="constrained")
    figure.set_layout_engine("constrained", w_pad=0.06, h_pad=0.06, hspace=0.04, wspace=0.04)
    axes = figure.subplots(rows, columns, squeeze=False, sharex=share, sharey="row" if share else False)
    return figure, [list(row) for row in axes]


def columns_of(names: int) -> tuple[float, float]:
    """Return the width of a figure with a column per checkpoint, and the size of titles that fits its columns.

    No figure gets wider than what a page can show with its type still legible.
    """
    return (10.0, 12.5) if names == 1 else (12.5, 12.5 if names == 2 else 10.5 if names == 3 else 9.0)


def caption(figure: Figure, title: str, note: str) -> None:
    """Put the title above and the note (who, how many, which interval) below a figure, both from the left edge."""
    import textwrap

    width = figure.get_figwidth()
    figure.suptitle("\n".join(textwrap.wrap(title, int(width * 9))), x=0.01, ha="left", fontweight="bold")
    lines = "\n".join(textwrap.wrap(note, int(width * 13)))
    figure.supxlabel(lines, x=0.01, ha="left", fontsize=10, color=QUIET)


def whole_ticks(axes: Axes, axis: str = "x") -> None:
    """Put ticks at whole numbers only: layers and heads have no halves."""
    from matplotlib.ticker import MaxNLocator

    (axes.xaxis if axis == "x" else axes.yaxis).set_major_locator(MaxNLocator(integer=True, nbins=8))

"""How a figure's panels, legend, title and note share its page."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from xlprobe.plots.fonts import latin
from xlprobe.plots.palette import QUIET
from xlprobe.plots.style import MAX_HEIGHT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawn

    from xlprobe.plots.figure import Figure, Panel, View

__all__ = ["one_panel", "whole_figure"]

_GAP = 0.06
"""Space between title, panels, legend and note, in inches."""
_LETTER = 0.56
"""Mean width of a letter as a share of the size of type."""


def one_panel(spec: Figure, view: View, axes: Axes, legend: bool) -> Drawn:
    """Draw a figure's first panel into given axes, with the names of its axes and, if asked, its legend."""
    panel = spec.panels(view)[0][0]
    spec.draw(axes, view, panel)
    axes.set_label(panel.key)
    axes.set_xlabel(panel.x)
    axes.set_ylabel(panel.y)
    if legend and (handles := _handles(spec, view, [axes])):
        axes.legend(handles=handles)
    return _captioned(axes.figure, spec, view)


def whole_figure(spec: Figure, view: View, caption: bool, legend: bool) -> Drawn:
    """Draw all panels with legend, title and note; no taller than a page."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Drawn

    whole = spec.panels(view)
    rows = _wrapped(whole, max(1, int(view.width / spec.least_width)))
    figure = Drawn(figsize=(view.width, 3), layout="constrained")
    grid = figure.subplots(len(rows), len(rows[0]), squeeze=False)
    _share(rows, grid, spec.share)
    panels: dict[str, Axes] = {}
    for line, axes_of_line in zip(rows, grid, strict=True):
        for panel, axes in zip(line, axes_of_line, strict=True):
            if panel is None:
                axes.set_visible(False)
                continue
            panels[panel.key] = axes
            axes.set_label(panel.key)
            spec.draw(axes, view, panel)
            axes.set_title(panel.title)
            axes.set_xlabel(panel.x)
            axes.set_ylabel(panel.y)
    _edges(rows, grid, spec.share, len(whole))
    # Not before: seaborn draws the whole figure after each map if it can.
    FigureCanvasAgg(figure)
    spec.finish(figure, panels, view)
    handles = _handles(spec, view, list(panels.values())) if legend else []
    _arrange(figure, spec, view, (len(rows), len(rows[0])), handles, caption)
    return _captioned(figure, spec, view)


def _wrapped(rows: list[list[Panel]], columns: int) -> list[list[Panel | None]]:
    """Break rows that are too wide: all rows' first panels, then all rows' next ones, under each other."""
    longest = max(map(len, rows))
    # Even shares: six panels in rows of four are two rows of three.
    step = -(-longest // -(-longest // columns))
    lines: list[list[Panel | None]] = []
    for start in range(0, longest, step):
        for row in rows:
            part = row[start : start + step]
            if part:
                lines.append([*part, *[None] * (step - len(part))])
    return lines


def _share(rows: list[list[Panel | None]], grid: Any, share: tuple[str, str]) -> None:
    """Give panels the axes that they share, wherever they stand."""
    first: dict[str, Any] = {}
    for line, axes_of_line in zip(rows, grid, strict=True):
        for panel, axes in zip(line, axes_of_line, strict=True):
            if panel is None:
                continue
            for side, mode in zip("xy", share, strict=True):
                group = f"{side} {panel.part if mode == 'part' else ''}"
                if mode and group in first:
                    getattr(axes, f"share{side}")(first[group])
                first.setdefault(group, axes)


def _edges(rows: list[list[Panel | None]], grid: Any, share: tuple[str, str], together: int) -> None:
    """Leave names and numbers of axes at the left and lower edges where panels share them."""
    for number, line in enumerate(rows):
        for place, panel in enumerate(line):
            if panel is None:
                continue
            last = number % together == together - 1 or rows[number + 1][place] is None
            axes, left = grid[number][place], line[place - 1] if place else None
            if share[0] == "all" and not last:
                axes.set_xlabel("")
                axes.tick_params(labelbottom=False)
            if share[1] and left is not None and (share[1] == "all" or left.part == panel.part):
                axes.set_ylabel("")
                axes.tick_params(labelleft=False)


def _handles(spec: Figure, view: View, panels: Sequence[Axes]) -> list[Any]:
    own = spec.handles(view)
    if own is not None:
        return own
    seen: dict[str, Any] = {}
    for axes in panels:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            seen.setdefault(label, handle)
    return list(seen.values())


def _arrange(
    figure: Drawn, spec: Figure, view: View, shape: tuple[int, int], handles: list[Any], caption: bool
) -> None:
    """Put title above, legend and note below the panels, and find the height that all of them need."""
    import matplotlib as mpl

    width, (lines, columns) = view.width, shape
    heights = {"top": 0.0, "note": 0.0, "legend": 0.0}
    texts = []
    if caption:
        title, note = mpl.rcParams["figure.titlesize"], mpl.rcParams["figure.labelsize"]
        texts = [
            _text(figure, spec.question, title, "bold", True),
            _text(figure, spec.note(view), note, "normal", False),
        ]
        heights["top"], heights["note"] = (_height(figure, text) + _GAP for text in texts)
    box = _legend(figure, handles, width) if handles else None
    if box is not None:
        heights["legend"] = _height(figure, box) + _GAP
    around = sum(heights.values())
    height = min(MAX_HEIGHT, lines * spec.height_of(view, width / columns) + around)
    figure.set_size_inches(width, height)
    bottom = (heights["note"] + heights["legend"]) / height
    engine: Any = figure.get_layout_engine()
    engine.set(
        w_pad=0.03, h_pad=0.03, wspace=0.02, hspace=0.02, rect=(0, bottom, 1, 1 - bottom - heights["top"] / height)
    )
    if box is not None:
        box.set_bbox_to_anchor((0.5, (heights["note"] + _GAP / 3) / height), transform=figure.transFigure)
    places = (1 - _GAP / 2 / height, (heights["note"] - _GAP / 2) / height)
    for text, place in zip(texts, places, strict=False):  # without a caption there are no texts
        text.set_y(place)


def _text(figure: Drawn, words: str, size: float, weight: str, title: bool) -> Any:
    letters = int((figure.get_figwidth() - 2 * _GAP) * 72 / (size * (_LETTER * 1.1 if weight == "bold" else _LETTER)))
    lines = "\n".join(textwrap.wrap(words, letters))
    text = figure.text(_GAP / figure.get_figwidth(), 1.0, lines, size=size, weight=weight, va="top", ha="left")
    if title:
        # Fonts of further scripts have no bold face, which matplotlib would say each time.
        text.set_fontfamily(latin(text.get_fontfamily()))
    else:
        text.set_color(QUIET)
    return text


def _legend(figure: Drawn, handles: list[Any], width: float) -> Any:
    columns = _columns([str(handle.get_label()) for handle in handles], width - 0.2)
    return figure.legend(handles=handles, loc="lower center", ncols=columns, bbox_to_anchor=(0.5, 0.0), borderaxespad=0)


def _columns(labels: list[str], room: float) -> int:
    """Return in how many columns a legend fits some inches; each is as wide as its own longest label."""
    import matplotlib as mpl

    size = mpl.rcParams["legend.fontsize"] / 72
    beside = mpl.rcParams["legend.handlelength"] + 2.5
    wide = [(len(label) * _LETTER + beside) * size for label in labels]
    for columns in range(len(labels), 1, -1):
        if sum(column.max() for column in np.array_split(wide, columns)) <= room:
            # No more columns than the rows that they leave need.
            return -(-len(labels) // -(-len(labels) // columns))
    return 1


def _height(figure: Drawn, artist: Any) -> float:
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    return float(artist.get_window_extent(renderer).height) / figure.dpi


def _captioned(figure: Any, spec: Figure, view: View) -> Drawn:
    figure.caption = f"{spec.question} {spec.note(view)}"
    figure.numbers = view.table
    return figure  # type: ignore[no-any-return]

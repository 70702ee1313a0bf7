"""Maps: matrices of languages, layers by heads, and the dots, outlines, hatches and colour bars on them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from xlprobe.plots.palette import ACCENT, BRIGHT, MARK, QUIET, SEQUENTIAL

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from xlprobe.plots.figure import View

__all__ = [
    "cells",
    "centred",
    "colour_bar",
    "dot_handle",
    "dots",
    "grid_of",
    "head_map",
    "map_of",
    "matrix",
    "outline",
    "outline_handle",
    "rings",
]


def grid_of(rows: pd.DataFrame, shape: tuple[int, int], value: str = "value") -> np.ndarray:
    """Return (layer, head) values of rows; NaN where there is no row."""
    values = np.full(shape, np.nan)
    values[rows["layer"].astype(int), rows["head"].astype(int)] = rows[value]
    return values


def centred(size: float) -> Any:
    """Return colours' range around 0, white in the middle."""
    from matplotlib.colors import Normalize

    size = size if np.isfinite(size) and size > 0 else 1e-3
    return Normalize(-size, size)


def cells(axes: Axes, values: np.ndarray, colours: str, norm: Any, **options: Any) -> Any:
    """Draw cells with the first row on top; undefined ones are hatched. Return what a colour bar explains.

    Grey has no sign: around 0, cells that are clearly below it bear a stroke, unless numbers stand in them.
    """
    import seaborn as sns
    from matplotlib.patches import Rectangle

    sns.heatmap(values, ax=axes, cmap=colours, norm=norm, cbar=False, xticklabels=False, yticklabels=False, **options)
    axes.grid(False)
    axes.tick_params(length=0)
    for row, column in np.argwhere(np.isnan(values)):
        axes.add_patch(
            Rectangle((column, row), 1, 1, facecolor="white", edgecolor=QUIET, hatch="//////", linewidth=0,
                      label="_undefined")
        )  # fmt: skip
    if norm.vmin == -norm.vmax and "annot" not in options:
        _strokes(axes, values, norm.vmax)
    return axes.collections[0]


def _strokes(axes: Axes, values: np.ndarray, most: float) -> None:
    """Put a stroke into cells below 0, light on dark ones; cells that are nearly white need none."""
    for low, high, colour in ((-np.inf, -0.6, BRIGHT), (-0.6, -0.15, MARK)):
        rows, columns = np.nonzero((values > low * most) & (values <= high * most))
        axes.plot(
            columns + 0.5, rows + 0.5, "_", color=colour, markersize=3.2, markeredgewidth=0.7, label="_below 0"
        )  # fmt: skip


def matrix(axes: Axes, values: np.ndarray, names: Sequence[str], norm: Any, colours: str, form: str) -> Any:
    """Draw a square matrix of languages with its numbers in the cells."""
    import matplotlib as mpl

    text = np.array([["" if np.isnan(v) else form.format(v).replace("-", "−") for v in row] for row in values])
    size = mpl.rcParams["xtick.labelsize"] if len(names) <= 6 else 0.75 * mpl.rcParams["font.size"]
    mesh = cells(axes, values, colours, norm, annot=text, fmt="", annot_kws={"fontsize": size}, square=True)
    for number in axes.texts:
        # The paper's own white would be dark on a dark page.
        number.set_color(BRIGHT if number.get_color() == "w" else MARK)
    middles = np.arange(len(names)) + 0.5
    axes.set_xticks(middles, names, rotation=0)
    axes.set_yticks(middles, names, rotation=0)
    return mesh


def head_map(axes: Axes, values: np.ndarray, norm: Any, colours: str = SEQUENTIAL) -> Any:
    """Draw a (layer, head) map, layer 0 at the bottom."""
    mesh = cells(axes, values, colours, norm)
    axes.invert_yaxis()
    layers, heads = values.shape
    for count, set_ticks in ((heads, axes.set_xticks), (layers, axes.set_yticks)):
        numbers = np.arange(0, count, 1 if count <= 6 else 3 if count <= 15 else 6)
        set_ticks(numbers + 0.5, [str(number) for number in numbers], rotation=0)
    return mesh


def map_of(axes: Axes, view: View, rows: pd.DataFrame, value: str, norm: Any, colours: str = SEQUENTIAL) -> None:
    """Draw a column of some of the rows that a figure shows as a (layer, head) map of all layers and heads."""
    shape = (int(view.table["layer"].max()) + 1, int(view.table["head"].max()) + 1)
    head_map(axes, grid_of(rows, shape, value), norm, colours)


def dots(axes: Axes, columns: Iterable[float], rows: Iterable[float], label: str = "q < .05") -> None:
    """Put a dot into the middle of cells."""
    axes.plot(
        np.asarray(list(columns), dtype=float) + 0.5, np.asarray(list(rows), dtype=float) + 0.5, "o", color=MARK,
        markersize=2.2, markeredgewidth=0.4, markeredgecolor=BRIGHT, label=label,
    )  # fmt: skip


def rings(axes: Axes, columns: Iterable[float], rows: Iterable[float], label: str = "_rings") -> None:
    """Put a ring into cells."""
    axes.plot(
        np.asarray(list(columns), dtype=float) + 0.5, np.asarray(list(rows), dtype=float) + 0.5, "o", color="none",
        markersize=5, markeredgewidth=0.9, markeredgecolor=ACCENT, label=label,
    )  # fmt: skip


def outline(axes: Axes, column: int, row: int) -> None:
    """Draw a frame within a cell."""
    from matplotlib.patches import Rectangle

    axes.add_patch(
        Rectangle((column + 0.06, row + 0.06), 0.88, 0.88, fill=False, edgecolor=ACCENT, linewidth=1.2,
                  label="_outline")
    )  # fmt: skip


def colour_bar(figure: Figure, mesh: Any, axes: Sequence[Axes], label: str, **options: Any) -> Any:
    """Put a bar that explains the colours at the right of the rows in which some axes stand, or at their `location`."""
    every = list(axes)
    place: dict[str, Any] = {"ax": every, "aspect": 18, "fraction": 0.05, "pad": 0.015}
    if "location" not in options:
        rows = {number for one in axes for number in one.get_subplotspec().rowspan}  # type: ignore[union-attr]
        every = [one for one in figure.axes if (spec := one.get_subplotspec()) and rows.intersection(spec.rowspan)]
        place["ax"] = every
        if not every[-1].get_visible():
            # Where a row ends early, the bar stands at its last panel, not at the page's edge.
            last = [one for one in every if one.get_visible()][-1]
            place = {"cax": last.inset_axes((1.03, 0, 0.035, 1))}
    bar = figure.colorbar(mesh, label=label, **place, **options)
    if "cax" in place:
        bar.ax.set_in_layout(False)
    bar.outline.set_visible(False)
    bar.ax.grid(False)
    bar.ax.set_label("_colours")
    bar.ax.tick_params(length=1.5)
    return bar


def outline_handle(label: str) -> Any:
    """Return the legend's entry for outlined cells."""
    from matplotlib.patches import Patch

    return Patch(fill=False, edgecolor=ACCENT, linewidth=1.2, label=label)


def dot_handle(label: str = "q < .05") -> Any:
    """Return the legend's entry for dots."""
    from matplotlib.lines import Line2D

    return Line2D([], [], marker="o", linestyle="none", color=MARK, markersize=2.2, label=label)

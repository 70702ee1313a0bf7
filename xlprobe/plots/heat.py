"""Small matrices with their numbers in the cells, and colour bars."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from xlprobe.plots.style import QUIET, TEXT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["bare", "cells", "colour_bar", "hatch_undefined"]


def bare(axes: Axes) -> None:
    """Take grid, frame and tick marks away: a matrix has edges of its own."""
    axes.grid(False)
    for side in axes.spines.values():
        side.set_visible(False)
    axes.tick_params(length=0)


def hatch_undefined(axes: Axes, values: np.ndarray) -> int:
    """Hatch the cells without a number; return how many there are."""
    from matplotlib.patches import Rectangle

    undefined = np.argwhere(np.isnan(values))
    for row, column in undefined:
        axes.add_patch(
            Rectangle((column - 0.5, row - 0.5), 1, 1, facecolor="white", edgecolor=QUIET, hatch="////", linewidth=0)
        )
    return len(undefined)


def cells(
    axes: Axes, values: np.ndarray, names: Sequence[str], low: float, high: float, colours: str, form: str
) -> Any:
    """Draw a square matrix with its numbers, first row on top; undefined cells are hatched. Return the image."""
    bare(axes)
    image = axes.imshow(values, vmin=low, vmax=high, cmap=colours, aspect="equal")
    hatch_undefined(axes, values)
    size = 10.5 if len(names) <= 6 else 9
    for (row, column), value in np.ndenumerate(values):
        if not np.isnan(value):
            red, green, blue, _ = image.cmap(image.norm(value))
            dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.55
            text = form.format(value).replace("-", "−")
            axes.text(column, row, text, ha="center", va="center", fontsize=size, color="white" if dark else TEXT)
    axes.set_xticks(range(len(names)), names)
    axes.set_yticks(range(len(names)), names)
    return image


def colour_bar(figure: Figure, image: Any, axes: Sequence[Axes], label: str) -> None:
    """Put a bar that explains the colours beside some axes."""
    bar = figure.colorbar(image, ax=list(axes), label=label, aspect=20, fraction=0.05, shrink=0.9)
    bar.outline.set_visible(False)  # type: ignore[operator]
    bar.ax.grid(False)

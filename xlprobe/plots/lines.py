"""Lines over layers: one per pair of languages, with intervals, and grey bands for the controls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from xlprobe.plots.facts import other_language, pair_label
from xlprobe.plots.style import CHANCE, FLOOR, language_colour, language_marker, whole_ticks

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["control_bands", "draw_pairs", "stability_axis"]


def draw_pairs(axes: Axes, table: pd.DataFrame, base: str, *, x: str = "layer") -> None:
    """Draw a line with its interval per pair: colour and marker by the language that is not the base.

    Solid: the context is in the base language; dashed: the question is; dotted: both are in one language; dash-dotted:
    neither is in the base language.
    """
    pairs = {
        (str(context), str(question)): rows
        for (context, question), rows in table.groupby(["context_language", "question_language"], observed=True)
    }
    for context, question in sorted(pairs, key=lambda pair: (pair[0] == pair[1], pair[0] != base, pair)):
        rows = pairs[context, question].sort_values(x)
        # Without the base, colour tells the context's language and the marker the question's.
        apart = base not in (context, question)
        colour = language_colour(context if apart else other_language((context, question), base))
        marker = language_marker(question if apart else other_language((context, question), base))
        kind = "own" if context == question else "apart" if apart else "solid" if context == base else "dashed"
        axes.plot(
            rows[x],
            rows["mean"],
            color=colour,
            marker=marker,
            markersize=3 if kind == "own" else 5.5,
            markerfacecolor="white" if kind == "dashed" else colour,
            linestyle={"own": (0, (1, 1.5)), "solid": "-", "dashed": (0, (4, 2)), "apart": (0, (5, 1.5, 1, 1.5))}[kind],
            linewidth=1.3 if kind == "own" else 1.8,
            label=pair_label(context, question),
        )
        band(axes, rows, x, colour)
    if x == "layer":
        whole_ticks(axes)


def band(axes: Axes, rows: pd.DataFrame, x: str, colour: str, alpha: float = 0.16, **options: Any) -> None:
    """Shade an interval where there is one."""
    known = rows["low"].notna() & rows["high"].notna()
    if known.any():
        axes.fill_between(
            rows[x], rows["low"], rows["high"], where=known, color=colour, alpha=alpha, linewidth=0, **options
        )


def control_bands(axes: Axes, table: pd.DataFrame, x: str = "layer") -> None:
    """Draw floor and chance: the interval of each, widened to a visible band, with a label at the right end."""
    names = {"floor": ("floor: another question", FLOOR), "chance": ("chance: another theory", CHANCE)}
    for condition, (label, colour) in names.items():
        rows = table[table["condition"].astype(str) == condition].sort_values(x)
        if rows.empty:
            continue
        axes.plot(rows[x], rows["mean"], color=colour, linewidth=5, alpha=0.55, solid_capstyle="butt", label=label)
        band(axes, rows, x, colour, alpha=0.35)


def stability_axis(axes: Axes, low: float) -> None:
    """Space the axis by the Jensen-Shannon distance, the root of 1 - S, so that .99 and .999 are told apart."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    def forward(value: Any) -> Any:
        return -np.sqrt(np.clip(1 - np.asarray(value, dtype=float), 0, None))

    def inverse(value: Any) -> Any:
        return 1 - np.asarray(value, dtype=float) ** 2

    low = float(np.clip(low, 0.0, 0.999))
    axes.set_yscale("function", functions=(forward, inverse))
    # A little room above 1 cannot be had: the root ends there.
    axes.set_ylim(1 - (1 - low) * 1.15 if low > 0.13 else 0.0, 1.0)
    axes.yaxis.set_major_locator(FixedLocator(stability_ticks(low)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.4g}"))


def stability_ticks(low: float) -> list[float]:
    """Return round values between `low` and 1 that stand apart on an axis spaced by the root of 1 - S."""
    ladder = [0.0, 0.2, 0.4, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9995, 0.9999, 1.0]
    span = np.sqrt(max(1 - low, 1e-6))
    kept = [1.0]
    for tick in reversed(ladder[:-1]):
        if tick < low - (1 - low) * 0.15:
            break
        if np.sqrt(1 - tick) - np.sqrt(1 - kept[-1]) > 0.11 * span:
            kept.append(tick)
    return kept[::-1]


EDGE_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#882255", "#D99A00", "#555555")
"""Colours of sets of edges, in the order of their names."""


def draw_series(
    axes: Axes,
    rows: pd.DataFrame,
    colour: str,
    label: str,
    *,
    x: str = "layer",
    switched: bool = True,
    marker: str = "o",
) -> None:
    """Draw one line with its interval: solid and filled across languages, dotted and hollow in one language."""
    rows = rows.sort_values(x)
    axes.plot(
        rows[x],
        rows["mean"],
        color=colour,
        marker=marker,
        markersize=4.5,
        markerfacecolor=colour if switched else "white",
        linestyle="-" if switched else (0, (1, 1.5)),
        label=label,
    )
    band(axes, rows, x, colour)
    if x == "layer":
        whole_ticks(axes)

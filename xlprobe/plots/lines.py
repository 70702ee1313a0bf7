"""Lines over layers or steps: one look per pair of languages or checkpoint, intervals as bands, runs as thin lines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from xlprobe.plots.palette import CHANCE, FLOOR, QUIET, language_colour, language_marker, marker_scale
from xlprobe.plots.words import pair_label

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["controls", "level", "line", "ordered_pairs", "pair_lines", "pair_look", "stability_axis", "whole_ticks"]

SHADE = 0.15
_DASHES: dict[str, Any] = {
    "context": "-", "question": (0, (3.5, 1.5)), "own": (0, (1, 1.2)), "apart": (0, (5, 1.5, 1, 1.5)),
}  # fmt: skip


def pair_look(pair: tuple[str, str], base: str) -> dict[str, Any]:
    """Return how a pair is drawn: colour and marker of the language that is not the base.

    Solid and filled: the context is in the base language; dashed and hollow: the question is; dotted: one language;
    dash-dotted: neither is in the base language (colour tells the context's language, the marker the question's).
    """
    import matplotlib as mpl

    context, question = pair
    other = question if context == base else context
    kind = "own" if context == question else "context" if context == base else "question"
    marker = language_marker(other)
    if context != question and base not in pair:
        kind, marker = "apart", language_marker(question)
    colour = language_colour(other)
    return {
        "color": colour, "marker": marker, "linestyle": _DASHES[kind], "markeredgewidth": 0.8,
        "markersize": mpl.rcParams["lines.markersize"] * marker_scale(marker),
        "markerfacecolor": "white" if kind == "question" else colour,
    }  # fmt: skip


def ordered_pairs(rows: pd.DataFrame, base: str) -> list[tuple[str, str]]:
    """Return the pairs of some rows, code-switched ones first, those with the base language as context leading."""
    languages = rows[["context_language", "question_language"]].drop_duplicates().astype(str)
    pairs = list(languages.itertuples(index=False, name=None))
    return sorted(pairs, key=lambda pair: (pair[0] == pair[1], pair[0] != base, pair[1] != base, pair))


def pair_lines(axes: Axes, rows: pd.DataFrame, base: str) -> None:
    """Draw a line over layers for each pair of languages; the more there are, the fainter their bands."""
    pairs = ordered_pairs(rows, base)
    shade = SHADE * min(1.0, 7 / max(1, len(pairs)))
    for pair in pairs:
        own = rows[(rows["context_language"] == pair[0]) & (rows["question_language"] == pair[1])]
        line(axes, own, pair_look(pair, base), pair_label(*pair), shade=shade)


def line(
    axes: Axes, rows: pd.DataFrame, look: dict[str, Any], label: str, x: str = "layer", shade: float = SHADE
) -> None:
    """Draw means as a line, their intervals as a band, and single training runs as thin lines.

    Rows with a `seed` are single runs. Intervals that are not known leave a gap in the band. A line that is undefined
    everywhere is not in the legend.
    """
    means = rows[rows["seed"].isna()].sort_values(x)
    axes.plot(means[x], means["mean"], label=label if means["mean"].notna().any() else f"_undefined {label}", **look)
    _single_runs(axes, rows, look["color"], label, x)
    band(axes, means, look["color"], label, x, shade)
    if x == "layer":
        whole_ticks(axes)


def _single_runs(axes: Axes, rows: pd.DataFrame, colour: str, label: str, x: str = "layer") -> None:
    for seed, run in rows[rows["seed"].notna()].sort_values(x).groupby("seed"):
        axes.plot(run[x], run["mean"], color=colour, linewidth=0.4, alpha=0.7, label=f"_run {seed} {label}")


def band(axes: Axes, rows: pd.DataFrame, colour: str, label: str, x: str = "layer", shade: float = SHADE) -> None:
    """Shade the intervals of sorted rows where they are known."""
    if "low" not in rows or rows["low"].isna().all():
        return
    low, high = (rows[name].astype(float) for name in ("low", "high"))
    axes.fill_between(
        rows[x], low, high, where=low.notna() & high.notna(), color=colour, alpha=shade, linewidth=0,
        label=f"_band {label}",
    )  # fmt: skip


CONTROLS: dict[str, tuple[str, dict[str, Any]]] = {
    "floor": ("floor: another question", {"color": FLOOR, "linestyle": "-", "linewidth": 2.6}),
    "chance": ("chance: another theory", {"color": CHANCE, "linestyle": (0, (1, 0.6)), "linewidth": 2.6}),
}


def controls(axes: Axes, rows: pd.DataFrame) -> None:
    """Draw floor and chance over layers where they are among the rows: broad and grey, under the lines."""
    for condition, (label, look) in CONTROLS.items():
        own = rows[rows["condition"] == condition]
        if own.empty:
            continue
        means = own[own["seed"].isna()].sort_values("layer")
        axes.plot(means["layer"], means["mean"], label=label, zorder=1.5, solid_capstyle="butt", **look)
        _single_runs(axes, own, look["color"], label)
        band(axes, means, look["color"], label)


def level(axes: Axes, value: float, label: str = "", *, vertical: bool = False) -> None:
    """Draw a line at a value that means something, such as 0 or chance; named in the legend if it has a label."""
    look: dict[str, Any] = {"color": QUIET, "linewidth": 0.7, "linestyle": (0, (1, 1)) if label else "-", "zorder": 1.4}
    (axes.axvline if vertical else axes.axhline)(value, label=label or f"_level {value:g}", **look)


def whole_ticks(axes: Axes, axis: str = "x") -> None:
    """Put ticks at whole numbers only: layers and heads have no halves."""
    from matplotlib.ticker import MaxNLocator

    (axes.xaxis if axis == "x" else axes.yaxis).set_major_locator(MaxNLocator(integer=True, nbins=6))


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
    axes.set_ylim(1 - (1 - low) * 1.1 if low > 0.1 else 0.0, 1.0)
    axes.yaxis.set_major_locator(FixedLocator(stability_ticks(low)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.4g}"))


def stability_ticks(low: float) -> Sequence[float]:
    """Return round values between `low` and 1 that stand apart on an axis spaced by the root of 1 - S."""
    ladder = [0.0, 0.2, 0.4, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9995, 0.9999, 1.0]
    span = np.sqrt(max(1 - low, 1e-6))
    kept = [1.0]
    for tick in reversed(ladder[:-1]):
        if tick < low - (1 - low) * 0.1:
            break
        if np.sqrt(1 - tick) - np.sqrt(1 - kept[-1]) > 0.14 * span:
            kept.append(tick)
    return kept[::-1]


def bounded(axes: Axes, table: pd.DataFrame, low: float, high: float) -> None:
    """End the axis at two values at the latest, and mark at its edges the lines that leave it."""
    known = table["mean"].dropna()
    shown = known[(known >= low) & (known <= high)]
    ends = (min(shown.min(), 0), max(shown.max(), 1)) if len(shown) else (0.0, 1.0)
    room = 0.06 * (ends[1] - ends[0])
    axes.set_ylim(ends[0] - room, ends[1] + room)
    for drawn in [one for one in axes.get_lines() if not str(one.get_label()).startswith("_")]:
        x, y = (np.asarray(side, dtype=float) for side in drawn.get_data())
        for beyond, edge, marker in ((y < low, ends[0] - room, "v"), (y > high, ends[1] + room, "^")):
            if beyond.any() and len(x) > 2:
                axes.plot(x[beyond], np.full(beyond.sum(), edge), marker, color=drawn.get_color(), markersize=4,
                          clip_on=False, label=f"_beyond {drawn.get_label()}")  # fmt: skip


def beyond(table: pd.DataFrame, low: float, high: float) -> str:
    """Say how many means lie beyond the axis, or nothing."""
    count = int(((table["mean"] < low) | (table["mean"] > high)).sum())
    return f" Triangles: {count} of {len(table)} means lie beyond the axis." if count else ""

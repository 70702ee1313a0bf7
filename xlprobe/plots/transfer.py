"""Accuracy on every pair of context and question language: per checkpoint, and what the cross-lingual query changes."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import numpy as np

from xlprobe.plots.estimates import estimate
from xlprobe.plots.facts import (
    checkpoints,
    contrasts,
    describe,
    language_order,
    needs_rows,
    require,
    trained_pairs,
)
from xlprobe.plots.figures import FigureSpec, once
from xlprobe.plots.heat import cells, colour_bar
from xlprobe.plots.style import DIVERGING, SEQUENTIAL, caption, style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from xlprobe.results import Results

__all__ = ["FIGURES", "transfer_matrix"]

OUTLINE = "#D55E00"
_PAIR = ["context_language", "question_language"]


def _needs(results: Results) -> str | None:
    return needs_rows(results, "accuracy (it takes a classification head and labels)", metric="correct")


@once
def transfer_table(results: Results) -> pd.DataFrame:
    """Return accuracy per checkpoint and pair with intervals over theories, and the paired differences with q values.

    `quantity` is "accuracy" or "difference"; `zero_shot`: the checkpoint was not trained on the pair (empty: unknown).
    """
    import pandas as pd

    rows = results.select(metric="correct", condition="observed")
    table = estimate(rows, ["checkpoint", *_PAIR]).assign(quantity="accuracy", q=np.nan)
    parts = [table]
    for crossed, base in contrasts(rows):
        found = rows.contrast(crossed, base, "correct", by=_PAIR)
        kept = found.rename(columns={"estimate": "mean"})[
            [*_PAIR, "mean", "low", "high", "n", "n_groups", "n_nan", "q"]
        ]
        parts.append(kept.assign(checkpoint=f"{crossed} − {base}", quantity="difference"))
    joined = pd.concat(parts, ignore_index=True)
    trained = trained_pairs(results)
    joined["zero_shot"] = [
        (f"{row.context_language}-{row.question_language}" not in trained[row.checkpoint])
        if row.checkpoint in trained
        else None
        for row in joined.itertuples()
    ]
    return joined


def transfer_matrix(results: Results, *, checkpoint: str | None = None, ax: Axes | None = None) -> Figure:
    """Draw accuracy by context language (rows) and question language (columns), one matrix per checkpoint.

    With several checkpoints the differences of cross-query and baseline follow, with dots where they hold up (false
    discovery rate below .05 over the pairs). Pairs that a checkpoint was not trained on are outlined. Accuracy is in
    percent; undefined cells are hatched.
    """
    require(_needs(results))
    table = transfer_table(results)
    order = language_order(results.select(metric="correct"))
    names = [checkpoint] if checkpoint else checkpoints(results.select(metric="correct"))
    trained = trained_pairs(results)
    scores = table[table["quantity"] == "accuracy"]
    low = float(np.floor(min(50.0, 100 * scores["mean"].min()) / 5) * 5)

    def one(axes: Axes, name: str) -> Any:
        rows = scores[scores["checkpoint"] == name]
        image = cells(axes, _grid(rows, order), order, low, 100, SEQUENTIAL, "{:.0f}")
        _outline(axes, order, trained.get(name), rows)
        axes.set_title(name)
        return image

    if ax is not None:
        one(ax, names[0])
        return ax.figure  # type: ignore[return-value]
    kinds = [] if checkpoint else list(dict.fromkeys(table[table["quantity"] == "difference"]["checkpoint"]))
    with style():
        figure, axes = _layout(len(names), len(kinds), len(order))
        image = None
        for place, name in zip(axes[0], names, strict=False):
            image = one(place, name)
        colour_bar(figure, image, axes[0], "accuracy (%)")
        if kinds:
            _differences(figure, axes[1], table, kinds, order)
        rows = results.select(metric="correct", checkpoint=names)
        caption(
            figure,
            "Which pairs of languages does a checkpoint solve?",
            f"{describe(rows, '')} Rows: language of the context; columns: of the question. Guessing is right in 50 %. "
            f"{_widest(scores)}{' Outlined: pairs not trained on (zero-shot).' if trained else ''}"
            f"{' Difference in percentage points; dots: q < .05, sign flips over theories.' if kinds else ''}",
        )
    return figure


def _widest(scores: pd.DataFrame) -> str:
    half = 50 * (scores["high"] - scores["low"])
    return "" if half.isna().all() else f"95 % intervals over theories are at most ±{half.max():.0f} points wide."


def _grid(rows: pd.DataFrame, order: list[str]) -> np.ndarray:
    values = np.full((len(order), len(order)), np.nan)
    for row in rows.itertuples():
        values[order.index(str(row.context_language)), order.index(str(row.question_language))] = 100 * float(row.mean)
    return values


def _outline(axes: Axes, order: list[str], trained: Collection[str] | None, rows: pd.DataFrame) -> None:
    from matplotlib.patches import Rectangle

    if trained is None:
        return
    for row in rows.itertuples():
        if f"{row.context_language}-{row.question_language}" not in trained:
            corner = (order.index(str(row.question_language)) - 0.44, order.index(str(row.context_language)) - 0.44)
            axes.add_patch(Rectangle(corner, 0.88, 0.88, fill=False, edgecolor=OUTLINE, linewidth=2.2))


def _layout(names: int, kinds: int, languages: int) -> tuple[Figure, list[list[Axes]]]:
    """Return the figure, and its axes for checkpoints and for differences: up to three in one row, else in two."""
    from matplotlib.figure import Figure

    together = names + kinds <= 3
    columns, lines = (names + kinds, 1) if together else (max(names, kinds), 2 if kinds else 1)
    side = 1.0 + 0.42 * languages
    size = (max(8.0, (side + 0.4) * columns + (2.0 if together and kinds else 1.2)), (side + 0.5) * lines + 1.6)
    figure = Figure(figsize=size, layout="constrained")
    figure.set_layout_engine("constrained", w_pad=0.08, h_pad=0.08)
    grid = list(figure.subplots(lines, columns, squeeze=False).flat)
    start = names if together else columns
    for axes in [*grid[names:start], *grid[start + kinds :]]:
        axes.set_visible(False)
    return figure, [grid[:names], *([grid[start : start + kinds]] if kinds else [])]


def _differences(figure: Figure, axes: list[Axes], table: pd.DataFrame, kinds: list[str], order: list[str]) -> None:
    rows = table[table["quantity"] == "difference"]
    size = max(1.0, float(100 * rows["mean"].abs().max()))
    image = None
    for place, kind in zip(axes, kinds, strict=True):
        own = rows[rows["checkpoint"] == kind]
        image = cells(place, _grid(own, order), order, -size, size, DIVERGING, "{:+.0f}")
        held = own[own["q"] < 0.05]
        place.plot(
            [order.index(str(code)) + 0.3 for code in held["question_language"]],
            [order.index(str(code)) - 0.3 for code in held["context_language"]],
            "o", color="black", markersize=3.2,
        )  # fmt: skip
        place.set_title(kind)
    colour_bar(figure, image, axes, "difference (points)")


FIGURES = {
    "transfer_matrix": FigureSpec(
        "Transfer between languages",
        "Accuracy by language of the context (rows) and of the question (columns). Outlined cells are pairs that the "
        "checkpoint was not trained on; below, cross-query minus baseline in percentage points, with dots where the "
        "difference holds up.",
        _needs,
        transfer_matrix,
        transfer_table,
    )
}

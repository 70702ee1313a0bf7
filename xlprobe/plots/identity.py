"""Neutrality over whole sets of sentences: similarity of two languages' spaces, and how plainly the language shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from xlprobe.plots.estimates import estimate
from xlprobe.plots.facts import checkpoints, describe, language_order, needs_rows, require
from xlprobe.plots.figures import FigureSpec, once
from xlprobe.plots.heat import cells, colour_bar
from xlprobe.plots.lines import draw_series
from xlprobe.plots.neutrality import TEXTS
from xlprobe.plots.stability import legend
from xlprobe.plots.style import QUIET, SEQUENTIAL, caption, checkpoint_colour, panels, style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from xlprobe.results import Results

__all__ = ["FIGURES", "cka_matrix", "language_identity"]

PANELS = {
    "language_probe_accuracy": ("linear probe (dotted: control task)", "right"),
    "language_probe_selectivity": ("selectivity: probe − control", "gain"),
    "language_eta_squared": ("variance between languages", "share"),
    "language_mdl_bits": ("description length of the language", "bits"),
}


def _needs_cka(results: Results) -> str | None:
    return needs_rows(results, "CKA of two languages", metric="cka")


@once
def cka_table(results: Results) -> pd.DataFrame:
    """Return debiased linear CKA per checkpoint, pair of languages and layer."""
    table = results.select(metric="cka", block=TEXTS).means(
        ["checkpoint", "context_language", "question_language", "layer"]
    )
    return table.drop(columns="n")


def cka_matrix(
    results: Results, *, checkpoint: str | None = None, layer: int | None = None, ax: Axes | None = None
) -> Figure:
    """Draw how alike the spaces of two languages are, at the first, the middle and the last layer.

    Debiased linear CKA of parallel sentences: 0 unrelated, 1 equal up to rotation, scale and shift.
    """
    require(_needs_cka(results))
    table = cka_table(results)
    rows = results.select(metric="cka", block=TEXTS)
    names = [checkpoint] if checkpoint else checkpoints(rows)
    order = language_order(rows)
    every = sorted(int(number) for number in table["layer"].dropna().unique())
    layers = [layer] if layer is not None else sorted({every[0], every[len(every) // 2], every[-1]})

    def one(axes: Axes, name: str, layer: int) -> Any:
        own = table[(table["checkpoint"] == name) & (table["layer"] == layer)]
        values = np.full((len(order), len(order)), np.nan)
        np.fill_diagonal(values, 1.0)
        for row in own.itertuples():
            ends = order.index(str(row.context_language)), order.index(str(row.question_language))
            values[ends] = values[ends[::-1]] = row.value
        return cells(axes, values, order, 0, 1, SEQUENTIAL, "{:.2f}")

    if ax is not None:
        one(ax, names[0], layers[0])
        return ax.figure  # type: ignore[return-value]
    with style():
        side = 1.2 + 0.45 * len(order)
        figure, grid = panels(
            len(names), len(layers), width=max(8.0, side * len(layers) + 1.6), height=side, share=False
        )
        image = None
        for row, name in zip(grid, names, strict=True):
            for axes, number in zip(row, layers, strict=True):
                image = one(axes, name, number)
                where = "embeddings" if number == 0 else f"layer {number}"
                axes.set_title(f"{where} · {name}" if len(names) > 1 else where, fontsize=11.5)
        colour_bar(figure, image, [axes for row in grid for axes in row], "CKA (debiased, linear)")
        caption(
            figure,
            "How alike are the spaces of two languages?",
            f"{describe(rows.select(checkpoint=names), '')} Means over the tokens of parallel sentences. 0: unrelated; "
            "1: equal up to rotation, scale and shift. One value per set of sentences, so without an interval.",
        )
    return figure


def _needs_identity(results: Results) -> str | None:
    return needs_rows(results, "probe of the language", metric=["language_probe_accuracy", "language_eta_squared"])


@once
def identity_table(results: Results) -> pd.DataFrame:
    """Return the probe's accuracy, control and selectivity, variance and description length by checkpoint and layer."""
    rows = results.select(metric=[*PANELS, "language_probe_control"], block=TEXTS)
    table = estimate(rows, ["checkpoint", "metric", "layer"], draws=99)
    return table[table["layer"].notna()].reset_index(drop=True)


def language_identity(
    results: Results, *, checkpoint: str | None = None, metric: str = "language_probe_selectivity",
    ax: Axes | None = None,
) -> Figure:  # fmt: skip
    """Draw by layer how plainly a sentence vector shows its language: probe and control, variance, code length."""
    require(_needs_identity(results))
    table = identity_table(results)
    rows = results.select(metric=[*PANELS], block=TEXTS)
    every = checkpoints(rows)
    names = [checkpoint] if checkpoint else every

    def one(axes: Axes, metric: str) -> None:
        for name in names:
            own, colour = table[table["checkpoint"] == name], checkpoint_colour(every, name)
            draw_series(axes, own[own["metric"] == metric], colour, name)
            if metric == "language_probe_accuracy":
                draw_series(axes, own[own["metric"] == "language_probe_control"], colour, "", switched=False)

    if ax is not None:
        one(ax, metric)
        return ax.figure  # type: ignore[return-value]
    present = [name for name in PANELS if (table["metric"] == name).any()]
    with style():
        columns = min(2, len(present))
        figure, grid = panels(-(-len(present) // columns), columns, width=10.5, height=2.7, share=False)
        for number, axes in enumerate(axes for row in grid for axes in row):
            if number >= len(present):
                axes.set_visible(False)
                continue
            part = present[number]
            one(axes, part)
            axes.set_title(PANELS[part][0])
            axes.set_ylabel(PANELS[part][1])
            axes.set_xlabel("layer (0: embeddings)")
            if part == "language_probe_accuracy":
                axes.set_ylim(0, 1.04)
            elif part == "language_probe_selectivity":
                axes.axhline(0, color=QUIET, linewidth=1)
        legend(figure, grid, "checkpoint")
        caption(
            figure,
            "How plainly does a sentence vector show its language?",
            f"{describe(rows.select(checkpoint=names), '')} Control: the same probe on random labels of sentences; "
            "both on held-out sentences. One value per set of sentences, so without an interval.",
        )
    return figure


FIGURES = {
    "cka_matrix": FigureSpec(
        "Similarity of languages' spaces",
        "Debiased linear CKA between the sentence vectors of two languages, at the embeddings, in the middle and at "
        "the end.",
        _needs_cka,
        cka_matrix,
        cka_table,
    ),
    "language_identity": FigureSpec(
        "Language identity by layer",
        "How well a linear probe tells a sentence's language, and its selectivity over a control task; the share of "
        "the variance between languages; the description length of the language (fewer bits: plainer to see).",
        _needs_identity,
        language_identity,
        identity_table,
    ),
}

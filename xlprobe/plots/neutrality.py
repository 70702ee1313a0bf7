"""Language neutrality of sentence representations by layer: retrieval of translations, and the neutrality gap."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xlprobe.plots.estimates import estimate
from xlprobe.plots.facts import base_language, checkpoints, describe, needs_rows, require
from xlprobe.plots.figures import FigureSpec, once
from xlprobe.plots.lines import draw_pairs
from xlprobe.plots.stability import legend
from xlprobe.plots.style import caption, columns_of, panels, style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from xlprobe.results import Results

__all__ = ["FIGURES", "neutrality_by_layer"]

METRICS = {
    "retrieval_raw": "as they are",
    "retrieval_centred": "language mean removed",
    "neutrality_gap": "gap between both",
}
TEXTS = ("sentence", "")
"""The block of rows about sentences; those about whole problems are not drawn."""


def _needs(results: Results) -> str | None:
    return needs_rows(results, "retrieval of translations", metric="retrieval_raw")


@once
def neutrality_table(results: Results) -> pd.DataFrame:
    """Return retrieval, raw and centred, and the gap per checkpoint, pair and layer."""
    rows = results.select(metric=list(METRICS), block=TEXTS)
    return estimate(rows, ["checkpoint", "context_language", "question_language", "metric", "layer"])


def neutrality_by_layer(
    results: Results, *, checkpoint: str | None = None, metric: str = "retrieval_centred", ax: Axes | None = None
) -> Figure:
    """Draw the share of sentences whose translation is nearest, by layer: raw, language-centred, and the gap.

    Values are in [0, 1]; layer 0 is the embeddings. A large gap means that a constant offset per language hides
    meanings that are otherwise alike (Libovicky et al. 2020).
    """
    require(_needs(results))
    names = [checkpoint] if checkpoint else checkpoints(results.select(metric=list(METRICS), block=TEXTS))
    table = neutrality_table(results)
    base = base_language(results)

    def one(axes: Axes, name: str, metric: str) -> None:
        draw_pairs(axes, table[(table["checkpoint"] == name) & (table["metric"] == metric)], base)

    if ax is not None:
        one(ax, names[0], metric)
        return ax.figure  # type: ignore[return-value]
    present = [name for name in METRICS if (table["metric"] == name).any()]
    with style():
        figure, grid = panels(len(present), len(names), width=columns_of(len(names))[0], height=2.6)
        for row, part in zip(grid, present, strict=True):
            for axes, name in zip(row, names, strict=True):
                one(axes, name, part)
                title = METRICS[part] + (f" · {name}" if len(names) > 1 else "")
                axes.set_title(title, fontsize=columns_of(len(names))[1])
                if part != "neutrality_gap":
                    axes.set_ylim(0, 1.02)
            row[0].set_ylabel("gain in share" if part == "neutrality_gap" else "retrieved, top 1")
        for axes in grid[-1]:
            axes.set_xlabel("layer (0: embeddings)")
        legend(figure, grid)
        rows = results.select(metric=present, checkpoint=names, block=TEXTS)
        caption(
            figure,
            "Is the translation of a sentence the nearest sentence?",
            describe(rows).replace("problems", "sentences"),
        )
    return figure


FIGURES = {
    "neutrality_by_layer": FigureSpec(
        "Language neutrality by layer",
        "Share of sentences whose translation is the nearest sentence of the other language, by layer: raw, after the "
        "mean of each language is taken off, and the gap between both.",
        _needs,
        neutrality_by_layer,
        neutrality_table,
    )
}

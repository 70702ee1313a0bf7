"""How the two queries share the attention of a cross-query checkpoint, by layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xlprobe.plots.estimates import estimate
from xlprobe.plots.facts import base_language, checkpoints, describe, needs_rows, require
from xlprobe.plots.figures import FigureSpec, once
from xlprobe.plots.lines import draw_pairs
from xlprobe.plots.mass import DIRECTIONS
from xlprobe.plots.stability import legend
from xlprobe.plots.style import QUIET, caption, panels, style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from xlprobe.results import Results

__all__ = ["FIGURES", "query_shares"]

BLOCKS = {**DIRECTIONS, "context->context": "within the context", "cls->context": "first token to context"}


def _needs(results: Results) -> str | None:
    return needs_rows(results, "share of Q_cross (it takes a cross-query checkpoint)", metric="share_cross")


@once
def shares_table(results: Results) -> pd.DataFrame:
    """Return the share of Q_cross per checkpoint, code-switched pair, block and layer; that of Q is 1 minus it."""
    rows = results.select(metric="share_cross", condition="observed", reason=None)
    table = estimate(rows, ["checkpoint", "context_language", "question_language", "block", "layer"])
    across = table["context_language"].astype(str) != table["question_language"].astype(str)
    return table[across].reset_index(drop=True)


def query_shares(
    results: Results, *, checkpoint: str | None = None, block: str | None = None, ax: Axes | None = None
) -> Figure:
    """Draw which part of a block's attention comes from Q_cross, by layer and pair of languages; the rest is Q's.

    Range [0, 1]. Only code-switched samples: in one language Q does all.
    """
    require(_needs(results))
    table = shares_table(results)
    names = [checkpoint] if checkpoint else checkpoints(results.select(metric="share_cross", reason=None))
    present = [name for name in BLOCKS if (table["block"] == name).any()]
    blocks = [block] if block else present
    base = base_language(results)

    def one(axes: Axes, name: str, block: str) -> None:
        axes.axhline(0.5, color=QUIET, linewidth=1)
        draw_pairs(axes, table[(table["checkpoint"] == name) & (table["block"] == block)], base)
        axes.set_ylim(-0.03, 1.03)

    if ax is not None:
        one(ax, names[0], blocks[0])
        return ax.figure  # type: ignore[return-value]
    with style():
        figure, grid = panels(len(names), len(blocks), width=max(8.0, 3.4 * len(blocks) + 2.0), height=2.8)
        for row, name in zip(grid, names, strict=True):
            for axes, part in zip(row, blocks, strict=True):
                one(axes, name, part)
                axes.set_title(BLOCKS.get(part, part) + (f" · {name}" if len(names) > 1 else ""))
            row[0].set_ylabel("share of Q_cross")
        for axes in grid[-1]:
            axes.set_xlabel("layer (from 0)")
        legend(figure, grid)
        rows = results.select(metric="share_cross", condition="observed", checkpoint=names)
        caption(
            figure,
            "Which query does the attention come from?",
            f"{describe(rows)} 1: all from the cross-lingual query; 0: all from the query of one language.",
        )
    return figure


FIGURES = {
    "query_shares": FigureSpec(
        "Shares of Q and Q_cross",
        "Part of the attention mass that comes from the cross-lingual query, by layer and part of the pattern; the "
        "rest comes from the query of one language. Code-switched samples only. With "
        "non-interfering masks only the first token can look with both queries.",
        _needs,
        query_shares,
        shares_table,
    )
}

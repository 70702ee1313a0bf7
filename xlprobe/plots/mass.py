"""Cross-lingual attention mass by layer: its lift over what lengths alone give, and what a language border changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xlprobe.plots.estimates import changes, estimate
from xlprobe.plots.facts import base_language, checkpoints, describe, needs_rows, require
from xlprobe.plots.figures import FigureSpec, once
from xlprobe.plots.lines import draw_pairs
from xlprobe.plots.stability import legend
from xlprobe.plots.style import QUIET, caption, panels, style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from xlprobe.results import Results

__all__ = ["FIGURES", "cross_lingual_mass"]

DIRECTIONS = {"question->context": "question to context", "context->question": "context to question"}
_PAIR = ("context_language", "question_language")


def _needs(results: Results) -> str | None:
    return needs_rows(results, "cross-lingual mass", metric="mass_lift")


@once
def mass_table(results: Results) -> pd.DataFrame:
    """Return the lift, and its difference to the in-language reference, per checkpoint, pair, block and layer."""
    import pandas as pd

    rows = results.select(metric="mass_lift", block=list(DIRECTIONS), condition="observed")
    keys = ["checkpoint", *_PAIR, "block", "layer"]
    lift = estimate(rows, keys).assign(quantity="lift")
    if not any(context != question for context, question in zip(*(lift[name] for name in _PAIR), strict=True)):
        return lift
    return pd.concat([lift, changes(rows, "mass_lift", keys).assign(quantity="difference")], ignore_index=True)


def cross_lingual_mass(
    results: Results,
    *,
    checkpoint: str | None = None,
    block: str | None = None,
    quantity: str = "lift",
    ax: Axes | None = None,
) -> Figure:
    """Draw how much attention crosses between question and context, by layer and pair of languages.

    `quantity` (with `ax`): "lift", logit of the mass over logit of what lengths alone give, in nats: 0 is attention
    spread evenly over tokens; "difference", the lift minus that of the same sample in one language: what the language
    border changes beyond the segment border.
    """
    require(_needs(results))
    names = [checkpoint] if checkpoint else checkpoints(results.select(metric="mass_lift"))
    blocks = [block] if block else list(DIRECTIONS)
    table = mass_table(results)
    base = base_language(results)

    def one(axes: Axes, name: str, block: str, quantity: str) -> None:
        rows = table[(table["checkpoint"] == name) & (table["block"] == block) & (table["quantity"] == quantity)]
        axes.axhline(0, color=QUIET, linewidth=1)
        draw_pairs(axes, rows, base)

    if ax is not None:
        one(ax, names[0], blocks[0], quantity)
        return ax.figure  # type: ignore[return-value]
    kinds = [kind for kind in ("lift", "difference") if (table["quantity"] == kind).any()]
    labels = {"lift": "lift (logits)", "difference": "lift − in-language lift"}
    with style():
        rows_of = [(name, kind) for name in names for kind in kinds]
        figure, grid = panels(len(rows_of), len(blocks), width=12.0, height=2.7)
        for row, (name, kind) in zip(grid, rows_of, strict=True):
            for axes, part in zip(row, blocks, strict=True):
                one(axes, name, part, kind)
                axes.set_title(DIRECTIONS.get(part, part) + (f" · {name}" if len(names) > 1 else ""))
            row[0].set_ylabel(labels[kind])
        for axes in grid[-1]:
            axes.set_xlabel("layer (from 0)")
        legend(figure, grid)
        rows = results.select(metric="mass_lift", block=blocks, condition="observed", checkpoint=names)
        caption(
            figure,
            "How much attention crosses between question and context?",
            f"{describe(rows)} Lift 0: as if spread evenly over tokens, special tokens left out.",
        )
    return figure


FIGURES = {
    "cross_lingual_mass": FigureSpec(
        "Cross-lingual attention mass",
        "Attention between question and context by layer. Lift: logit of the attention mass minus the logit of the "
        "share of tokens; 0 is attention spread evenly. Second row: the code-switched lift minus the in-language lift "
        "of the same problem, so what the language border changes beyond the segment border.",
        _needs,
        cross_lingual_mass,
        mass_table,
    )
}

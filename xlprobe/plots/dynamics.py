"""How metrics change while a checkpoint is trained."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xlprobe.plots.estimates import estimate
from xlprobe.plots.facts import checkpoints, describe, needs_rows, require
from xlprobe.plots.figures import FigureSpec, once
from xlprobe.plots.lines import draw_series
from xlprobe.plots.stability import legend
from xlprobe.plots.style import caption, checkpoint_colour, panels, style, whole_ticks

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from xlprobe.results import Results

__all__ = ["FIGURES", "dynamics_over_steps"]

METRICS = {
    "js_stability": ("stability S, question to context", {"block": "question->context", "pooling": "token"}),
    "mass_lift": ("lift, question to context (logits)", {"block": "question->context"}),
    "retrieval_centred": ("translations retrieved, centred", {}),
    "correct": ("accuracy", {}),
    "gold_margin": ("gold margin (logits)", {}),
}
"""What is drawn over steps, where it was measured: label and rows."""


def _needs(results: Results) -> str | None:
    steps = results.unique("step")
    if len(steps) < 2:
        return "the table holds no or one step of training; measure at several with xlprobe.training.Dynamics"
    return needs_rows(results, "metric of the dynamics", metric=list(METRICS))


@once
def dynamics_table(results: Results) -> pd.DataFrame:
    """Return mean and interval per metric, checkpoint and step, in one language and across languages."""
    import pandas as pd

    parts = []
    for metric, (_, filters) in METRICS.items():
        rows = results.select(metric=metric, condition="observed", **filters)
        if len(rows) == 0 or len(rows.unique("step")) < 2:
            continue
        table = estimate(rows, ["checkpoint", "context_language", "question_language", "step"]).assign(metric=metric)
        across = table["context_language"].astype(str) != table["question_language"].astype(str)
        table["languages"] = across.map({True: "across languages", False: "in one language"})
        # In-language samples are compared with the base language, which is another question than code-switching.
        parts.append(table[across] if metric == "js_stability" else table)
    return pd.concat(parts, ignore_index=True)


def dynamics_over_steps(
    results: Results, *, checkpoint: str | None = None, metric: str | None = None, ax: Axes | None = None
) -> Figure:
    """Draw metrics over the optimiser steps of training: solid across languages, dotted in one language.

    Lines are means over the pairs of languages, bands the range of their means. With `ax`, one metric.
    """
    require(_needs(results))
    table = dynamics_table(results)
    table = table[table["step"].notna()]
    names = [checkpoint] if checkpoint else [n for n in checkpoints(results) if n in set(table["checkpoint"])]
    present = [name for name in METRICS if (table["metric"] == name).any()]

    def one(axes: Axes, metric: str) -> None:
        for name in names:
            for label, rows in table[(table["checkpoint"] == name) & (table["metric"] == metric)].groupby("languages"):
                means = rows.groupby("step", as_index=False)["mean"].agg(["mean", "min", "max"])
                means = means.rename(columns={"min": "low", "max": "high"})
                draw_series(
                    axes, means, checkpoint_colour(names, name), f"{name}, {label}", x="step",
                    switched=label == "across languages",
                )  # fmt: skip

    if ax is not None:
        one(ax, metric or present[0])
        return ax.figure  # type: ignore[return-value]
    with style():
        columns = min(2, len(present))
        lines = -(-len(present) // columns)
        figure, grid = panels(lines, columns, width=11.0, height=2.9, share=False)
        for number in range(lines * columns):
            axes = grid[number // columns][number % columns]
            if number >= len(present):
                axes.set_visible(False)
                continue
            one(axes, present[number])
            axes.set_title(METRICS[present[number]][0])
            axes.set_xlabel("optimiser step")
            whole_ticks(axes)
        legend(figure, grid, "checkpoint, languages")
        rows = results.select(metric=present, checkpoint=names)
        caption(
            figure,
            "What changes while a checkpoint is trained?",
            f"{describe(rows, '')} Lines: mean over pairs of languages; bands: from the lowest to the highest pair.",
        )
    return figure


FIGURES = {
    "dynamics_over_steps": FigureSpec(
        "Dynamics of training",
        "Metrics over the steps of training on a fixed set of problems. Solid: across languages; dotted: in one "
        "language. Bands reach from the lowest to the highest pair of languages.",
        _needs,
        dynamics_over_steps,
        dynamics_table,
    )
}

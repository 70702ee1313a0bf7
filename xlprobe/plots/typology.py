"""Stability and transfer beside typological distance, one point per language."""

from __future__ import annotations

import importlib.util
import math
from typing import TYPE_CHECKING

from xlprobe.plots.facts import base_language, checkpoints, describe, needs_rows, pairs, require
from xlprobe.plots.figures import FigureSpec, once
from xlprobe.plots.stability import legend
from xlprobe.plots.style import caption, checkpoint_colour, panels, style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from xlprobe.results import Results

__all__ = ["FIGURES", "typological_distance"]

OUTCOMES = {
    "js_stability": ("stability S, question to context", {"block": "question->context", "pooling": "token"}),
    "correct": ("accuracy across languages", {}),
}
TESTABLE = 5
"""Fewer languages than this allow no rank correlation."""


def _needs(results: Results) -> str | None:
    rows = results.select(metric=list(OUTCOMES), condition="observed")
    missing = needs_rows(results, "stability or accuracy", metric=list(OUTCOMES), condition="observed")
    base = base_language(results)
    others = {code for pair in pairs(rows) if pair[0] != pair[1] and base in pair for code in pair} - {base}
    if missing is None and len(others) < 2:
        missing = f"it takes at least two languages besides {base}, and the table has {len(others)}"
    known = len(results.select(metric="typological_distance")) > 0 or importlib.util.find_spec("urielplus") is not None
    if missing is None and not known:
        missing = "typological distances need the optional extra: pip install 'xlprobe[typology]'"
    return missing


def _distances(results: Results, codes: list[str], base: str) -> dict[str, float]:
    """Return the distances of the table, else those of URIEL+."""
    rows = results.select(metric="typological_distance")
    if len(rows):
        table = rows.means(["question_language"])
        return dict(zip(table["question_language"], table["value"], strict=True))
    from xlprobe.factors import typological_distances

    return typological_distances(codes, base)


@once
def typology_table(results: Results) -> pd.DataFrame:
    """Return per checkpoint, outcome and language: distance to the base, value, and rank correlation over languages.

    A language's value is the mean over its pairs with the base, both directions alike; `rho` and its exact `p` are
    empty with fewer than five languages.
    """
    import pandas as pd

    from xlprobe.factors import per_language
    from xlprobe.statistics import spearman

    base = base_language(results)
    parts = []
    for metric, (_, filters) in OUTCOMES.items():
        rows = results.select(metric=metric, condition="observed", **filters)
        for name in checkpoints(rows):
            frame = _theories(rows.select(checkpoint=name), metric)
            found = per_language(frame, metric, base)
            parts.append(
                pd.DataFrame(
                    {"checkpoint": name, "metric": metric, "language": list(found), "mean": list(found.values())}
                )
            )
    table = pd.concat(parts, ignore_index=True)
    distances = _distances(results, sorted(table["language"].unique()), base)
    table["distance"] = table["language"].map(distances).astype(float)
    table["rho"], table["p"] = math.nan, math.nan
    for _, own in table.dropna(subset=["distance", "mean"]).groupby(["checkpoint", "metric"]):
        if len(own) >= TESTABLE:
            rho, p, _ = spearman(own["distance"], own["mean"])
            table.loc[own.index, ["rho", "p"]] = rho, p
    return table


def _theories(rows: Results, metric: str) -> pd.DataFrame:
    """Return means over heads and layers, as the rows of a table, so that large ones need not be read."""
    own = ["checkpoint", "context_language", "question_language", "reference", "block", "pooling", "condition"]
    frame = rows.means([*own, "group"])
    frame = frame[frame["value"].notna()].assign(metric=metric)
    if metric == "js_stability":
        # Compared with the context's own language, not with the base.
        frame = frame[frame["reference"] == frame["context_language"] + "-" + frame["context_language"]]
    return frame


def typological_distance(
    results: Results, *, checkpoint: str | None = None, metric: str | None = None, ax: Axes | None = None
) -> Figure:
    """Draw stability and accuracy of each language beside its syntactic distance to the base language (URIEL+).

    With five languages or more, Spearman's rho with its exact p value; few languages carry little.
    """
    require(_needs(results))
    table = typology_table(results)
    every = checkpoints(results.select(metric=list(OUTCOMES)))
    names = [checkpoint] if checkpoint else every
    present = [name for name in OUTCOMES if (table["metric"] == name).any()]

    def one(axes: Axes, metric: str) -> None:
        for number, name in enumerate(names):
            own = table[(table["checkpoint"] == name) & (table["metric"] == metric)]
            colour = checkpoint_colour(every, name)
            label = name
            axes.plot(own["distance"], own["mean"], "osD^v"[number % 5], color=colour, markersize=7, label=label)
            rho, p = own["rho"].iloc[0] if len(own) else math.nan, own["p"].iloc[0] if len(own) else math.nan
            if not math.isnan(rho):
                axes.text(
                    1.0, 1.0 - 0.075 * number, f"ρ = {rho:+.2f}, p = {p:.3f}".replace("-", "−"), color=colour,
                    transform=axes.transAxes, ha="right", va="top", fontsize=10.5,
                )  # fmt: skip
        tops = table[(table["metric"] == metric) & table["checkpoint"].isin(names)].groupby("language")
        for code, own in tops:
            axes.annotate(
                str(code), (own["distance"].iloc[0], own["mean"].max()), (0, 7), textcoords="offset points", ha="center"
            )
        axes.margins(0.08, 0.22)

    if ax is not None:
        one(ax, metric or present[0])
        return ax.figure  # type: ignore[return-value]
    with style():
        figure, grid = panels(1, len(present), width=5.0 * len(present) + 2.4, height=3.6, share=False)
        for axes, part in zip(grid[0], present, strict=True):
            one(axes, part)
            axes.set_title(OUTCOMES[part][0])
            axes.set_xlabel("syntactic distance to the base language (URIEL+)")
        legend(figure, grid, "checkpoint")
        rows = results.select(metric=present, condition="observed", checkpoint=names)
        count = table["language"].nunique()
        note = (
            "ρ: Spearman over languages, exact p." if count >= TESTABLE
            else f"{count} languages are too few for a rank correlation."
        )  # fmt: skip
        caption(
            figure,
            "Do distant languages transfer less?",
            f"{describe(rows, '')} One point per language: mean over its pairs with the base, both directions. {note}",
        )
    return figure


FIGURES = {
    "typological_distance": FigureSpec(
        "Typological distance",
        "Stability of attention and accuracy of each language paired with the base, beside its syntactic distance to "
        "the base.",
        _needs,
        typological_distance,
        typology_table,
    )
}

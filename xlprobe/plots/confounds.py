"""What could pass for stability: uniform attention, routing by language, and how a language is cut into tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from xlprobe.plots.estimates import estimate
from xlprobe.plots.facts import base_language, checkpoints, describe, needs_rows, require
from xlprobe.plots.figures import FigureSpec, once
from xlprobe.plots.lines import draw_series, stability_axis
from xlprobe.plots.stability import legend
from xlprobe.plots.style import caption, language_colour, panels, style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from xlprobe.results import Results

__all__ = ["FIGURES", "entropy_and_stability", "routing", "tokens_per_word"]

_CELL = {"block": "question->context", "pooling": "token"}


def _needs_entropy(results: Results) -> str | None:
    for metric in ("js_stability", "entropy"):
        if missing := needs_rows(results, f"{metric} per head", metric=metric, condition="observed", **_CELL):
            return missing
    return None


@once
def entropy_table(results: Results) -> pd.DataFrame:
    """Return mean entropy and stability of code-switched samples per checkpoint, layer and head."""
    keys = ["checkpoint", "layer", "head"]
    sides = []
    for metric in ("entropy", "js_stability"):
        rows = results.select(metric=metric, condition="observed", **_CELL)
        table = rows.means(["context_language", "question_language", "reference", *keys])
        table = table[table["context_language"] != table["question_language"]]
        own = table["context_language"] + "-" + table["context_language"]
        table = table[(table["reference"] == own) | table["reference"].isna()]
        sides.append(table.groupby(keys, as_index=False)["value"].mean().rename(columns={"value": metric}))
    return sides[0].merge(sides[1], on=keys)


def entropy_and_stability(results: Results, *, checkpoint: str | None = None, ax: Axes | None = None) -> Figure:
    """Draw stability of each head beside the normalised entropy of its attention, coloured by layer.

    A head that spreads its attention evenly is stable whatever it reads: only stability at low entropy says something.
    """
    require(_needs_entropy(results))
    table = entropy_table(results).dropna()
    rows = results.select(metric=["js_stability", "entropy"], condition="observed", **_CELL)
    names = [checkpoint] if checkpoint else checkpoints(rows)
    low = float(table["js_stability"].min())

    def one(axes: Axes, name: str) -> object:
        own = table[table["checkpoint"] == name]
        points = axes.scatter(
            own["entropy"], own["js_stability"], c=own["layer"], cmap="viridis", s=26, linewidth=0.4, edgecolor="white",
            vmin=0, vmax=table["layer"].max(),
        )  # fmt: skip
        stability_axis(axes, low)
        axes.set_xlim(-0.02, 1.02)
        return points

    if ax is not None:
        one(ax, names[0])
        return ax.figure  # type: ignore[return-value]
    with style():
        figure, grid = panels(1, len(names), width=3.7 * len(names) + 1.8, height=3.3)
        points = None
        for axes, name in zip(grid[0], names, strict=True):
            points = one(axes, name)
            axes.set_title(f"{name}: ρ = {_rho(table[table['checkpoint'] == name]):+.2f}".replace("-0", "−0"))
            axes.set_xlabel("entropy (1: uniform)")
        grid[0][0].set_ylabel("stability S")
        top = int(table["layer"].max())
        ticks = range(0, top + 1, max(1, top // 4))
        bar = figure.colorbar(points, ax=grid[0], label="layer", aspect=20, fraction=0.05, ticks=list(ticks))  # type: ignore[arg-type]
        bar.outline.set_visible(False)  # type: ignore[operator]
        bar.ax.grid(False)
        caption(
            figure,
            "Is attention stable only where it is uniform?",
            f"{describe(rows.select(checkpoint=names), '')} One point per head, question to context, across languages. "
            "ρ: Spearman over heads. The axis is spaced by the root of 1 - S.",
        )
    return figure


def _rho(own: pd.DataFrame) -> float:
    from scipy.stats import spearmanr

    if len(own) < 3 or own["entropy"].nunique() < 2 or own["js_stability"].nunique() < 2:
        return float("nan")
    return float(spearmanr(own["entropy"], own["js_stability"]).statistic)


def _needs_routing(results: Results) -> str | None:
    return needs_rows(
        results, "stability under forced routing (it takes a cross-query checkpoint)", metric="js_stability",
        condition="forced", **_CELL,
    )  # fmt: skip


@once
def routing_table(results: Results) -> pd.DataFrame:
    """Return stability of code-switched samples by layer: against Q alone (observed), against both queries (forced)."""
    rows = results.select(metric="js_stability", condition=["observed", "forced"], **_CELL)
    rows = rows.select(checkpoint=results.select(metric="js_stability", condition="forced").unique("checkpoint"))
    table = estimate(rows, ["checkpoint", "context_language", "question_language", "reference", "condition", "layer"])
    across = table["context_language"].astype(str) != table["question_language"].astype(str)
    own = table["context_language"].astype(str) + "-" + table["context_language"].astype(str)
    return table[across & (table["reference"].astype(str) == own)].reset_index(drop=True)


def routing(results: Results, *, checkpoint: str | None = None, ax: Axes | None = None) -> Figure:
    """Draw how much of a cross-query model's instability is routing: the reference read with Q alone, or with both.

    In one language such a model uses Q alone, across languages Q and Q_cross. Reading the in-language reference with
    both queries too ("forced") leaves the effect of the words; the rest comes with the second query.
    """
    require(_needs_routing(results))
    table = routing_table(results)
    rows = results.select(metric="js_stability", condition=["observed", "forced"], **_CELL)
    names = [checkpoint] if checkpoint else [name for name in checkpoints(rows) if name in set(table["checkpoint"])]
    low = float(table["mean"].min())
    codes = {"observed": ("reference with Q alone", "#555555"), "forced": ("reference with both queries", "#0072B2")}

    def one(axes: Axes, name: str) -> None:
        for condition, (label, colour) in codes.items():
            own = table[(table["checkpoint"] == name) & (table["condition"] == condition)]
            means = own.groupby("layer", as_index=False)["mean"].agg(["mean", "min", "max"])
            draw_series(axes, means.rename(columns={"min": "low", "max": "high"}), colour, label)
        stability_axis(axes, low)

    if ax is not None:
        one(ax, names[0])
        return ax.figure  # type: ignore[return-value]
    with style():
        figure, grid = panels(1, len(names), width=4.6 * len(names) + 4.4, height=3.0)
        for axes, name in zip(grid[0], names, strict=True):
            one(axes, name)
            axes.set_title(f"question to context · {name}")
            axes.set_xlabel("layer (from 0)")
        grid[0][0].set_ylabel("stability S")
        legend(figure, grid, "compared with")
        caption(
            figure,
            "How much instability is the second query itself?",
            f"{describe(rows.select(checkpoint=names), '')} Lines: mean over pairs of languages; bands: from the "
            "lowest to the highest pair.",
        )
    return figure


def _needs_tokens(results: Results) -> str | None:
    return needs_rows(results, "tokens per word", metric="tokens_per_word")


@once
def tokens_table(results: Results) -> pd.DataFrame:
    """Return how many tokens each language takes for one word of the base language, per checkpoint's tokenizer."""
    return results.select(metric="tokens_per_word").means(["checkpoint", "question_language"]).drop(columns="n")


def tokens_per_word(results: Results, *, checkpoint: str | None = None, ax: Axes | None = None) -> Figure:
    """Draw how many tokens each language takes for what the base language says in one word.

    Checkpoints whose tokenizers give the same numbers share their bars.
    """
    require(_needs_tokens(results))
    table = tokens_table(results)
    names = [checkpoint] if checkpoint else checkpoints(results.select(metric="tokens_per_word"))
    base = base_language(results)
    sets: dict[tuple[tuple[str, float], ...], list[str]] = {}
    for name in names:
        own = table[table["checkpoint"] == name].sort_values("value")
        values = tuple(
            (str(code), float(value)) for code, value in zip(own["question_language"], own["value"], strict=True)
        )
        sets.setdefault(values, []).append(name)

    def one(axes: Axes, values: tuple[tuple[str, float], ...]) -> None:
        for place, (code, value) in enumerate(values):
            axes.barh(place, value, color=language_colour(code), height=0.62)
            axes.text(value, place, f" {value:.2f}", va="center", fontsize=11)
        axes.set_yticks(range(len(values)), [code for code, _ in values])
        axes.set_xlim(0, 1.15 * max([value for _, value in values if not np.isnan(value)] or [1.0]))
        axes.grid(False, axis="y")
        axes.set_xlabel(f"tokens per word of {base}")

    if ax is not None:
        one(ax, next(iter(sets)))
        return ax.figure  # type: ignore[return-value]
    with style():
        height = 0.42 * max(len(values) for values in sets) + 0.5
        figure, grid = panels(1, len(sets), width=max(7.0, 4.6 * len(sets)), height=height, share=False)
        for axes, (values, own) in zip(grid[0], sets.items(), strict=True):
            one(axes, values)
            axes.set_title(", ".join(own), fontsize=11.5)
        datasets = ", ".join(results.select(metric="tokens_per_word").unique("dataset"))
        caption(
            figure,
            "How finely does the tokenizer cut each language?",
            f"Tokenizer of {', '.join(names)}; texts of {datasets or 'the problems'}. A language that takes more "
            "tokens spreads its attention over more of them.",
        )
    return figure


FIGURES = {
    "entropy_and_stability": FigureSpec(
        "Confound: entropy",
        "Stability of each head beside the entropy of its attention. A head that spreads its attention evenly is "
        "stable whatever it reads.",
        _needs_entropy,
        entropy_and_stability,
        entropy_table,
    ),
    "routing": FigureSpec(
        "Confound: routing",
        "A cross-query model reads one language with Q and two with both queries. The grey line compares with the "
        "former; the blue one lets both queries read the reference too, so that only the words differ.",
        _needs_routing,
        routing,
        routing_table,
    ),
    "tokens_per_word": FigureSpec(
        "Confound: tokens per word",
        "Tokens that a language takes for what the base language says in one word.",
        _needs_tokens,
        tokens_per_word,
        tokens_table,
    ),
}

"""Importance of single heads for the answer, in one language and across languages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from xlprobe.plots.facts import checkpoints, describe, needs_rows, require
from xlprobe.plots.figures import FigureSpec, once
from xlprobe.plots.stability_heads import heat_map
from xlprobe.plots.style import DIVERGING, SEQUENTIAL, caption, style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from xlprobe.results import Results

__all__ = ["FIGURES", "head_importance"]

KINDS = ("in one language", "across languages", "difference")


def _needs(results: Results) -> str | None:
    return needs_rows(results, "importance of heads", metric="head_importance")


@once
def importance_table(results: Results) -> pd.DataFrame:
    """Return mean importance per checkpoint, layer and head, in one language, across languages, and the difference."""
    import pandas as pd

    keys = ["checkpoint", "layer", "head"]
    table = results.select(metric="head_importance").means(["context_language", "question_language", *keys])
    table = table[table["layer"].notna()]
    across = table["context_language"] != table["question_language"]
    parts = [table[~across], table[across]]
    means = [part.groupby(keys, as_index=False)[["value", "n", "n_nan"]].agg(
        {"value": "mean", "n": "sum", "n_nan": "sum"}
    ) for part in parts]  # fmt: skip
    found = [part.assign(languages=kind) for part, kind in zip(means, KINDS, strict=False)]
    joined = means[0].merge(means[1], on=keys, suffixes=("_one", "_across"))
    found.append(
        joined[keys].assign(
            value=joined["value_across"] - joined["value_one"], n=joined["n_one"], n_nan=joined["n_nan_one"],
            languages=KINDS[2],
        )
    )  # fmt: skip
    return pd.concat([part for part in found if len(part)], ignore_index=True)


def head_importance(results: Results, *, checkpoint: str | None = None, ax: Axes | None = None) -> Figure:
    """Draw maps of head importance, layer by head: in one language, across languages, and their difference.

    The unit is the loss per unit of a head's strength (nats); 0: the loss does not depend on the head.
    """
    require(_needs(results))
    table = importance_table(results)
    rows = results.select(metric="head_importance")
    names = [checkpoint] if checkpoint else checkpoints(rows)
    kinds = [kind for kind in KINDS if (table["languages"] == kind).any()]
    shape = (int(table["layer"].max()) + 1, int(table["head"].max()) + 1)
    top = {name: _top(table, name) for name in names}

    def one(axes: Axes, name: str, kind: str) -> Any:
        own = table[(table["checkpoint"] == name) & (table["languages"] == kind)]
        values = np.full(shape, np.nan)
        values[own["layer"].astype(int), own["head"].astype(int)] = own["value"]
        return heat_map(axes, values, _norm(kind, top[name]), DIVERGING if kind == KINDS[2] else SEQUENTIAL)

    if ax is not None:
        one(ax, names[0], kinds[0])
        return ax.figure  # type: ignore[return-value]
    with style():
        from matplotlib.figure import Figure

        figure = Figure(figsize=(3.4 * len(kinds) + 1.2, 2.6 * len(names) + 1.4), layout="constrained")
        grid = figure.subplots(len(names), len(kinds), squeeze=False)
        for row, name in zip(grid, names, strict=True):
            images = []
            for axes, kind in zip(row, kinds, strict=True):
                images.append(one(axes, name, kind))
                axes.set_title(f"{kind} · {name}" if len(names) > 1 else kind, fontsize=11.5)
                axes.set_xlabel("head")
            row[0].set_ylabel("layer")
            plain = sum(kind != KINDS[2] for kind in kinds)
            _bar(figure, images[0], list(row[:plain]), "loss per strength")
            if plain < len(kinds):
                _bar(figure, images[-1], [row[-1]], "difference")
        caption(
            figure,
            "Which heads does the answer depend on?",
            f"{describe(rows.select(checkpoint=names), '')} Means over problems of the gradient of the loss to a "
            "head's strength, without its sign. Colours end at each checkpoint's 99th percentile.",
        )
    return figure


def _top(table: pd.DataFrame, name: str) -> tuple[float, float]:
    own = table[table["checkpoint"] == name]
    plain = own[own["languages"] != KINDS[2]]["value"].dropna()
    other = own[own["languages"] == KINDS[2]]["value"].abs().dropna()
    return tuple(float(part.quantile(0.99)) or 1e-9 if len(part) else 1.0 for part in (plain, other))  # type: ignore[return-value]


def _norm(kind: str, top: tuple[float, float]) -> Any:
    from matplotlib.colors import Normalize, TwoSlopeNorm

    return TwoSlopeNorm(0, -top[1], top[1]) if kind == KINDS[2] else Normalize(0, top[0])


def _bar(figure: Figure, image: Any, axes: list[Axes], label: str) -> None:
    bar = figure.colorbar(image, ax=axes, label=label, aspect=15, fraction=0.05, extend="max")
    bar.outline.set_visible(False)  # type: ignore[operator]
    bar.ax.grid(False)


FIGURES = {
    "head_importance": FigureSpec(
        "Head importance",
        "How much the loss depends on each head: the gradient to a factor on the head's output, without its sign, in "
        "one language, across languages, and the difference.",
        _needs,
        head_importance,
        importance_table,
    )
}

"""A map of sentence vectors in two dimensions: by language and meaning, before and after centring."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xlprobe.plots.facts import base_language, checkpoints, needs_rows, require
from xlprobe.plots.figures import FigureSpec, once
from xlprobe.plots.style import caption, language_colour, language_marker, panels, style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from xlprobe.results import Results

__all__ = ["FIGURES", "map_of_sentences"]

KINDS = {"raw": "as they are", "centred": "language means removed"}
SIZES = {"*": 45}
"""A star of the others' area looks smaller than they do."""
LINES = 24
"""So many meanings are joined by lines; more would hide the points."""


def _needs(results: Results) -> str | None:
    return needs_rows(results, "positions of sentences on a map", metric="map_x")


@once
def map_table(results: Results) -> pd.DataFrame:
    """Return x and y of every sentence per checkpoint, layer, language and kind (raw, centred)."""
    keys = ["checkpoint", "layer", "condition", "context_language", "sample"]
    sides = [results.select(metric=name).means(keys).rename(columns={"value": name[-1]}) for name in ("map_x", "map_y")]
    joined = sides[0][[*keys, "x"]].merge(sides[1][[*keys, "y"]], on=keys)
    return joined.rename(columns={"context_language": "language", "condition": "kind"})


def map_of_sentences(
    results: Results, *, checkpoint: str | None = None, kind: str = "centred", ax: Axes | None = None
) -> Figure:
    """Draw sentence vectors on their first two principal axes; thin lines join the translations of one sentence.

    Left as they are, right with each language's mean taken off. Axes have no unit and are the same in x and y.
    """
    require(_needs(results))
    table = map_table(results)
    rows = results.select(metric="map_x")
    names = [checkpoint] if checkpoint else checkpoints(rows)
    base = base_language(results)
    codes = sorted(table["language"].unique(), key=lambda code: (code != base, code))

    def one(axes: Axes, name: str, kind: str) -> None:
        own = table[(table["checkpoint"] == name) & (table["kind"] == kind)]
        for key in sorted(own["sample"].unique(), key=lambda key: (len(key), key))[:LINES]:
            part = own[own["sample"] == key]
            axes.plot(part["x"], part["y"], color="#9a9a9a", linewidth=0.5, zorder=1)
        for code in codes:
            part = own[own["language"] == code]
            marker = language_marker(code)
            axes.scatter(
                part["x"],
                part["y"],
                s=SIZES.get(marker, 20),
                color=language_colour(code),
                marker=marker,
                label=code,
                alpha=0.85,
                linewidth=0,
                zorder=2,
            )
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_aspect("equal", adjustable="datalim")

    if ax is not None:
        one(ax, names[0], kind)
        return ax.figure  # type: ignore[return-value]
    with style():
        figure, grid = panels(len(KINDS), len(names), width=3.7 * len(names) + 1.2, height=3.1, share=False)
        for row, (part, label) in zip(grid, KINDS.items(), strict=True):
            for axes, name in zip(row, names, strict=True):
                one(axes, name, part)
                axes.set_title(f"{label} · {name}" if len(names) > 1 else label, fontsize=11.5)
        handles, labels = grid[0][0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside right center", title="language", alignment="left")
        layer = ", ".join(str(int(number)) for number in sorted(table["layer"].dropna().unique()))
        caption(
            figure,
            "Do sentences lie by language or by meaning?",
            f"Checkpoint{'s' if len(names) > 1 else ''}: {', '.join(names)}. {table['sample'].nunique()} sentences in "
            f"{', '.join(codes)}, layer {layer}; first two principal axes of each panel. Lines join the translations "
            f"of {min(LINES, table['sample'].nunique())} sentences.",
        )
    return figure


FIGURES = {
    "map_of_sentences": FigureSpec(
        "Map of sentences",
        "Sentence vectors of the last layer on their first two principal axes, coloured by language; lines join "
        "translations. Above as they are, below with each language's mean removed.",
        _needs,
        map_of_sentences,
        map_table,
    )
}

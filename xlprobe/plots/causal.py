"""Causal effects on the answer: attention knocked out, heads weighed, heads patched."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from xlprobe.plots.estimates import estimate
from xlprobe.plots.facts import base_language, checkpoints, describe, needs_rows, require
from xlprobe.plots.figures import FigureSpec, once
from xlprobe.plots.lines import EDGE_COLOURS, draw_pairs, draw_series
from xlprobe.plots.stability import legend
from xlprobe.plots.style import QUIET, caption, panels, style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from xlprobe.results import Results

__all__ = ["FIGURES", "knock_out_effects", "patching_recovery"]

_PAIR = ["context_language", "question_language"]


def _needs_knock_out(results: Results) -> str | None:
    return needs_rows(results, "effect of knock-out", metric="knock_out_effect")


def _chosen(results: Results) -> Results:
    """Return effects beyond those of random edges where these were measured, else the effects themselves.

    Windows of layers and all layers at once are chosen apart, as the control of windows takes long.
    """
    rows = results.select(metric="knock_out_effect")
    parts = []
    for some in (rows.select(layer=None), rows.select(layer=rows.unique("layer"))):
        net = some.select(condition="net")
        parts.append(net if len(net) else some.select(condition="observed"))
    joined = _joined([part for part in parts if len(part)], rows)
    return rows if joined is None else joined


@once
def knock_out_table(results: Results) -> pd.DataFrame:
    """Return the mean effect per checkpoint, set of edges, window of layers (none: all), in one language or across."""
    import pandas as pd

    rows = _chosen(results)
    parts = []
    for label, switched in (("in one language", False), ("across languages", True)):
        some = [rows.select(context_language=c, question_language=q) for c, q in _pairs(rows) if (c != q) == switched]
        for part in (joined for joined in [_joined(some, rows)] if joined is not None):
            parts.append(estimate(part, ["checkpoint", "block", "layer"]).assign(languages=label))
    return pd.concat(parts, ignore_index=True)


def _pairs(rows: Results) -> list[tuple[str, str]]:
    table = rows.means(_PAIR)
    return [(str(c), str(q)) for c, q in zip(table[_PAIR[0]], table[_PAIR[1]], strict=True) if c and q]


def _joined(parts: list[Results], whole: Results) -> Results | None:
    from xlprobe.results import Results

    if not parts:
        return None
    joined = Results.concat(parts)
    joined.manifest = whole.manifest
    return joined


def knock_out_effects(results: Results, *, checkpoint: str | None = None, ax: Axes | None = None) -> Figure:
    """Draw how the gold margin changes when edges of attention are cut, by set of edges and window of layers.

    In logits; below 0 the answer needs the edges. Effects are those beyond equally many random edges where these were
    measured. Upper row: windows of layers; lower row: all layers at once. With `ax`, the windows of one checkpoint.
    """
    require(_needs_knock_out(results))
    table = knock_out_table(results)
    names = [checkpoint] if checkpoint else checkpoints(_chosen(results))
    edges = sorted(table["block"].astype(str).unique())
    kinds = [
        kind for kind, there in (("window", table["layer"].notna()), ("all", table["layer"].isna())) if there.any()
    ]
    if ax is not None:
        _effect_panel(ax, table[table["checkpoint"] == names[0]], edges, kinds[0])
        return ax.figure  # type: ignore[return-value]
    with style():
        figure, grid = panels(len(kinds), len(names), width=min(12.5, 3.6 * len(names) + 3.4), height=3.0, share=False)
        for row, kind in zip(grid, kinds, strict=True):
            for axes, name in zip(row, names, strict=True):
                _effect_panel(axes, table[table["checkpoint"] == name], edges, kind)
                what = {"window": "windows of layers", "all": "all layers at once"}[kind]
                axes.set_title(f"{what} · {name}" if len(names) > 1 else what, fontsize=11.5 if len(names) < 3 else 10)
            ends = [axes.get_ylim() for axes in row]
            for axes in row:
                axes.set_ylim(min(low for low, _ in ends), max(high for _, high in ends))
            row[0].set_ylabel("change of the gold\nmargin (logits)")
        _legend(figure, edges)
        rows = _chosen(results).select(checkpoint=names)
        net = _controlled(rows)
        caption(
            figure,
            "Which attention does the answer need?",
            f"{describe(rows)} {net}Below 0: the answer needs these edges.",
        )
    return figure


def _controlled(rows: Results) -> str:
    """Say of which effects those of random edges were taken off."""
    windows, whole = rows.select(layer=rows.unique("layer")), rows.select(layer=None)
    found = [
        what
        for part, what in ((windows, "windows of layers"), (whole, "all layers at once"))
        if "net" in part.unique("condition")
    ]
    return f"Effects of {' and of '.join(found)} are those beyond equally many random edges. " if found else ""


def _effect_panel(axes: Axes, rows: pd.DataFrame, edges: list[str], kind: str) -> None:
    axes.axhline(0, color=QUIET, linewidth=1)
    rows = rows[rows["layer"].notna()] if kind == "window" else rows[rows["layer"].isna()]
    for number, edge in enumerate(edges):
        colour = EDGE_COLOURS[number % len(EDGE_COLOURS)]
        for label, shift in (("in one language", -0.14), ("across languages", 0.14)):
            own = rows[(rows["block"] == edge) & (rows["languages"] == label)]
            if kind == "window":
                draw_series(axes, own, colour, "", switched=shift > 0)
            elif len(own):
                _bar(axes, number + shift, own.iloc[0], colour, shift > 0)
    if kind == "window":
        axes.set_xlabel("middle layer (from 0)")
        return
    # Names of edges in the legend; here their place is enough.
    axes.set_xticks(range(len(edges)), [""] * len(edges))
    axes.tick_params(axis="x", length=0)
    axes.grid(False, axis="x")


def _bar(axes: Axes, place: float, row: pd.Series, colour: str, switched: bool) -> None:
    axes.bar(place, row["mean"], width=0.25, color=colour if switched else "white", edgecolor=colour, linewidth=1.3)
    if not np.isnan(row["low"]):
        axes.plot([place, place], [row["low"], row["high"]], color="black", linewidth=1.2)


def _legend(figure: Figure, edges: list[str]) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Any] = [
        Patch(color=EDGE_COLOURS[number % len(EDGE_COLOURS)], label=edge.replace("->", " to "))
        for number, edge in enumerate(edges)
    ]
    handles += [
        Line2D([], [], color=QUIET, marker="o", label="across languages"),
        Line2D(
            [], [], color=QUIET, marker="o", markerfacecolor="white", linestyle=(0, (1, 1.5)), label="in one language"
        ),
    ]
    figure.legend(handles=handles, loc="outside right center", title="edges cut", alignment="left")


def _needs_patching(results: Results) -> str | None:
    return needs_rows(results, "recovery by patching", metric="patching_recovery")


@once
def patching_table(results: Results) -> pd.DataFrame:
    """Return mean recovery per checkpoint, pair, layer and head (none: all heads of the layer)."""
    rows = results.select(metric="patching_recovery")
    return estimate(rows, ["checkpoint", *_PAIR, "layer", "head"])


def patching_recovery(results: Results, *, checkpoint: str | None = None, ax: Axes | None = None) -> Figure:
    """Draw how much of the in-language answer comes back when heads' outputs are patched into the code-switched run.

    0: nothing, 1: all; per pair and layer (all heads of the layer at once; of single heads, the mean).
    """
    require(_needs_patching(results))
    table = patching_table(results)
    whole = table[table["head"].isna()]
    table = (
        whole
        if len(whole)
        else table.groupby(["checkpoint", *_PAIR, "layer"], as_index=False, observed=True).mean(numeric_only=True)
    )
    rows = results.select(metric="patching_recovery")
    names = [checkpoint] if checkpoint else checkpoints(rows)
    base = base_language(results)

    def one(axes: Axes, name: str) -> None:
        for level in (0, 1):
            axes.axhline(level, color=QUIET, linewidth=1)
        draw_pairs(axes, table[table["checkpoint"] == name], base)

    if ax is not None:
        one(ax, names[0])
        return ax.figure  # type: ignore[return-value]
    with style():
        figure, grid = panels(1, len(names), width=min(12.5, 3.6 * len(names) + 2.6), height=3.2)
        for axes, name in zip(grid[0], names, strict=True):
            one(axes, name)
            axes.set_title(name)
            axes.set_xlabel("layer patched (from 0)")
        grid[0][0].set_ylabel("share of the margin recovered")
        legend(figure, grid)
        caption(
            figure,
            "Where does the answer of the in-language run come back?",
            f"{describe(rows.select(checkpoint=names))} Outputs of heads at the first token and the context are taken "
            "from the run in one language. 0: nothing recovered; 1: all.",
        )
    return figure


FIGURES = {
    "knock_out_effects": FigureSpec(
        "Effect of knock-out",
        "Change of the gold logit margin when attention between two parts is cut, by set of edges and window of "
        "layers. Below 0 the answer needs these edges. Solid and filled: across languages; dotted and hollow: in one "
        "language.",
        _needs_knock_out,
        knock_out_effects,
        knock_out_table,
    ),
    "patching_recovery": FigureSpec(
        "Recovery by patching",
        "How much of the in-language answer comes back when the outputs of a layer's heads in the in-language run are "
        "put into the code-switched run. 0: nothing, 1: all.",
        _needs_patching,
        patching_recovery,
        patching_table,
    ),
}

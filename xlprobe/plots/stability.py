"""Stability and instability by layer: lines per pair of languages, with floor and chance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xlprobe.plots.estimates import estimate, instability
from xlprobe.plots.facts import base_language, checkpoints, describe, needs_rows, require
from xlprobe.plots.figures import FigureSpec, once
from xlprobe.plots.lines import control_bands, draw_pairs, stability_axis
from xlprobe.plots.style import caption, columns_of, panels, style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from xlprobe.results import Results

__all__ = ["FIGURES", "instability_by_layer", "stability_by_layer"]

BLOCKS = {
    "question->context": "question to context",
    "context->context": "within the context",
    "cls->context": "first token to context",
}
SPACED = "The axis is spaced by the Jensen-Shannon distance, the root of 1 - S."


def _needs(results: Results) -> str | None:
    return needs_rows(results, "stability of code-switched samples", metric="js_stability", pooling="token")


@once
def stability_table(results: Results, pooling: str = "token") -> pd.DataFrame:
    """Return mean stability and interval per checkpoint, pair, condition, block and layer."""
    rows = results.select(metric="js_stability", pooling=pooling, block=list(BLOCKS))
    keys = ["checkpoint", "context_language", "question_language", "reference", "condition", "block", "layer"]
    table = estimate(rows, keys)
    own = table["context_language"].astype(str) + "-" + table["context_language"].astype(str)
    return table[table["reference"].astype(str) == own].reset_index(drop=True)


def stability_by_layer(
    results: Results,
    *,
    checkpoint: str | None = None,
    block: str | None = None,
    pooling: str = "token",
    ax: Axes | None = None,
) -> Figure:
    """Draw mean Jensen-Shannon stability by layer per pair of languages, with floor and chance.

    A code-switched sample is compared with its in-language version. One column of panels per checkpoint, one row per
    block of the attention; with `ax`, one panel (by default the first checkpoint, question to context). The range is
    [0, 1], up is stable. Raises `ResultsError` without such rows.
    """
    require(needs_rows(results, "stability", metric="js_stability", pooling=pooling))
    names = [checkpoint] if checkpoint else checkpoints(results.select(metric="js_stability"))
    blocks = [block] if block else list(BLOCKS) if ax is None else ["question->context"]
    table = stability_table(results, pooling)
    table = table[table["block"].isin(blocks)]
    low = float(table["low"].fillna(table["mean"]).min())
    base = base_language(results)

    def one(axes: Axes, name: str, block: str) -> None:
        rows = table[(table["checkpoint"] == name) & (table["block"] == block)]
        control_bands(axes, _controls(rows))
        draw_pairs(axes, rows[rows["condition"] == "observed"], base)
        stability_axis(axes, low)

    if ax is not None:
        one(ax, names[0], blocks[0])
        return ax.figure  # type: ignore[return-value]
    with style():
        figure, grid = panels(len(blocks), len(names), width=columns_of(len(names))[0], height=2.9)
        for row, part in zip(grid, blocks, strict=True):
            for axes, name in zip(row, names, strict=True):
                one(axes, name, part)
                title = BLOCKS.get(part, part) + (f" · {name}" if len(names) > 1 else "")
                axes.set_title(title, fontsize=columns_of(len(names))[1])
            row[0].set_ylabel("stability S")
        for axes in grid[-1]:
            axes.set_xlabel("layer (from 0)")
        legend(figure, grid)
        rows = results.select(metric="js_stability", pooling=pooling, block=blocks, checkpoint=names)
        caption(
            figure,
            "How stable is attention when the question changes language?",
            f"{describe(rows)} Code-switched against in-language attention. {SPACED}",
        )
    return figure


def _controls(rows: pd.DataFrame) -> pd.DataFrame:
    """Average the controls over the languages of the context, so that a panel has one floor and one chance."""
    controls = rows[rows["condition"].isin(["floor", "chance"])]
    mean = controls.groupby(["condition", "layer"], observed=True, as_index=False)[["mean", "low", "high"]].mean()
    return mean


def legend(figure: Figure, grid: list[list[Axes]], title: str = "context–question") -> None:
    """Put one legend for all panels at the right."""
    seen: dict[str, Any] = {}
    for row in grid:
        for axes in row:
            for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
                seen.setdefault(label, handle)
    if seen:
        figure.legend(list(seen.values()), list(seen), loc="outside right center", title=title, alignment="left")


def instability_by_layer(
    results: Results,
    *,
    checkpoint: str | None = None,
    block: str | None = None,
    pooling: str = "token",
    ax: Axes | None = None,
) -> Figure:
    """Draw the instability index by layer per pair of languages: 0 is the floor, 1 is chance.

    Undefined where chance is not above floor. Panels as `stability_by_layer`.
    """
    require(_needs_controls(results))
    names = [checkpoint] if checkpoint else checkpoints(results.select(metric="js_stability"))
    blocks = [block] if block else list(BLOCKS) if ax is None else ["question->context"]
    base = base_language(results)
    table = instability_table(results, pooling)

    def one(axes: Axes, name: str, block: str) -> None:
        rows = table[table["block"] == block]
        for level, colour in ((0, "#7F9F7F"), (1, "#B0A8B9")):
            axes.axhline(level, color=colour, linewidth=5, alpha=0.55, label=("floor (0)", "chance (1)")[level])
        draw_pairs(axes, rows[rows["checkpoint"] == name], base)

    if ax is not None:
        one(ax, names[0], blocks[0])
        return ax.figure  # type: ignore[return-value]
    with style():
        figure, grid = panels(len(blocks), len(names), width=columns_of(len(names))[0], height=2.6)
        for row, part in zip(grid, blocks, strict=True):
            for axes, name in zip(row, names, strict=True):
                one(axes, name, part)
                title = BLOCKS.get(part, part) + (f" · {name}" if len(names) > 1 else "")
                axes.set_title(title, fontsize=columns_of(len(names))[1])
            row[0].set_ylabel("instability index")
        for axes in grid[-1]:
            axes.set_xlabel("layer (from 0)")
        legend(figure, grid)
        undefined = int(table[table["block"].isin(blocks) & table["checkpoint"].isin(names)]["mean"].isna().sum())
        note = f" Undefined (chance not above floor): {undefined} layers." if undefined else ""
        rows = results.select(metric="js_stability", pooling=pooling, block=blocks, checkpoint=names)
        caption(
            figure,
            "How much of the distance to an unrelated theory does a language border cost?",
            f"{describe(rows)} 0: as between two questions of one theory; 1: as between two theories.{note}",
        )
    return figure


def _needs_controls(results: Results) -> str | None:
    missing = needs_rows(results, "stability", metric="js_stability", pooling="token", condition="observed")
    for name in ("floor", "chance"):
        missing = missing or needs_rows(
            results, f"stability of the control {name!r}", metric="js_stability", condition=name
        )
    return missing


@once
def instability_table(results: Results, pooling: str = "token") -> pd.DataFrame:
    """Return the instability index per block, checkpoint, pair and layer."""
    import pandas as pd

    present = [name for name in BLOCKS if name in results.select(metric="js_stability").unique("block")]
    tables = [instability(results, block, pooling).assign(block=block) for block in present]
    return pd.concat(tables, ignore_index=True)


FIGURES = {
    "stability_by_layer": FigureSpec(
        "Stability by layer",
        "Jensen-Shannon stability S of attention: code-switched samples against their in-language versions, by layer. "
        "Up is stable. Grey-green: the floor, another question about the same theory; grey-violet: chance, another "
        "theory. Solid lines and filled markers: the context is in the base language; dashed and hollow: the question "
        "is.",
        _needs,
        stability_by_layer,
        stability_table,
    ),
    "instability_by_layer": FigureSpec(
        "Instability index by layer",
        "Instability index: the distance that a language border adds, as a share of the way from the floor (0) to "
        "chance (1).",
        _needs_controls,
        instability_by_layer,
        instability_table,
    ),
}

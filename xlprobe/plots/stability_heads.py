"""Stability by layer and head: a map per pair of languages, and the difference that the cross-lingual query makes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from xlprobe.plots.facts import checkpoints, contrasts, describe, needs_rows, pair_label, require, switched_pairs
from xlprobe.plots.figures import FigureSpec, once
from xlprobe.plots.heat import bare, hatch_undefined
from xlprobe.plots.lines import stability_ticks
from xlprobe.plots.style import DIVERGING, SEQUENTIAL, caption, style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from xlprobe.results import Results

__all__ = ["FIGURES", "heat_map", "stability_by_layer_and_head"]

_COLUMNS = 4


def heat_map(axes: Axes, values: np.ndarray, norm: Any, colours: str = SEQUENTIAL) -> Any:
    """Draw a (layer, head) map, layer 0 at the bottom; undefined cells are hatched. Return the image."""
    bare(axes)
    image = axes.imshow(values, origin="lower", aspect="auto", norm=norm, cmap=colours)
    hatch_undefined(axes, values)
    layers, heads = values.shape
    axes.set_xticks(range(0, heads, 1 if heads <= 6 else 3 if heads <= 12 else 5))
    axes.set_yticks(range(0, layers, 1 if layers <= 6 else 3 if layers <= 12 else 5))
    return image


def _needs(results: Results) -> str | None:
    return needs_rows(
        results, "stability per head", metric="js_stability", pooling="token", block="question->context",
        condition="observed",
    )  # fmt: skip


@once
def heads_table(results: Results, block: str = "question->context", pooling: str = "token") -> pd.DataFrame:
    """Return mean stability per checkpoint, pair, layer and head; `n_nan` values were undefined."""
    rows = results.select(metric="js_stability", block=block, pooling=pooling, condition="observed")
    table = rows.means(["checkpoint", "context_language", "question_language", "reference", "layer", "head"])
    own = table["context_language"] + "-" + table["context_language"]
    switched = table["context_language"] != table["question_language"]
    return table[switched & (table["reference"] == own)].reset_index(drop=True)


def _grid(table: pd.DataFrame, value: str, shape: tuple[int, int]) -> np.ndarray:
    values = np.full(shape, np.nan)
    values[table["layer"].astype(int), table["head"].astype(int)] = table[value]
    return values


def stability_by_layer_and_head(
    results: Results,
    *,
    checkpoint: str | None = None,
    block: str = "question->context",
    pooling: str = "token",
    pair: tuple[str, str] | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw maps of Jensen-Shannon stability, layer by head, one per pair of languages.

    With two checkpoints there are three rows: baseline, cross-query, and their difference with dots where it holds up
    (false discovery rate below .05 per pair). Undefined cells are hatched and counted. With `ax`, one map.
    """
    require(needs_rows(results, "stability per head", metric="js_stability", block=block, pooling=pooling))
    table = heads_table(results, block, pooling)
    chosen = [pair] if pair else switched_pairs(results.select(metric="js_stability", condition="observed"))
    names = [checkpoint] if checkpoint else checkpoints(results.select(metric="js_stability"))
    norm = _norm(table)
    shape = (int(table["layer"].max()) + 1, int(table["head"].max()) + 1)

    def one(axes: Axes, name: str, pair: tuple[str, str]) -> Any:
        return heat_map(axes, _grid(_of(table, name, pair), "value", shape), norm)

    if ax is not None:
        one(ax, names[0], chosen[0])
        return ax.figure  # type: ignore[return-value]
    compared = contrasts(results.select(checkpoint=names, metric="js_stability")) if checkpoint is None else []
    with style():
        figure, grid, bars = _layout(names, chosen, compared)
        image = None
        for _row, cells in enumerate(grid):
            for axes, (name, place) in cells:
                image = one(axes, name, place)
                axes.set_title(pair_label(*place) + (f" · {name}" if len(names) > 1 else ""))
                axes.set_xlabel("head")
                axes.set_ylabel("layer")
        _bar(figure, image, [axes for cells in grid for axes, _ in cells], "stability S", _ticks(norm))
        note = ""
        if bars:
            note = _differences(figure, bars, results, block, pooling, compared[0], shape)
        undefined = int(table["value"].isna().sum())
        rows = results.select(metric="js_stability", block=block, pooling=pooling, condition="observed")
        caption(
            figure,
            f"Stability of attention by layer and head ({block.replace('->', ' to ')})",
            f"{describe(rows, '')} Means over problems; colours are spaced by the root of 1 - S."
            f"{f' Hatched: {undefined} undefined cells.' if undefined else ''}{note}",
        )
    return figure


def _of(table: pd.DataFrame, name: str, pair: tuple[str, str]) -> pd.DataFrame:
    return table[
        (table["checkpoint"] == name) & (table["context_language"] == pair[0]) & (table["question_language"] == pair[1])
    ]


def _norm(table: pd.DataFrame) -> Any:
    from matplotlib.colors import FuncNorm

    known = table["value"].dropna()
    low = float(known.quantile(0.01)) if len(known) else 0.0
    low = float(np.clip(np.floor(low * 100) / 100, 0.0, 0.99))
    functions = (lambda v: -np.sqrt(np.clip(1 - np.asarray(v), 0, None)), lambda v: 1 - np.asarray(v) ** 2)
    return FuncNorm(functions, vmin=low, vmax=1.0)


def _ticks(norm: Any) -> list[float]:
    return [tick for tick in stability_ticks(norm.vmin) if tick >= norm.vmin]


def _layout(
    names: list[str], chosen: list[tuple[str, str]], compared: list[tuple[str, str]]
) -> tuple[Figure, list[Any], list[Any]]:
    """Return the figure, rows of (axes, (checkpoint, pair)), and the axes of the differences."""
    from matplotlib.figure import Figure

    # Six pairs fill two rows of three, and leave no hole.
    columns = 3 if len(chosen) in (5, 6, 9) else min(_COLUMNS, len(chosen))
    kinds = [*names, "difference"] if compared else names
    per_kind = -(-len(chosen) // columns)
    figure = Figure(figsize=(10.0, 2.3 * per_kind * len(kinds) + 1.6), layout="constrained")
    figure.set_layout_engine("constrained", w_pad=0.06, h_pad=0.06)
    axes = figure.subplots(per_kind * len(kinds), columns, squeeze=False)
    grid, bars = [], []
    for number, kind in enumerate(kinds):
        for place in range(per_kind * columns):
            cell = axes[number * per_kind + place // columns, place % columns]
            if place >= len(chosen):
                cell.set_visible(False)
            elif kind == "difference" and compared:
                bars.append((cell, chosen[place]))
            else:
                grid.append([(cell, (kind, chosen[place]))])
    return figure, grid, bars


def _bar(figure: Figure, image: Any, axes: list[Axes], label: str, ticks: list[float] | None) -> None:
    low = ticks is not None
    bar = figure.colorbar(
        image, ax=axes, label=label, ticks=ticks, aspect=30, fraction=0.04, extend="min" if low else "neither"
    )
    bar.outline.set_visible(False)
    bar.ax.grid(False)
    if low:
        bar.ax.set_yticklabels([f"{tick:.4g}" for tick in ticks or []])
        bar.minorticks_off()


def _differences(
    figure: Figure, bars: list[Any], results: Results, block: str, pooling: str, pair: tuple[str, str],
    shape: tuple[int, int],
) -> str:  # fmt: skip
    """Draw cross-query minus baseline per pair of languages, with dots where q < .05; return what to say of it."""
    from matplotlib.colors import TwoSlopeNorm

    table = difference_table(results, block, pooling, pair)
    size = float(np.nanquantile(table["estimate"].abs(), 0.99)) or 1e-3
    image: Any = None
    marked = 0
    for axes, place in bars:
        rows = table[(table["context_language"] == place[0]) & (table["question_language"] == place[1])]
        image = heat_map(axes, _grid(rows, "estimate", shape), TwoSlopeNorm(0, -size, size), DIVERGING)
        held = rows[rows["q"] < 0.05]
        axes.plot(held["head"], held["layer"], "o", color="black", markersize=3.2)
        marked += len(held)
        axes.set_title(f"{pair_label(*place)} · difference")
        axes.set_xlabel("head")
        axes.set_ylabel("layer")
    bar = figure.colorbar(image, ax=[axes for axes, _ in bars], label="difference in S", aspect=15, fraction=0.04)
    bar.outline.set_visible(False)
    bar.ax.grid(False)
    return (
        f" Difference: {pair[0]} minus {pair[1]}; dots: {marked} of {len(table)} heads with q < .05 (sign flips over "
        "theories, Benjamini-Hochberg per pair)."
    )


def difference_table(results: Results, block: str, pooling: str, pair: tuple[str, str]) -> pd.DataFrame:
    """Return the paired difference of two checkpoints per pair of languages, layer and head, with q values."""
    import pandas as pd

    found = []
    rows = results.select(metric="js_stability", block=block, pooling=pooling, condition="observed")
    for context, question in switched_pairs(rows):
        some = rows.select(context_language=context, question_language=question, reference=f"{context}-{context}")
        table = some.contrast(*pair, "js_stability", by=("layer", "head"))
        found.append(table.assign(context_language=context, question_language=question))
    return pd.concat(found, ignore_index=True)


FIGURES = {
    "stability_by_head": FigureSpec(
        "Stability by layer and head",
        "Jensen-Shannon stability of every head's attention from question to context, code-switched against "
        "in-language. Bright is stable; hatched cells are undefined.",
        _needs,
        stability_by_layer_and_head,
        heads_table,
    )
}

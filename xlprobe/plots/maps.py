"""Attention of one problem, unit by unit: in one language beside code-switched, checkpoint beside checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from xlprobe.languages import get_language
from xlprobe.plots.facts import base_language, checkpoints, needs_rows, require, switched_pairs
from xlprobe.plots.figures import FigureSpec, once
from xlprobe.plots.fonts import missing_note, visual
from xlprobe.plots.heat import bare, colour_bar
from xlprobe.plots.kept_rows import told
from xlprobe.plots.style import caption, language_colour, style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from xlprobe.results import Results

__all__ = ["FIGURES", "attention_maps", "telling_pair"]

COLOURS = "YlOrBr"
LONGEST = 30


def _needs(results: Results) -> str | None:
    if told(results) is None:
        return "the table has no kept pattern of a problem; it takes measure(..., keep_patterns) and attention_rows"
    return needs_rows(results, "kept pattern of a problem", metric="attention")


@once
def maps_table(results: Results) -> pd.DataFrame:
    """Return attention from unit to unit per checkpoint, pair and layer: mean over heads. Unit 0: special tokens."""
    keys = ["checkpoint", "sample", "context_language", "question_language", "layer", "block"]
    table = results.select(metric="attention").means(keys).drop(columns=["n", "n_nan"])
    places = table["block"].str.split("->", expand=True).astype(int)
    return table.assign(query=places[0], key=places[1]).drop(columns="block")


def attention_maps(
    results: Results,
    *,
    checkpoint: str | None = None,
    pair: tuple[str, str] | None = None,
    layer: int | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw one problem's attention between its sentences, in one language beside code-switched, per checkpoint.

    Rows ask, columns are looked at; special tokens are left out and rows divided by what is left. `layer` is the middle
    one by default, heads are averaged; `pair` is by default the pair with the base language and the farthest script.
    The texts stand at the rows, with their language's colour. With `ax`, the code-switched map of one checkpoint.
    """
    require(_needs(results))
    table = maps_table(results)
    facts = told(results) or {}
    names = [checkpoint] if checkpoint else checkpoints(results.select(metric="attention"))
    chosen = pair or telling_pair(results)
    versions = [(chosen[0], chosen[0]), chosen]
    number = int(table["layer"].max() + 1) // 2 if layer is None else layer
    found = {
        (name, version): _matrix(table, name, version, number) for name in names for version in dict.fromkeys(versions)
    }
    top = max(float(np.nanquantile(values, 0.98)) for values in found.values() if values.size)

    def one(axes: Axes, name: str, version: tuple[str, str], texts: bool) -> Any:
        return _map(axes, found[name, version], facts["texts"].get("-".join(version), []), version, top, texts)

    if ax is not None:
        one(ax, names[0], chosen, True)
        return ax.figure  # type: ignore[return-value]
    with style():
        figure, grid = _layout(len(names), max(len(values) for values in found.values()))
        image = None
        for row, name in zip(grid, names, strict=True):
            for place, (axes, version) in enumerate(zip(row, versions, strict=True)):
                image = one(axes, name, version, True)
                what = f"{version[0]} context, {version[1]} question" if place else f"all in {version[0]}"
                axes.set_title(f"{what} · {name}", fontsize=11.5)
        colour_bar(figure, image, [axes for row in grid for axes in row], "share of a row's attention")
        lines = [text for version in versions for text in facts["texts"].get("-".join(version), [])]
        note = missing_note(lines)
        caption(
            figure,
            "Where does the attention of one problem go?",
            f"Checkpoint{'s' if len(names) > 1 else ''}: {', '.join(names)}. Problem {facts.get('sample')}, layer "
            f"{number}, mean of the heads. Rows ask, columns are looked at, in the same order; Q: the question. "
            f"Special tokens are left out. One problem shows no tendency.{' ' + note if note else ''}",
        )
    return figure


def telling_pair(results: Results) -> tuple[str, str]:
    """Return the kept pair whose question is in another script, as that shows best where the border is."""
    base = base_language(results)
    pairs = switched_pairs(results.select(metric="attention"))
    if not pairs:
        return base, base
    script = get_language(base).script
    return max(pairs, key=lambda pair: (pair[0] == base, get_language(pair[1]).script != script))


def _matrix(table: pd.DataFrame, name: str, version: tuple[str, str], layer: int) -> np.ndarray:
    """Return (unit, unit) without special tokens, rows summing to 1."""
    own = table[
        (table["checkpoint"] == name)
        & (table["context_language"] == version[0])
        & (table["question_language"] == version[1])
        & (table["layer"] == layer)
        & (table["query"] > 0)
        & (table["key"] > 0)
    ]
    count = int(own["query"].max()) if len(own) else 0
    values = np.full((count, count), np.nan)
    values[own["query"] - 1, own["key"] - 1] = own["value"]
    total = values.sum(axis=1, keepdims=True)
    return np.divide(values, total, out=np.full_like(values, np.nan), where=total > 0)


def _map(
    axes: Axes, values: np.ndarray, texts: list[str], version: tuple[str, str], top: float, say: bool
) -> Any:  # fmt: skip
    bare(axes)
    image = axes.imshow(values, vmin=0, vmax=top, cmap=COLOURS, aspect="auto")
    count = len(values)
    last = count - 1
    names = [str(number + 1) for number in range(last)] + ["Q"]
    axes.set_xticks(range(count), names)
    # Marks of direction keep a right-to-left text's full stop with it, and the number beside the map.
    spoken = [f"\u200e{visual(_short(text))}{_mark(text)}" for text in texts] if say else [""] * count
    labels = [f"{text}  {name}" for text, name in zip(spoken, names, strict=False)]
    axes.set_yticks(range(count), labels, fontsize=9.5)
    for place in range(count):
        colour = language_colour(version[1] if place == last else version[0])
        for tick in (axes.get_xticklabels()[place], axes.get_yticklabels()[place]):
            tick.set_color(colour)
    axes.axhline(last - 0.5, color="black", linewidth=1)
    axes.axvline(last - 0.5, color="black", linewidth=1)
    return image


def _mark(text: str) -> str:
    import unicodedata

    return "\u200f" if any(unicodedata.bidirectional(letter) in ("R", "AL") for letter in text) else ""


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1].rstrip() + "…"


def _layout(names: int, units: int) -> tuple[Figure, list[list[Axes]]]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12.0, (0.27 * max(units, 6) + 0.9) * names + 1.5), layout="constrained")
    figure.set_layout_engine("constrained", w_pad=0.06, h_pad=0.06)
    return figure, [list(row) for row in figure.subplots(names, 2, squeeze=False)]


FIGURES = {
    "attention_maps": FigureSpec(
        "Attention maps of one problem",
        "Attention from sentence to sentence of one problem in a middle layer, heads averaged: all in one language, "
        "and with the question in another. Rows ask, columns are looked at.",
        _needs,
        attention_maps,
        maps_table,
    )
}

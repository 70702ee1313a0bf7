"""Attention of one problem, sentence by sentence: in one language, code-switched, and what the switch changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from xlprobe.errors import ResultsError
from xlprobe.languages import get_language
from xlprobe.plots import heat
from xlprobe.plots.figure import Figure, Panel, View
from xlprobe.plots.fonts import missing_note, visual
from xlprobe.plots.palette import DIVERGING, INK, language_colour
from xlprobe.plots.reading import first_run, rows_of, theories
from xlprobe.plots.scope import base_language, manifests, pairs

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawn

    from xlprobe.results import Results

__all__ = ["AttentionMaps", "mapped_problem", "telling_pair"]

COLOURS = "YlGnBu"
LONGEST = 26
ONE, SWITCHED, CHANGE = "one language", "code-switched", "change"


def mapped_problem(results: Results) -> dict[str, Any] | None:
    """Return what the manifest says of the mapped problem: sample, texts per pair, places of tokens."""
    return next((one["attention_maps"] for one in manifests(results) if "attention_maps" in one), None)


def telling_pair(results: Results) -> tuple[str, str]:
    """Return the kept pair whose question is in another script, as that shows best where the border is."""
    base = base_language(results)
    kept = [pair for pair in pairs(rows_of(theories(results), metric="attention")) if pair[0] != pair[1]]
    script = get_language(base).script
    return max(kept, key=lambda pair: (pair[0] == base, get_language(pair[1]).script != script), default=(base, base))


class AttentionMaps(Figure):
    """Draw one problem's attention between its sentences: in one language, code-switched, and the difference.

    Rows ask, columns are looked at; special tokens are left out and rows divided by what is left. `layer` is the middle
    one by default, heads are averaged; `pair` is by default one with the base language and another script. The texts
    stand at the rows in their language's colour, the question in both languages.
    """

    name = "attention_maps"
    title = "Attention maps of one problem"
    question = "Where does the attention of one problem go, and what does the switch change?"
    reading = (
        "Attention from sentence to sentence of one problem, heads averaged: all in one language, with the question in "
        "another, and the difference. Rows ask, columns are looked at, in the same order; Q: the question."
    )
    metrics = ("attention",)
    what = "kept pattern of a problem"
    choices: ClassVar[Mapping[str, Any]] = {"pair": None, "layer": None}
    share = ("all", "all")
    least_width = 1.0

    def missing(self, results: Results, options: Mapping[str, Any]) -> str | None:
        """Return why there is no problem to draw."""
        if mapped_problem(results) is None:
            return "the table has no kept pattern of a problem; it takes measure(..., keep_patterns) and attention_rows"
        return super().missing(results, options)

    def numbers(self, results: Results, options: Mapping[str, Any]) -> pd.DataFrame:
        """Return shares of a row's attention per checkpoint, version, asking and attended unit (the question last)."""
        import pandas as pd

        pair = options["pair"] or telling_pair(results)
        rows = first_run(rows_of(theories(results), metric="attention"))
        layers = sorted(rows["layer"].unique())
        layer = layers[len(layers) // 2] if options["layer"] is None else options["layer"]
        if layer not in layers:
            raise ResultsError(
                f"got layer={layer}; the kept pattern has the layers {', '.join(f'{n:.0f}' for n in layers)}"
            )
        rows = rows[rows["layer"] == layer]
        places = rows["block"].astype(str).str.split("->", expand=True).astype(int)
        rows = rows.assign(query=places[0], key=places[1])
        rows = rows[(rows["query"] > 0) & (rows["key"] > 0)]
        versions = []
        for version, (context, question) in ((ONE, (pair[0], pair[0])), (SWITCHED, pair)):
            own = rows_of(rows, context_language=context, question_language=question)
            total = own.groupby(["checkpoint", "query"], observed=True)["value"].transform("sum")
            own = own.assign(value=own["value"] / total.where(total > 0), version=version)
            versions.append(
                own[
                    ["checkpoint", "context_language", "question_language", "layer", "version", "query", "key", "value"]
                ]
            )
        keys = ["checkpoint", "query", "key"]
        both = versions[0][[*keys, "value"]].merge(versions[1], on=keys, suffixes=("_one", ""))
        change = both.assign(value=both["value"] - both["value_one"], version=CHANGE).drop(columns="value_one")
        return pd.concat([*versions, change], ignore_index=True).sort_values(
            ["checkpoint", "version", *keys[1:]], ignore_index=True
        )

    def height_of(self, view: View, panel_width: float) -> float:
        """Return the height that a row of type per sentence needs, and two for the question."""
        return 0.3 + 0.155 * max(6, int(view.table["query"].max()) + 1)

    def panels(self, view: View) -> list[list[Panel]]:
        """Return a row per checkpoint: one language, code-switched, change."""
        context, question = _pair(view)
        titles = {ONE: f"all in {context}", SWITCHED: f"question in {question}", CHANGE: "change"}
        return [
            [
                Panel(name, part, title if name == view.checkpoints[0] else "", "", name)
                for part, title in titles.items()
            ]
            for name in view.checkpoints
        ]

    def draw(self, axes: Axes, view: View, panel: Panel) -> None:
        """Draw one map; the first of a row has the texts."""
        rows = view.of(panel, version=panel.part)
        count = int(view.table["query"].max())
        values = np.full((count, count), np.nan)
        values[rows["query"] - 1, rows["key"] - 1] = rows["value"]
        change = panel.part == CHANGE
        heat.cells(axes, values, DIVERGING if change else COLOURS, _norm(view.table, change))
        axes.set_aspect("auto")
        for draw in (axes.axhline, axes.axvline):
            draw(count - 1, color=INK, linewidth=0.7, label="_border")
        names = [str(number + 1) for number in range(count - 1)] + ["Q"]
        # Many numbers would run into each other: some of them then, and the question's.
        few, some = (8, 2) if _wide(view) else (6, 4)
        step = 1 if count <= few else some if count <= 16 else 5
        shown = [
            name if (place % step == 0 and place < count - step) or name == "Q" else ""
            for place, name in enumerate(names)
        ]
        axes.set_xticks(np.arange(count) + 0.5, shown, rotation=0)
        texts = _labels(view, names)
        axes.set_yticks(np.arange(count) + 0.5, [text for text, _ in texts], rotation=0)
        for ticks in (axes.get_xticklabels(), axes.get_yticklabels()):
            ticks[-1].set_linespacing(0.9)
            for tick, (_, code) in zip(ticks, texts, strict=True):
                tick.set_color(language_colour(code))

    def finish(self, figure: Drawn, grid: Mapping[str, Axes], view: View) -> None:
        """Explain the colours of maps and of changes."""
        for change, label in ((False, "share of a row"), (True, "change of share")):
            axes = [one for key, one in grid.items() if key.endswith(CHANGE) == change]
            heat.colour_bar(figure, axes[0].collections[0], axes, label, location="bottom", shrink=0.8)

    def note(self, view: View) -> str:
        """Name the problem and the layer."""
        problem = mapped_problem(view.results) or {}
        context, question = _pair(view)
        one, two = (problem["texts"].get(f"{context}-{code}", []) for code in (context, question))
        absent = missing_note([*one, *two[-1:]])
        listing = " ".join(f"{number}: {text}" for number, text in enumerate(one[:-1], start=1))
        texts = "" if _wide(view) else f" {listing} Q: {visual(' / '.join([*one[-1:], *two[-1:]]))}"
        return (
            f"Problem {problem.get('sample')}, layer {int(view.table['layer'].iloc[0])}, mean of the heads. Rows ask, "
            "columns are looked at, in the same order; Q: the question. Special tokens are left out. Change: "
            "code-switched minus one language; strokes: below 0. One problem shows no tendency."
            f"{' ' + absent if absent else ''}{texts}"
        )


def _pair(view: View) -> tuple[str, str]:
    switch = view.table[view.table["version"] == SWITCHED].iloc[0]
    return str(switch["context_language"]), str(switch["question_language"])


def _wide(view: View) -> bool:
    """Whether there is room for the texts beside the maps."""
    return view.width >= 5


def _norm(table: pd.DataFrame, change: bool) -> Any:
    from matplotlib.colors import Normalize

    values = table[(table["version"] == CHANGE) == change]["value"].abs()
    return heat.centred(float(values.max())) if change else Normalize(0, float(values.quantile(0.98)))


def _labels(view: View, names: list[str]) -> list[tuple[str, str]]:
    """Return each row's text and language; the question in the second language too, on a line of its own."""
    texts = (mapped_problem(view.results) or {})["texts"]
    context, question = _pair(view)
    if not _wide(view):
        return [(name, context) for name in names[:-1]] + [(names[-1], question)]
    one, two = texts.get(f"{context}-{context}", []), texts.get(f"{context}-{question}", [])
    named = zip(one, names, strict=False)  # a row may have no text of its own
    labels = [(f"{_shown(text)}  {name}", context) for text, name in named]
    labels += [(name, context) for name in names[len(labels) :]]
    asked = _shown(two[-1]) if two else ""
    # An empty line above, so that the first one of two is level with its row, and the other below it.
    return [*labels[:-1], (f"\n{labels[-1][0]}\n{asked}    ", question)]


def _shown(text: str) -> str:
    """Return a text short enough, and such that right-to-left letters keep their full stop."""
    import unicodedata

    short = text if len(text) <= LONGEST else text[: LONGEST - 1].rstrip() + "…"
    right = any(unicodedata.bidirectional(letter) in ("R", "AL") for letter in text)
    # Marks of direction keep a right-to-left text's full stop with it, and the number beside the map.
    return f"\u200e{visual(short)}\u200f\u200e" if right else short

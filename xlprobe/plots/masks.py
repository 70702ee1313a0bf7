"""The masks of the two queries on one problem, token by token: which query looks at which pair."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from xlprobe.plots.attention import mapped_problem, telling_pair
from xlprobe.plots.figure import Figure, Panel, View
from xlprobe.plots.palette import QUIET, language_colour

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from xlprobe.results import Results

__all__ = ["QueryMasks"]

P_MASK = 0.7
"""Both masking probabilities of the interfering scheme in training (arXiv 2310.15258, section 4)."""

SCHEMES: dict[str, tuple[bool, float]] = {
    "one language": (True, 1.0),
    "two languages": (False, 1.0),
    "two languages, interfering": (False, P_MASK),
}
LETTERS = {".": "none", "Q": "Q", "X": "Q_cross", "B": "both"}
COLOURS = {"none": "#ffffff", "Q": "#E6C98A", "Q_cross": "#5B3A7D", "both": "#B07A9B"}
"""Light, middle and dark, so that grey tells them apart."""


class QueryMasks(Figure):
    """Draw which query may look at which pair of tokens: in one language, in two, and in two while they interfere.

    Rows ask, columns are looked at. The first token asks and is looked at with both queries. Evaluation is the scheme
    in the middle; in interfering training each query also sees the other's pairs now and then.
    """

    name = "query_masks"
    title = "Masks of the two queries"
    question = "Which query looks at which pair of tokens?"
    reading = (
        "Pairs of tokens that the query of one language (Q) and the cross-lingual query (Q_cross) may look at, for a "
        "problem in one language and in two, without and with interference. Rows ask, columns are looked at."
    )
    metrics = ("attention",)
    share = ("", "")
    least_width = 1.6

    def missing(self, results: Results, options: Mapping[str, Any]) -> str | None:
        """Return why there is no problem to show the masks of."""
        if mapped_problem(results) is None:
            return "the table has no kept pattern of a problem; it takes measure(..., keep_patterns) and attention_rows"
        return None

    def numbers(self, results: Results, options: Mapping[str, Any]) -> pd.DataFrame:
        """Return one row per scheme and asking token; `open` has one of `LETTERS` per token looked at."""
        import pandas as pd

        pair, segments = _tokens(results)
        rows = []
        for scheme, (one, probability) in SCHEMES.items():
            languages = [1 if one else 1 + segment for segment in segments]
            first, second = _masks(languages, probability)
            letters = np.array(list(LETTERS))[first.astype(int) + 2 * second.astype(int)]
            for place, segment in enumerate(segments):
                language = pair[0] if one else pair[segment]
                part = ("context", "question")[segment]
                rows.append((scheme, place, part, language, "".join(letters[place])))
        return pd.DataFrame(rows, columns=["scheme", "token", "part", "language", "open"])

    def height_of(self, view: View, panel_width: float) -> float:
        """Return the height of a square and its labels."""
        return panel_width - 0.15

    def panels(self, view: View) -> list[list[Panel]]:
        """Return one panel per scheme."""
        return [[Panel("", scheme, scheme, "looked at", "asks") for scheme in SCHEMES]]

    def draw(self, axes: Axes, view: View, panel: Panel) -> None:
        """Draw the cells of one scheme, its two parts, and their languages."""
        from matplotlib.colors import ListedColormap

        rows = view.of(panel, scheme=panel.part)
        cells = np.array([[list(LETTERS).index(letter) for letter in line] for line in rows["open"]])
        count = len(cells)
        border = int((rows["part"] == "context").sum())
        edges = {"edgecolors": "white", "linewidth": 0.25} if count <= 60 else {"rasterized": True}
        axes.pcolormesh(
            np.arange(count + 1), np.arange(count + 1), cells, cmap=ListedColormap(list(COLOURS.values())),
            vmin=-0.5, vmax=3.5, label="_masks", **edges,
        )  # fmt: skip
        axes.set_xlim(0, count)
        axes.set_ylim(count, 0)
        axes.set_aspect("equal")
        axes.grid(False)
        for line in (axes.axhline, axes.axvline):
            line(border, color=QUIET, linewidth=1, label="_border")
        middles = [border / 2, (border + count) / 2]
        languages = rows.groupby("part", sort=False)["language"].first()
        names = [f"{part}\n({language})" for part, language in languages.items()]
        axes.set_xticks(middles[: len(names)], names)
        axes.set_yticks(middles[: len(names)], names, rotation=90, va="center")
        axes.tick_params(length=0)
        for ticks in (axes.get_xticklabels(), axes.get_yticklabels()):
            for tick, language in zip(ticks, languages, strict=True):
                tick.set_color(language_colour(language))

    def handles(self, view: View) -> list[Any]:
        """Explain the colours that are there."""
        from matplotlib.patches import Patch

        names = {"Q": "Q", "X": "Q_cross", "B": "both", ".": "neither"}
        drawn = set("".join(view.table["open"]))
        return [
            Patch(facecolor=COLOURS[LETTERS[letter]], edgecolor=QUIET, linewidth=0.5, label=name)
            for letter, name in names.items()
            if letter in drawn
        ]

    def note(self, view: View) -> str:
        """Name the problem and the schemes."""
        problem = mapped_problem(view.results) or {}
        count = view.table["token"].nunique()
        return (
            f"The {count} tokens of problem {problem.get('sample')}. The first token asks, and is looked at, with both "
            "queries. Middle: evaluation and non-interfering training; right: in interfering fine-tuning each query "
            f"also sees the other's pairs with probability {1 - P_MASK:.1f}."
        )


def _tokens(results: Results) -> tuple[tuple[str, str], list[int]]:
    """Return the pair of languages, and every token's segment (0: context, 1: question), of one kept version."""
    pair = telling_pair(results)
    for places in (mapped_problem(results) or {})["tokens"].values():
        if "-".join(pair) in places:
            return pair, places["-".join(pair)]["segments"]
    return pair, []


def _masks(languages: list[int], probability: float) -> list[np.ndarray]:
    import torch

    from xlprobe.encoders.masks import language_masks

    pair = language_masks(torch.tensor([languages]), None, probability, probability, seed=torch.tensor([0]))
    return [mask[0].numpy() for mask in pair]

"""A map of sentence vectors in two dimensions: by language and meaning, before and after centring."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from xlprobe.plots.figure import Figure, Panel, View
from xlprobe.plots.palette import INK, language_colour, language_marker, marker_scale
from xlprobe.plots.reading import first_run
from xlprobe.plots.scope import language_order
from xlprobe.plots.words import counted

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from xlprobe.results import Results

__all__ = ["MapOfSentences"]

KINDS = {"raw": "as they are", "centred": "means removed"}
JOINED = 3
"""So many meanings are joined by lines; more would hide the points."""


class MapOfSentences(Figure):
    """Draw sentence vectors on their first two principal axes; black lines join the translations of a few sentences.

    Above as they are, below with each language's mean taken off. Where a sentence lies by its meaning, its translations
    are close to it and the black shapes are small. Axes have no unit and are the same in x and y.
    """

    name = "map_of_sentences"
    title = "Map of sentences"
    question = "Do sentences lie by language or by meaning?"
    reading = (
        "Sentence vectors of the last layer on their first two principal axes, coloured by language; black shapes join "
        "the translations of a few sentences. Above as they are, below with each language's mean removed."
    )
    metrics = ("map_x", "map_y")
    what = "positions of sentences on a map"
    choices: ClassVar[Mapping[str, Any]] = {"kind": None}
    appendix = True
    share = ("", "")
    panel_height = 1.9
    runs = "the first is drawn"

    def numbers(self, results: Results, options: Mapping[str, Any]) -> pd.DataFrame:
        """Return x and y of every sentence per checkpoint, layer, language and kind, and which are joined."""
        keys = ["checkpoint", "layer", "condition", "context_language", "sample"]
        sides = [
            first_run(results.select(metric=name).means([*keys, "seed"])).rename(columns={"value": name[-1]})
            for name in ("map_x", "map_y")
        ]
        table = sides[0][[*keys, "x"]].merge(sides[1][[*keys, "y"]], on=keys)
        table = table.rename(columns={"context_language": "language", "condition": "kind"})
        samples = sorted(table["sample"].unique(), key=lambda key: (len(key), key))
        joined = samples[:: max(1, len(samples) // JOINED)][:JOINED]
        table = table.assign(joined=table["sample"].isin(joined))
        return table if options["kind"] is None else table[table["kind"] == options["kind"]].reset_index(drop=True)

    def panels(self, view: View) -> list[list[Panel]]:
        """Return a row per kind of one panel per checkpoint."""
        kinds = [kind for kind in KINDS if (view.table["kind"] == kind).any()]
        return [[Panel(name, kind, f"{name}: {KINDS[kind]}") for name in view.checkpoints] for kind in kinds]

    def draw(self, axes: Axes, view: View, panel: Panel) -> None:
        """Draw points by language, and shapes that join some translations."""
        rows = view.of(panel, kind=panel.part)
        codes = language_order(view.table["language"].unique(), view.base)
        for code in codes:
            own = rows[rows["language"] == code]
            axes.plot(
                own["x"], own["y"], linestyle="none", marker=language_marker(code), color=language_colour(code),
                markersize=3 * marker_scale(language_marker(code)), alpha=0.7, markeredgewidth=0, label=code,
            )  # fmt: skip
        for sample, own in rows[rows["joined"]].groupby("sample"):
            own = own.set_index("language").loc[[code for code in codes if code in set(own["language"])]]
            around = own.iloc[[*range(len(own)), 0]]
            axes.plot(
                around["x"], around["y"], color=INK, linewidth=0.6, marker="o", markersize=1.6, label=f"_{sample}"
            )
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_aspect("equal", adjustable="datalim")

    def note(self, view: View) -> str:
        """Say what a black shape is."""
        layer = ", ".join(str(int(number)) for number in sorted(view.table["layer"].dropna().unique()))
        joined = view.table[view.table["joined"]]["sample"].nunique()
        return (
            f"{self.sample_note(view, '')} Layer {layer}; first two principal axes of each panel. Black: the "
            f"translations of {counted(joined, 'sentence')} joined; small shapes lie by meaning, wide ones by language."
        )

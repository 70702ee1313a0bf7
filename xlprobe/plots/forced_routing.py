"""How much of a cross-query model's instability is routing: the reference read with Q alone, or with both queries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import pandas as pd

from xlprobe.plots import lines
from xlprobe.plots.figure import Figure, Panel, View
from xlprobe.plots.palette import INK
from xlprobe.plots.reading import estimate, rows_of, theories
from xlprobe.plots.words import block_label
from xlprobe.statistics.pairing import own_reference, switched

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from xlprobe.results import Results

__all__ = ["Routing"]

REFERENCES: dict[str, tuple[str, dict[str, Any]]] = {
    "observed": ("reference read with Q alone", {"marker": "o", "markerfacecolor": INK, "linestyle": "-"}),
    "forced": (
        "reference read with both queries",
        {"marker": "o", "markerfacecolor": "white", "linestyle": (0, (4, 1.5))},
    ),
}


class Routing(Figure):
    """Draw stability against a reference read with Q alone, and against one read with both queries.

    In one language a cross-query model uses Q alone, across languages Q and Q_cross. Reading the in-language reference
    with both queries too ("forced") leaves the effect of the words; the rest comes with the second query. Means over
    pairs of languages, with floor and chance.
    """

    name = "routing"
    title = "Confound: routing"
    question = "How much instability is the second query itself?"
    reading = (
        "A cross-query model reads one language with Q and two with both queries. Filled: compared with the reference "
        "read as usual; hollow: both queries read the reference too, so that only the words differ."
    )
    metrics = ("js_stability",)
    what = "stability under forced routing (it takes a cross-query checkpoint)"
    choices: ClassVar[Mapping[str, Any]] = {"block": "question->context", "pooling": "token"}
    panel_height = 1.8

    def missing(self, results: Results, options: Mapping[str, Any]) -> str | None:
        """Return why there is nothing forced."""
        rows = rows_of(theories(results), metric="js_stability", condition="forced", **options)
        return None if int(rows["n"].sum()) else f"the table has no {self.what}"

    def numbers(self, results: Results, options: Mapping[str, Any]) -> pd.DataFrame:
        """Return stability per checkpoint, condition and layer, mean over pairs of languages."""
        rows = rows_of(theories(results), metric="js_stability", **options)
        rows = rows[own_reference(rows)]
        rows = rows[rows["checkpoint"].isin(rows[rows["condition"] == "forced"]["checkpoint"].unique())]
        crossed = rows[switched(rows) & rows["condition"].isin(list(REFERENCES))]
        controls = rows[~switched(rows) & rows["condition"].isin(list(lines.CONTROLS))]
        return estimate(pd.concat([crossed, controls]), ["checkpoint", "condition", "layer"])

    def panels(self, view: View) -> list[list[Panel]]:
        """Return one panel per checkpoint."""
        return [[Panel(name, "", name, "layer", "stability S") for name in view.checkpoints]]

    def draw(self, axes: Axes, view: View, panel: Panel) -> None:
        """Draw both lines over floor and chance."""
        rows = view.of(panel)
        lines.controls(axes, rows)
        for condition, (label, look) in REFERENCES.items():
            lines.line(axes, rows[rows["condition"] == condition], {"color": INK, **look}, label)
        lines.stability_axis(axes, float(view.table["low"].fillna(view.table["mean"]).min()))

    def note(self, view: View) -> str:
        """Say what the lines are means of."""
        return (
            f"Attention {block_label(view.options['block'])}, mean over the pairs of languages. "
            f"{self.sample_note(view)} Floor: another question about the same facts, in one language. The axis of S is "
            "spaced by the root of 1 − S."
        )

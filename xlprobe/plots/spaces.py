"""Similarity of two languages' spaces: debiased linear CKA of parallel sentences, layer by layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from xlprobe.plots.figure import Figure, Panel, View
from xlprobe.plots.heat import colour_bar, matrix
from xlprobe.plots.neutrality import TEXTS
from xlprobe.plots.palette import SEQUENTIAL
from xlprobe.plots.reading import rows_of, theories
from xlprobe.plots.scope import language_order

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawn

    from xlprobe.results import Results

__all__ = ["CkaMatrix"]


class CkaMatrix(Figure):
    """Draw how alike the spaces of two languages are, at the first, the middle and the last layer, or at one `layer`.

    Debiased linear CKA of parallel sentences: 0 unrelated, 1 equal up to rotation, scale and shift.
    """

    name = "cka_matrix"
    title = "Similarity of languages' spaces"
    question = "How alike are the spaces of two languages?"
    reading = (
        "Debiased linear CKA between the sentence vectors of two languages, at the embeddings, in the middle and at "
        "the end. 0: unrelated; 1: equal up to rotation, scale and shift."
    )
    metrics = ("cka",)
    runs = "mean over them"
    what = "CKA of two languages"
    choices: ClassVar[Mapping[str, Any]] = {"layer": None}
    appendix = True
    share = ("", "")

    def numbers(self, results: Results, options: Mapping[str, Any]) -> pd.DataFrame:
        """Return CKA per checkpoint, pair of languages and layer drawn."""
        rows = rows_of(theories(results), metric="cka", block=TEXTS)
        layers = sorted(rows["layer"].dropna().unique())
        drawn = {layers[0], layers[len(layers) // 2], layers[-1]} if options["layer"] is None else {options["layer"]}
        columns = ["checkpoint", "context_language", "question_language", "layer"]
        return rows[rows["layer"].isin(drawn)].groupby(columns, observed=True)["value"].mean().reset_index()

    def height_of(self, view: View, panel_width: float) -> float:
        """Return the height of a square and its labels."""
        return 0.85 * min(panel_width, 3.0)

    def panels(self, view: View) -> list[list[Panel]]:
        """Return a row per checkpoint of one panel per layer."""
        return [
            [
                Panel(name, str(int(layer)), f"{name} · {'embeddings' if layer == 0 else f'layer {layer:.0f}'}")
                for layer in sorted(view.table["layer"].unique())
            ]
            for name in view.checkpoints
        ]

    def draw(self, axes: Axes, view: View, panel: Panel) -> None:
        """Draw one matrix; it is symmetric, and 1 on its diagonal."""
        rows = view.of(panel, layer=float(panel.part))
        codes = {*view.table["context_language"], *view.table["question_language"]}
        order = language_order(map(str, codes), view.base)
        values = np.full((len(order), len(order)), np.nan)
        np.fill_diagonal(values, 1.0)
        for row in rows.itertuples():
            ends = order.index(str(row.context_language)), order.index(str(row.question_language))
            values[ends] = values[ends[::-1]] = row.value
        matrix(axes, values, order, _norm(), SEQUENTIAL, "{:.2f}")

    def finish(self, figure: Drawn, grid: Mapping[str, Axes], view: View) -> None:
        """Explain the colours."""
        axes = list(grid.values())
        colour_bar(figure, axes[0].collections[0], axes, "CKA (debiased, linear)")

    def note(self, view: View) -> str:
        """Say what 0 and 1 are, and why there is no interval."""
        return (
            f"{self.sample_note(view, '')} Mean-pooled vectors of parallel sentences. 0: unrelated; 1: equal up to "
            "rotation, scale and shift. One value per set of sentences, so without an interval."
        )


def _norm() -> Any:
    from matplotlib.colors import Normalize

    return Normalize(0, 1)

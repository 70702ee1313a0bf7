"""Language neutrality of sentence vectors by layer: retrieval of translations, and the neutrality gap."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from xlprobe.plots import lines
from xlprobe.plots.figure import Figure, Panel, View
from xlprobe.plots.reading import estimate, problems, rows_of, theories
from xlprobe.plots.scope import base_language
from xlprobe.plots.words import counted

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from xlprobe.results import Results

__all__ = ["TEXTS", "NeutralityByLayer"]

PARTS = {
    "retrieval_raw": "as they are",
    "retrieval_centred": "means removed",
    "neutrality_gap": "gap",
}
TEXTS = ("sentence", "")
"""The block of rows about sentences; those about whole problems are not drawn."""


class NeutralityByLayer(Figure):
    """Draw the share of sentences whose translation is nearest, by layer: raw, language means removed, and the gap.

    Range [0, 1], the gap [-1, 1]; layer 0 is the embeddings. A large gap means that a constant offset per language
    hides meanings that are otherwise alike (Libovicky et al. 2020). Pairs with the base language; `every_pair=True`
    draws all.
    """

    name = "neutrality_by_layer"
    title = "Language neutrality by layer"
    question = "Is the translation of a sentence the nearest sentence?"
    reading = (
        "Share of sentences whose translation is the nearest sentence of the other language, by layer: as the vectors "
        "are, after the mean of each language is taken off, and the gap between both. Dotted: chance."
    )
    metrics = tuple(PARTS)
    what = "retrieval of translations"
    choices: ClassVar[Mapping[str, Any]] = {"every_pair": False}
    panel_height = 1.15

    def numbers(self, results: Results, options: Mapping[str, Any]) -> pd.DataFrame:
        """Return retrieval and gap per checkpoint, pair and layer, with what chance gives."""
        rows = rows_of(theories(results), metric=list(PARTS), block=TEXTS)
        base = base_language(results)
        with_base = (rows["context_language"] == base) | (rows["question_language"] == base)
        if not options["every_pair"] and with_base.any():
            rows = rows[with_base]
        means = estimate(rows, ["checkpoint", "context_language", "question_language", "metric", "layer"])
        sentences = problems(results).query("metric == 'retrieval_raw'")["sample"].nunique()
        # Each half is searched by itself.
        chance = 2 / sentences if sentences else float("nan")
        return means.assign(chance=[0.0 if name == "neutrality_gap" else chance for name in means["metric"]])

    def panels(self, view: View) -> list[list[Panel]]:
        """Return a row per quantity of one panel per checkpoint."""
        quantities = [part for part in PARTS if (view.table["metric"] == part).any()]
        return [
            [Panel(name, part, "" if row else name, "layer (0: embeddings)", PARTS[part]) for name in view.checkpoints]
            for row, part in enumerate(quantities)
        ]

    def draw(self, axes: Axes, view: View, panel: Panel) -> None:
        """Draw lines of pairs beside chance."""
        rows = view.of(panel, metric=panel.part)
        gap = panel.part == "neutrality_gap"
        lines.level(axes, float(rows["chance"].iloc[0]), "" if gap else "chance")
        lines.pair_lines(axes, rows, view.base)
        if not gap:
            axes.set_ylim(0, 1.03)

    def note(self, view: View) -> str:
        """Say what chance is and which pairs are drawn."""
        chance = view.table[view.table["metric"] != "neutrality_gap"]["chance"]
        note = f"{self.sample_note(view)} Rows: share of translations retrieved first, and the gap between both."
        if len(chance):
            note += (
                f" Chance: one of {counted(round(1 / chance.iloc[0]), 'sentence')} (each half is searched by itself)."
            )
        return note if view.options["every_pair"] else f"{note} Pairs with {view.base}, both directions together."

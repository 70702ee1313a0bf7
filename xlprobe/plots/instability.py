"""The instability index by layer: the distance that a language border adds, on the way from floor to chance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from xlprobe.plots import lines
from xlprobe.plots.figure import Panel, View
from xlprobe.plots.reading import rows_of, stabilities, theories, with_runs
from xlprobe.plots.stability import StabilityByLayer
from xlprobe.plots.words import block_label
from xlprobe.statistics.pairing import switched

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from xlprobe.results import Results

__all__ = ["InstabilityByLayer"]

LOW, HIGH = -1.0, 2.0


class InstabilityByLayer(StabilityByLayer):
    """Draw the instability index by layer and pair of languages: 0 is the floor, 1 is chance.

    (d_switch - d_floor) / (d_chance - d_floor) with d = 1 - S; a ratio of means, undefined where chance is near floor.
    Below 0 a language border costs less than another question does. The axis ends at -1 and 2; what lies beyond is
    marked at its edge and counted.
    """

    name = "instability_by_layer"
    title = "Instability index by layer"
    question = "How much of the distance to an unrelated theory does a language border cost?"
    reading = (
        "Instability index: the distance that a language border adds, as a share of the way from floor (0, another "
        "question about the same facts) to chance (1, another theory). Below 0 a border costs less than another "
        "question."
    )
    panel_height = 1.7

    def missing(self, results: Results, options: Mapping[str, Any]) -> str | None:
        """Return which of observed, floor and chance is not in the table."""
        if reason := super().missing(results, options):
            return reason
        rows = rows_of(theories(results), metric="js_stability", **options)
        present = set(rows[~switched(rows) & (rows["n"] > 0)]["condition"])
        absent = [name for name in lines.CONTROLS if name not in present]
        return f"the table has no stability of the control {absent[0]!r}" if absent else None

    def numbers(self, results: Results, options: Mapping[str, Any]) -> pd.DataFrame:
        """Return the index per checkpoint, pair and layer."""
        from xlprobe.statistics import instability

        rows = stabilities(results, options["block"], options["pooling"])
        by = ["checkpoint", "context_language", "question_language", "layer"]
        return with_runs(rows, lambda some: instability(some, by))

    def panels(self, view: View) -> list[list[Panel]]:
        """Return one panel per checkpoint."""
        return [[Panel(name, "", name, "layer", "instability index") for name in view.checkpoints]]

    def draw(self, axes: Axes, view: View, panel: Panel) -> None:
        """Draw lines of pairs between floor and chance."""
        for level, name in ((0, "floor"), (1, "chance")):
            label, look = lines.CONTROLS[name]
            axes.axhline(level, zorder=1.5, label=f"{label} ({level})", **look)
        lines.pair_lines(axes, view.of(panel), view.base)
        lines.bounded(axes, view.table, LOW, HIGH)

    def note(self, view: View) -> str:
        """Say what 0 and 1 are, and count what is undefined or beyond the axis."""
        whole = view.table[view.table["seed"].isna()]
        undefined = int(whole["reason"].str.startswith("chance is").sum())
        sentence = f" Undefined where chance is near floor: {undefined} of {len(whole)}." if undefined else ""
        return (
            f"Attention {block_label(view.options['block'])}. {self.sample_note(view)} 0: as between two questions "
            f"about the same facts; 1: as between two theories.{sentence}{lines.beyond(view.table, LOW, HIGH)}"
        )

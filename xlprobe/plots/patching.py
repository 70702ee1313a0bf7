"""How much of the in-language answer comes back when heads' outputs are patched into the code-switched run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from xlprobe.plots import lines, scope
from xlprobe.plots.figure import Figure, Panel, View
from xlprobe.plots.reading import with_runs
from xlprobe.plots.words import counted

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from xlprobe.results import Results

__all__ = ["PatchingRecovery"]


class PatchingRecovery(Figure):
    """Draw how much of the gold margin comes back when a layer's heads are patched, by layer and pair of languages.

    0: nothing, 1: all of it; all heads of the layer at once (where only single heads were patched, their mean). A ratio
    of means over problems (`statistics.recoveries`), undefined where the code-switched version costs less than a logit
    on average. The axis ends at -1 and 2; what lies beyond is marked at its edge and counted.
    """

    name = "patching_recovery"
    title = "Recovery by patching"
    question = "At which layer does the answer of the in-language run come back?"
    reading = (
        "How much of the gold margin comes back when the outputs of a layer's heads in the in-language run are put "
        "into the code-switched run: the mean gain over the mean loss. 0: nothing, 1: all."
    )
    metrics = ("patching_gain", "patching_gap")
    what = "gain and gap of patching"
    panel_height = 1.7

    def missing(self, results: Results, options: Mapping[str, Any]) -> str | None:
        """Return which of gain and gap has no number."""
        reasons = (scope.needs_rows(results, f"{metric}", metric=metric) for metric in self.metrics)
        return next((reason for reason in reasons if reason), None)

    def numbers(self, results: Results, options: Mapping[str, Any]) -> pd.DataFrame:
        """Return recovery per checkpoint, pair and layer, with the number of problems and theories."""
        from xlprobe.statistics import recoveries

        rows = results.select(metric=list(self.metrics), condition="observed").lean_frame()
        by = ["checkpoint", "context_language", "question_language", "layer"]
        return with_runs(rows, lambda some: recoveries(some, by))

    def panels(self, view: View) -> list[list[Panel]]:
        """Return one panel per checkpoint, with the number of theories in its title."""
        most = view.table.groupby("checkpoint", observed=True)["n_groups"].agg(["min", "max"])
        panels = []
        for name in view.checkpoints:
            low, high = (int(end) for end in most.loc[name])
            count = counted(high, "theory", "theories") if low == high else f"{low} to {high} theories"
            size = f"n = {count}" if high else "undefined"
            panels.append(Panel(name, "", f"{name} ({size})", "layer patched", "margin recovered"))
        return [panels]

    def draw(self, axes: Axes, view: View, panel: Panel) -> None:
        """Draw lines of pairs between 0 and 1."""
        lines.level(axes, 0, "nothing (0) and all (1)")
        lines.level(axes, 1, "_all")
        lines.pair_lines(axes, view.of(panel), view.base)
        lines.bounded(axes, view.table, -1, 2)

    def note(self, view: View) -> str:
        """Say what was patched, what is undefined, and count what lies beyond the axis."""
        whole = view.table[view.table["seed"].isna()]
        undefined = int(whole["reason"].str.startswith("the mean below").sum())
        sentence = f" Undefined where less than a logit was lost: {undefined} of {len(whole)}." if undefined else ""
        return (
            f"{self.sample_note(view)} Outputs of a layer's heads at the first token and the context are taken from "
            f"the run in one language; mean gain over mean loss. 0: nothing recovered; 1: all.{sentence}"
            f"{lines.beyond(view.table, -1, 2)}"
        )

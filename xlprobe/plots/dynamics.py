"""How metrics change while a checkpoint is trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from xlprobe.plots import lines
from xlprobe.plots.figure import Figure, Panel, View
from xlprobe.plots.knock_out import ACROSS, ONE
from xlprobe.plots.palette import checkpoint_look
from xlprobe.plots.reading import estimate, floored, rows_of, theories
from xlprobe.plots.scope import checkpoints, guessing
from xlprobe.plots.stability import NO_FLOOR
from xlprobe.statistics.pairing import switched

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from xlprobe.results import Results

__all__ = ["DynamicsOverSteps"]

METRICS: dict[str, tuple[str, dict[str, str]]] = {
    "correct": ("accuracy", {}),
    "gold_margin": ("gold margin (logits)", {}),
    "js_stability": ("stability S", {"block": "question->context", "pooling": "token"}),
    "above_floor": ("S − floor", {}),
    "mass_lift": ("lift (nats)", {"block": "question->context"}),
    "retrieval_centred": ("retrieved", {}),
}
"""What is drawn over steps, where it was measured: label and rows."""


class DynamicsOverSteps(Figure):
    """Draw metrics over the optimiser steps of training: left in one language, right across languages.

    Means over pairs of languages, with 95 % intervals over theories; `metric` draws one of them.
    """

    name = "dynamics_over_steps"
    title = "Dynamics of training"
    question = "What changes while a checkpoint is trained?"
    reading = (
        "Metrics over the steps of training on a fixed set of problems, in one language and across languages; means "
        "over the pairs of languages. Stability is drawn as measured and with the floor taken off."
    )
    metrics = tuple(name for name in METRICS if name != "above_floor")
    what = "metric of the dynamics"
    choices: ClassVar[Mapping[str, Any]] = {"metric": None}
    over_steps = True
    panel_height = 1.2
    least_width = 1.6

    def missing(self, results: Results, options: Mapping[str, Any]) -> str | None:
        """Return why nothing can be drawn over steps."""
        if theories(results)["step"].nunique() < 2:
            return "the table holds no or one step of training; measure at several with xlprobe.training.Dynamics"
        return super().missing(results, options)

    def numbers(self, results: Results, options: Mapping[str, Any]) -> pd.DataFrame:
        """Return mean and interval per metric, checkpoint and step, in one language and across languages."""
        import pandas as pd

        every = theories(results)
        every = every[every["step"].notna()]
        estimates = []
        for metric, (_, filters) in METRICS.items():
            if options["metric"] not in (None, metric):
                continue
            if metric == "above_floor":
                rows = floored(results, *METRICS["js_stability"][1].values())
                rows = rows[(rows["condition"] == "observed") & rows["step"].notna()]
            else:
                rows = rows_of(every, metric=metric, condition="observed", **filters)
            for languages, own in ((ONE, rows[~switched(rows)]), (ACROSS, rows[switched(rows)])):
                # In one language stability is that of the whole problem's language, which is another question.
                if len(own) and own["step"].nunique() > 1 and not (metric == "js_stability" and languages == ONE):
                    estimates.append(estimate(own, ["checkpoint", "step"]).assign(quantity=metric, languages=languages))
        return pd.concat(estimates, ignore_index=True)

    def panels(self, view: View) -> list[list[Panel]]:
        """Return a row per metric: in one language, and across languages."""
        panels = []
        for metric, (label, _) in METRICS.items():
            own = view.table[view.table["quantity"] == metric]
            row = [
                Panel("", f"{metric}|{languages}", languages, "optimiser step", label)
                for languages in (ONE, ACROSS) if (own["languages"] == languages).any()
            ]  # fmt: skip
            if row:
                panels.append(row)
        return panels

    def draw(self, axes: Axes, view: View, panel: Panel) -> None:
        """Draw one line per checkpoint."""
        metric, languages = panel.part.split("|")
        rows = view.of(panel, quantity=metric, languages=languages)
        if metric in ("above_floor", "mass_lift", "gold_margin"):
            lines.level(axes, 0)
        elif metric == "correct":
            lines.level(axes, guessing(view.results, view.checkpoints), "guessing")
        names = checkpoints(view.results)
        for name in view.checkpoints:
            own = rows[rows["checkpoint"] == name]
            if len(own):
                lines.line(axes, own, checkpoint_look(names, name), name, x="step")
        lines.whole_ticks(axes)

    def note(self, view: View) -> str:
        """Say what a line is the mean of, and whether a floor was measured."""
        shown = set(view.table["quantity"])
        note = f"{self.sample_note(view)} Lines: mean over pairs of languages, on the same problems at every step."
        if "above_floor" in shown:
            note += " S − floor: floor (another question about the same facts, in one language) taken off by problem."
        return f"{note} {NO_FLOOR.strip()}" if "js_stability" in shown and "above_floor" not in shown else note

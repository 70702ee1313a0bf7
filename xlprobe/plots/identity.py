"""How plainly a sentence vector shows its language, layer by layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from xlprobe.plots import lines
from xlprobe.plots.figure import Figure, Panel, View
from xlprobe.plots.neutrality import TEXTS
from xlprobe.plots.palette import checkpoint_look
from xlprobe.plots.reading import estimate, rows_of, theories
from xlprobe.plots.scope import checkpoints

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from xlprobe.results import Results

__all__ = ["LanguageIdentity"]

PANELS = {
    "language_probe_accuracy": ("probe", "share right"),
    "language_probe_selectivity": ("probe − control", "share"),
    "language_eta_squared": ("between languages", "share of variance"),
    "language_mdl_bits": ("code length", "bits"),
}
CONTROL = "language_probe_control"


class LanguageIdentity(Figure):
    """Draw by layer how plainly a sentence vector shows its language: probe and control, variance, code length.

    Control: the same probe on random labels of sentences. A short description of the language is one that shows
    plainly. `metric` draws one of the four.
    """

    name = "language_identity"
    title = "Language identity by layer"
    question = "How plainly does a sentence vector show its language?"
    reading = (
        "How well a linear probe tells a sentence's language, and its selectivity over a control task; the share of "
        "the variance between languages; the description length of the language (fewer bits: plainer to see)."
    )
    metrics = (*PANELS, CONTROL)
    what = "probe of the language"
    choices: ClassVar[Mapping[str, Any]] = {"metric": None}
    appendix = True
    share = ("all", "")
    panel_height = 1.65
    least_width = 1.65

    def numbers(self, results: Results, options: Mapping[str, Any]) -> pd.DataFrame:
        """Return accuracy, control, selectivity, variance and description length by checkpoint and layer."""
        wanted = list(self.metrics) if options["metric"] is None else [options["metric"], CONTROL]
        rows = rows_of(theories(results), metric=wanted, block=TEXTS)
        return estimate(rows[rows["layer"].notna()], ["checkpoint", "metric", "layer"])

    def panels(self, view: View) -> list[list[Panel]]:
        """Return one panel per quantity."""
        metrics = [metric for metric in PANELS if (view.table["metric"] == metric).any()]
        return [[Panel("", metric, PANELS[metric][0], "layer", PANELS[metric][1]) for metric in metrics]]

    def draw(self, axes: Axes, view: View, panel: Panel) -> None:
        """Draw one line per checkpoint, and thin dotted ones for the control task."""
        names = checkpoints(view.results)
        for name in view.checkpoints:
            look = checkpoint_look(names, name)
            own = view.table[view.table["checkpoint"] == name]
            lines.line(axes, own[own["metric"] == panel.part], look, name)
            if panel.part == "language_probe_accuracy":
                thin = {"color": look["color"], "linestyle": (0, (1, 1)), "linewidth": 0.8}
                lines.line(axes, own[own["metric"] == CONTROL], thin, f"_control {name}")
        if panel.part == "language_probe_accuracy":
            axes.set_ylim(0, 1.04)
        elif panel.part == "language_probe_selectivity":
            lines.level(axes, 0)

    def note(self, view: View) -> str:
        """Say what the control is, and why there is no interval."""
        return (
            f"{self.sample_note(view, '')} Layer 0: embeddings. Code length: bits to tell the language. Thin dotted: "
            "the same probe on random labels of sentences (control); both on held-out sentences. One value per set of "
            "sentences, so without an interval."
        )

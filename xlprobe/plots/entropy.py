"""Whether attention is stable only where it is uniform: stability of each head beside its entropy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from xlprobe.plots.figure import Figure, Panel, View
from xlprobe.plots.heat import colour_bar
from xlprobe.plots.lines import stability_axis
from xlprobe.plots.reading import heads
from xlprobe.plots.words import block_label, signed
from xlprobe.statistics.pairing import own_reference, switched

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawn

    from xlprobe.results import Results

__all__ = ["EntropyAndStability"]


class EntropyAndStability(Figure):
    """Draw stability of each head beside the normalised entropy of its attention, coloured by layer.

    A head that spreads its attention evenly is stable whatever it reads: only stability at low entropy says something.
    """

    name = "entropy_and_stability"
    title = "Confound: entropy"
    question = "Is attention stable only where it is uniform?"
    reading = (
        "Stability of each head beside the entropy of its attention. A head that spreads its attention evenly is "
        "stable whatever it reads."
    )
    metrics = ("js_stability", "entropy")
    choices: ClassVar[Mapping[str, Any]] = {"block": "question->context", "pooling": "token"}
    share = ("all", "all")
    panel_height = 1.8
    runs = "mean over them"

    def missing(self, results: Results, options: Mapping[str, Any]) -> str | None:
        """Return which of the two metrics has no head."""
        for metric in self.metrics:
            if _means(results, metric, options).empty:
                return f"the table has no {metric} per head"
        return None

    def numbers(self, results: Results, options: Mapping[str, Any]) -> pd.DataFrame:
        """Return entropy and stability of code-switched versions per checkpoint, layer and head, and their rho."""
        sides = [_means(results, metric, options) for metric in ("entropy", "js_stability")]
        table = sides[0].merge(sides[1], on=["checkpoint", "layer", "head"])
        rho = {name: _rho(own) for name, own in table.groupby("checkpoint", observed=True)}
        return table.assign(rho=table["checkpoint"].map(rho).astype(float))

    def panels(self, view: View) -> list[list[Panel]]:
        """Return one panel per checkpoint, with the rank correlation in its title."""
        rho = view.table.groupby("checkpoint", observed=True)["rho"].first()
        return [
            [
                Panel(name, "", f"{name}: ρ = {signed([rho[name]])[0]}", "entropy (1: uniform)", "stability S")
                for name in view.checkpoints
            ]
        ]

    def draw(self, axes: Axes, view: View, panel: Panel) -> None:
        """Draw one point per head."""
        rows = view.of(panel)
        axes.scatter(
            rows["entropy"], rows["js_stability"], c=rows["layer"], cmap="viridis", s=9, linewidth=0.2,
            edgecolor="white", vmin=0, vmax=view.table["layer"].max(), label="_heads",
        )  # fmt: skip
        stability_axis(axes, float(view.table["js_stability"].min()))
        axes.set_xlim(-0.02, 1.02)

    def finish(self, figure: Drawn, grid: Mapping[str, Axes], view: View) -> None:
        """Explain the colours."""
        axes = list(grid.values())
        top = int(view.table["layer"].max())
        colour_bar(figure, axes[0].collections[0], axes, "layer", ticks=list(range(0, top + 1, max(1, top // 4))))

    def note(self, view: View) -> str:
        """Say what a point is."""
        return (
            f"{self.sample_note(view, '')} One point per head: attention {block_label(view.options['block'])}, mean "
            "across languages. ρ: Spearman over heads. The axis of S is spaced by the root of 1 − S."
        )


def _means(results: Results, metric: str, options: Mapping[str, Any]) -> pd.DataFrame:
    rows = heads(results, metric, options["block"], options["pooling"])
    rows = rows[switched(rows) & (rows["condition"] == "observed")]
    rows = rows[own_reference(rows) | rows["reference"].isna()]
    means = rows.groupby(["checkpoint", "layer", "head"], observed=True)["value"].mean().dropna()
    return means.rename(metric).reset_index()


def _rho(own: pd.DataFrame) -> float:
    from scipy.stats import spearmanr

    if len(own) < 3 or own["entropy"].nunique() < 2 or own["js_stability"].nunique() < 2:
        return float("nan")
    return float(spearmanr(own["entropy"], own["js_stability"]).statistic)

"""Importance of single heads for the answer, in one language and across languages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from xlprobe.plots import heat
from xlprobe.plots.figure import Figure, Panel, View
from xlprobe.plots.knock_out import ACROSS, ONE
from xlprobe.plots.reading import heads
from xlprobe.statistics.pairing import switched

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawn

    from xlprobe.results import Results

__all__ = ["HeadImportance"]

MOST = 5


class HeadImportance(Figure):
    """Draw which heads the answer depends on, layer by head: each head's share of the map's importance, in percent.

    Importance is the loss per unit of a head's strength (Michel et al. 2019); it differs by orders of magnitude between
    one language and two, so each map is divided by its sum, which stands in its title (nats). Rings: the five largest.
    """

    name = "head_importance"
    title = "Importance of heads"
    question = "Which heads does the answer depend on?"
    reading = (
        "Each head's share of all heads' importance (the gradient of the loss to a head's strength, without its sign), "
        "in one language and across. The sum stands above each map; rings: the five most important heads."
    )
    metrics = ("head_importance",)
    what = "importance of heads"
    share = ("all", "part")
    panel_height = 1.6
    runs = "mean over them"

    def numbers(self, results: Results, options: Mapping[str, Any]) -> pd.DataFrame:
        """Return importance per checkpoint, layer and head, in one language and across, with shares and ranks."""
        rows = heads(results, "head_importance", "", "")
        rows = rows[rows["layer"].notna() & rows["head"].notna()]
        rows = rows.assign(languages=np.where(switched(rows), ACROSS, ONE))
        cells = rows.groupby(["checkpoint", "languages", "layer", "head"], observed=True)
        means = cells.agg(value=("value", "mean"), n_groups=("group", "nunique")).reset_index()
        grouped = means.groupby(["checkpoint", "languages"], observed=True)["value"]
        total = grouped.transform("sum", min_count=1)
        return means.assign(
            total=total,
            share=100 * means["value"] / total.where(total > 0),
            rank=grouped.rank(ascending=False, method="first"),
        )

    def panels(self, view: View) -> list[list[Panel]]:
        """Return a row in one language and a row across, one panel per checkpoint."""
        panels = []
        for part in (ONE, ACROSS):
            rows = view.table[view.table["languages"] == part]
            totals = rows.groupby("checkpoint", observed=True)["total"].first()
            row = [
                Panel(name, part, f"{name} ({_sum(totals[name])})", "head", f"{part}\nlayer")
                for name in view.checkpoints if name in totals.index
            ]  # fmt: skip
            if row:
                panels.append(row)
        return panels

    def draw(self, axes: Axes, view: View, panel: Panel) -> None:
        """Draw one map of shares, with rings around the largest."""
        rows = view.of(panel, languages=panel.part)
        heat.map_of(axes, view, rows, "share", _norm(view.table), "cividis")
        most = rows[(rows["rank"] <= MOST) & (rows["value"] > 0)]
        heat.rings(axes, most["head"], most["layer"])

    def finish(self, figure: Drawn, grid: Mapping[str, Axes], view: View) -> None:
        """Explain the colours."""
        axes = list(grid.values())
        heat.colour_bar(figure, axes[0].collections[0], axes, "share of importance (%)", extend="max")

    def note(self, view: View) -> str:
        """Say what importance is."""
        return (
            f"{self.sample_note(view, '')} Importance: gradient of the loss to a head's strength, without its sign; "
            f"its sum over heads stands above each map (nats). Rings: the {MOST} largest. Colours end at the "
            "99th percentile."
        )


def _sum(total: float) -> str:
    return f"sum {total:.2g}" if total == total else "undefined"


def _norm(table: pd.DataFrame) -> Any:
    from matplotlib.colors import PowerNorm

    top = float(table["share"].quantile(0.99))
    return PowerNorm(0.5, vmin=0, vmax=top if top > 0 else 1.0)

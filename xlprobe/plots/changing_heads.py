"""The heads whose stability changes most from the baseline to the cross-lingual query, and for which pair."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from xlprobe.plots import lines
from xlprobe.plots.figure import Panel, View
from xlprobe.plots.palette import MARK
from xlprobe.plots.reading import change_of_heads
from xlprobe.plots.scope import contrasts
from xlprobe.plots.stability_maps import StabilityByHead, crossing_rows
from xlprobe.plots.words import block_label, pair_label

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from xlprobe.results import Results

__all__ = ["HeadsThatChange"]


class HeadsThatChange(StabilityByHead):
    """Draw the heads whose stability above floor changes most from the baseline to a cross-query checkpoint.

    One row per head and pair of languages, the `most` changed first, with 95 % intervals over theories; dots where the
    change holds up among all heads and pairs (q < .05).
    """

    name = "heads_that_change"
    title = "Heads that change most"
    question = "Which heads change most with the cross-lingual query, and for which pair?"
    reading = (
        "Change of stability above floor from baseline to cross-query, the most changed heads first, each for one pair "
        "of languages. Dots: the change holds up among all heads and pairs (q < .05)."
    )
    choices: ClassVar[Mapping[str, Any]] = {"block": "question->context", "pooling": "token", "pair": None, "most": 15}
    share = ("all", "")
    least_width = 2.6

    def missing(self, results: Results, options: Mapping[str, Any]) -> str | None:
        """Return why no two checkpoints can be compared head by head."""
        if reason := super().missing(results, options):
            return reason
        return None if self._compared(results, options) else "it takes two checkpoints measured on the same problems"

    def _compared(self, results: Results, options: Mapping[str, Any]) -> list[tuple[str, str]]:
        present = set(crossing_rows(results, options)[0]["checkpoint"].unique())
        return [pair for pair in contrasts(results) if set(pair) <= present]

    def numbers(self, results: Results, options: Mapping[str, Any]) -> pd.DataFrame:
        """Return the most changed heads of each comparison, with intervals and q over all heads and pairs."""
        import pandas as pd

        raw, above = crossing_rows(results, options)
        by = ["context_language", "question_language", "layer", "head"]
        parts = []
        for crossed, base in self._compared(results, options):
            found = change_of_heads(above if len(above) else raw, crossed, base, by)
            order = found["mean"].abs().sort_values(ascending=False, kind="stable").index
            chosen = found.loc[order].head(options["most"]).assign(rank=np.arange(min(options["most"], len(found))))
            parts.append(chosen.assign(checkpoint=crossed, other=base, tests=len(found)))
        return pd.concat(parts, ignore_index=True)

    def height_of(self, view: View, panel_width: float) -> float:
        """Return the height that so many rows need."""
        return 0.45 + 0.14 * (int(view.table["rank"].max()) + 1)

    def panels(self, view: View) -> list[list[Panel]]:
        """Return one panel per comparison."""
        others = view.table.groupby("checkpoint", observed=True)["other"].first()
        return [[Panel(name, "", f"{name} − {others[name]}", "change of S − floor", "") for name in view.checkpoints]]

    def draw(self, axes: Axes, view: View, panel: Panel) -> None:
        """Draw a point with its interval per head, in the look of its pair, and dots at the right."""
        rows = view.of(panel)
        lines.level(axes, 0, vertical=True)
        for row in rows.itertuples():
            pair = (str(row.context_language), str(row.question_language))
            look = lines.pair_look(pair, view.base) | {"linestyle": "none"}
            axes.plot([row.low, row.high], [row.rank, row.rank], color=look["color"], linewidth=1, label="_interval")
            axes.plot([row.mean], [row.rank], label=pair_label(*pair), **look)
        held = rows[rows["q"] < 0.05]
        if len(held):
            axes.plot(
                np.full(len(held), 1.02), held["rank"], "o", color=MARK, markersize=2.6, clip_on=False, label="q < .05",
                transform=axes.get_yaxis_transform(),
            )  # fmt: skip
        names = [f"layer {row.layer:.0f}, head {row.head:.0f}" for row in rows.itertuples()]
        axes.set_yticks(rows["rank"], names)
        axes.set_ylim(len(rows) - 0.4, -0.6)

    def note(self, view: View) -> str:
        """Say what was taken off, over how many tests q is, and what a dot is."""
        tests, most = int(view.table["tests"].iloc[0]), int(view.table["rank"].max()) + 1
        return (
            f"Attention {block_label(view.options['block'])}. {self.facts(view, 'Whiskers')} The {most} largest of "
            f"{tests:,} changes (heads times pairs), floor taken off, paired by theory. Dots: q < .05 among all of "
            "them."
        )

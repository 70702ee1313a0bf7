"""The heads whose stability changes most from the baseline to the cross-lingual query, and for which pair."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from xlprobe.plots import lines
from xlprobe.plots.figure import Panel, View
from xlprobe.plots.palette import MARK
from xlprobe.plots.stability_maps import CHANGE_OF, StabilityByHead, changes
from xlprobe.plots.words import block_label, pair_label

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from xlprobe.results import Results

__all__ = ["HeadsThatChange"]


class HeadsThatChange(StabilityByHead):
    """Draw the heads whose stability above floor changes most from the baseline to a cross-query checkpoint.

    One row per head and pair of languages, the `most` changed first, with 95 % intervals over theories, of
    `statistics.heads_that_change`: paired by problem, floor taken off where one was measured. Dots where the
    change may be claimed among all heads and pairs (q < .05, and the interval excludes 0).
    """

    name = "heads_that_change"
    title = "Heads that change most"
    question = "Which heads change most with the cross-lingual query, and for which pair?"
    reading = (
        "Change of stability above floor from baseline to cross-query, the most changed heads first, each for one pair "
        "of languages. Dots: q < .05 among all heads and pairs, and an interval without 0."
    )
    choices: ClassVar[Mapping[str, Any]] = {"block": "question->context", "pooling": "token", "pair": None, "most": 15}
    share = ("all", "")
    least_width = 2.6

    def missing(self, results: Results, options: Mapping[str, Any]) -> str | None:
        """Return why no two checkpoints can be compared head by head."""
        if reason := super().missing(results, options):
            return reason
        tables = self._changes(results, options)
        if any(one["mean"].notna().any() for one in tables):
            return None
        return "every change is undefined" if tables else "it takes two checkpoints measured on the same problems"

    def _changes(self, results: Results, options: Mapping[str, Any]) -> tuple[pd.DataFrame, ...]:
        return changes(
            results, options["block"], options["pooling"], options["pair"],
            ("context_language", "question_language", "layer", "head"),
        )  # fmt: skip

    def numbers(self, results: Results, options: Mapping[str, Any]) -> pd.DataFrame:
        """Return the most changed heads of each comparison, with intervals and q over all heads and pairs."""
        import pandas as pd

        most = options["most"]
        tables = [
            table.head(most).assign(rank=np.arange(min(most, len(table))), tests=len(table))
            for table in self._changes(results, options)
        ]
        return pd.concat(tables, ignore_index=True)

    def height_of(self, view: View, panel_width: float) -> float:
        """Return the height that so many rows need."""
        return 0.45 + 0.14 * (int(view.table["rank"].max()) + 1)

    def panels(self, view: View) -> list[list[Panel]]:
        """Return one panel per comparison."""
        others = view.table.groupby("checkpoint", observed=True)["other"].first()
        what = CHANGE_OF["raw" in view.table]
        return [[Panel(name, "", f"{name} − {others[name]}", what, "") for name in view.checkpoints]]

    def draw(self, axes: Axes, view: View, panel: Panel) -> None:
        """Draw a point with its interval per head, in the look of its pair, and dots at the right."""
        rows = view.of(panel)
        lines.level(axes, 0, vertical=True)
        for row in rows.itertuples():
            pair = (str(row.context_language), str(row.question_language))
            look = lines.pair_look(pair, view.base) | {"linestyle": "none"}
            axes.plot([row.low, row.high], [row.rank, row.rank], color=look["color"], linewidth=1, label="_interval")
            axes.plot([row.mean], [row.rank], label=pair_label(*pair), **look)
        held = rows[rows["held"]]
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
        paired = "floor taken off, paired by problem" if "raw" in view.table else "no floor was measured"
        tests, most = int(view.table["tests"].iloc[0]), int(view.table["rank"].max()) + 1
        return (
            f"Attention {block_label(view.options['block'])}. {self.sample_note(view, 'Whiskers')} The {most} largest "
            f"of {tests:,} changes (heads times pairs), {paired}. Dots: q < .05 among all of them, and the interval "
            "excludes 0."
        )

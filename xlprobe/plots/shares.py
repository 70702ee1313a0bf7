"""How the two queries share the attention of a cross-query checkpoint, by layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from xlprobe.plots import lines
from xlprobe.plots.figure import Figure, Panel, View
from xlprobe.plots.reading import estimate, rows_of, theories
from xlprobe.plots.words import BLOCKS, block_label
from xlprobe.statistics.pairing import switched

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from xlprobe.results import Results

__all__ = ["QueryShares"]


class QueryShares(Figure):
    """Draw which part of a block's attention comes from Q_cross, by layer and pair of languages; the rest is Q's.

    Range [0, 1]; code-switched versions only, as in one language Q does all. Blocks where the masks fix the share are
    named in the note; only those where it was free are drawn.
    """

    name = "query_shares"
    title = "Shares of Q and Q_cross"
    question = "Which query does the first token look with?"
    reading = (
        "Part of the attention mass that comes from the cross-lingual query, by layer; the rest comes from the query "
        "of one language. Only blocks where the masks leave the share free are drawn: without interference, those of "
        "the first token. Code-switched versions only."
    )
    metrics = ("share_cross",)
    what = "share of Q_cross (it takes a cross-query checkpoint)"
    panel_height = 1.6

    def missing(self, results: Results, options: Mapping[str, Any]) -> str | None:
        """Return why there is no share of a code-switched version."""
        return None if len(self._rows(results)) else f"the table has no {self.what} of code-switched versions"

    def _rows(self, results: Results) -> pd.DataFrame:
        rows = rows_of(theories(results), metric="share_cross", condition="observed", block=list(BLOCKS))
        return rows[switched(rows) & (rows["n"] > 0)]

    def numbers(self, results: Results, options: Mapping[str, Any]) -> pd.DataFrame:
        """Return the share of Q_cross per checkpoint, pair, block and layer."""
        return estimate(self._rows(results), ["checkpoint", "context_language", "question_language", "block", "layer"])

    def panels(self, view: View) -> list[list[Panel]]:
        """Return one row per checkpoint, of the blocks whose share is not fixed by the masks."""
        free = [block for block in BLOCKS if block in _shares(view.table) and _shares(view.table)[block] is None]
        several = len(view.checkpoints) > 1
        return [
            [
                Panel(
                    name, block, f"{block_label(block)}{f' · {name}' if several else ''}", "layer", "share of Q_cross"
                )
                for name in view.checkpoints
                for block in free or list(_shares(view.table))[:1]
            ]
        ]

    def draw(self, axes: Axes, view: View, panel: Panel) -> None:
        """Draw lines of pairs beside the half."""
        lines.level(axes, 0.5, "both alike")
        lines.pair_lines(axes, view.of(panel, block=panel.part), view.base)
        axes.set_ylim(-0.03, 1.03)

    def note(self, view: View) -> str:
        """Name the shares that the masks fix."""
        fixed = [
            f"{block_label(block)} {share:.0f}" for block, share in _shares(view.table).items() if share is not None
        ]
        note = f"{self.sample_note(view)} 1: all from the cross-lingual query; 0: all from the query of one language."
        return f"{note} Fixed by the masks, so not drawn: {', '.join(fixed)}." if fixed else note


def _shares(table: pd.DataFrame) -> dict[str, float | None]:
    """Return each block's share where it is 0 or 1 everywhere, and None where it is not."""
    shares: dict[str, float | None] = {}
    for block, own in table.groupby("block", observed=True)["mean"]:
        whole = own.min() == own.max() and own.min() in (0, 1)
        shares[str(block)] = float(own.min()) if whole else None
    return shares

"""Effects of cutting attention on the answer, by set of edges: all layers at once, and windows of layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from xlprobe.plots import lines
from xlprobe.plots.figure import Figure, Panel, View
from xlprobe.plots.palette import QUIET, edge_colour
from xlprobe.plots.reading import estimate, rows_of, theories
from xlprobe.plots.words import BLOCKS, block_label
from xlprobe.statistics.pairing import switched

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from xlprobe.results import Results

__all__ = ["KnockOutEffects"]

WHOLE, WINDOWS = "all layers", "windows of layers"
ONE, ACROSS = "in one language", "across languages"


class KnockOutEffects(Figure):
    """Draw how the gold margin changes when edges of the attention are cut: in all layers, and by window of layers.

    In logits; below 0 the answer needs the edges. Effects beyond those of equally many random edges where these were
    measured. Filled and solid: across languages; hollow and dotted: in one language.
    """

    name = "knock_out_effects"
    title = "Effect of knock-out"
    question = "Which attention does the answer need?"
    reading = (
        "Change of the gold margin when the attention between two parts is cut, in all layers at once (bars) and in "
        "windows of layers (lines). Below 0 the answer needs these edges. Filled and solid: across languages; hollow "
        "and dotted: in one language."
    )
    metrics = ("knock_out_effect",)
    what = "effect of knock-out"
    share = ("part", "part")
    panel_height = 1.45
    runs = "thin lines and strokes"

    def numbers(self, results: Results, options: Mapping[str, Any]) -> pd.DataFrame:
        """Return the mean effect per checkpoint, set of edges and layer (none: all), in one language or across."""
        import pandas as pd

        rows = rows_of(theories(results), metric="knock_out_effect")
        tables = []
        for quantity, some in ((WHOLE, rows[rows["layer"].isna()]), (WINDOWS, rows[rows["layer"].notna()])):
            net = some[some["condition"] == "net"]
            some = net if len(net) else some[some["condition"] == "observed"]
            for languages, own in ((ONE, some[~switched(some)]), (ACROSS, some[switched(some)])):
                if len(own):
                    effects = estimate(own, ["checkpoint", "block", "layer"])
                    beyond = "random edges" if len(net) else ""
                    tables.append(effects.assign(languages=languages, quantity=quantity, beyond=beyond))
        return pd.concat(tables, ignore_index=True)

    def panels(self, view: View) -> list[list[Panel]]:
        """Return bars above lines, one panel per checkpoint."""
        quantities = [part for part in (WHOLE, WINDOWS) if (view.table["quantity"] == part).any()]
        names = {WHOLE: ("change (logits)", WHOLE), WINDOWS: ("middle layer", "windows: change")}
        return [
            [Panel(name, part, "" if row else name, *names[part]) for name in view.checkpoints]
            for row, part in enumerate(quantities)
        ]

    def draw(self, axes: Axes, view: View, panel: Panel) -> None:
        """Draw bars with whiskers, or lines with bands."""
        import pandas as pd

        rows = view.of(panel, quantity=panel.part)
        edges = _edges(view.table)
        if panel.part == WHOLE:
            lines.level(axes, 0, vertical=True)
            for row in rows.itertuples():
                (_bar if pd.isna(row.seed) else _run)(axes, row, edges.index(row.block), edge_colour(edges, row.block))
            axes.set_yticks(range(len(edges)), [block_label(edge) for edge in edges])
            axes.set_ylim(len(edges) - 0.5, -0.5)
            axes.grid(False, axis="y")
            return
        lines.level(axes, 0)
        for edge in edges:
            for languages, dash in ((ACROSS, "-"), (ONE, (0, (1, 1.2)))):
                own = rows[(rows["block"] == edge) & (rows["languages"] == languages)]
                colour = edge_colour(edges, edge)
                look = {"color": colour, "marker": "o", "linestyle": dash,
                        "markerfacecolor": colour if languages == ACROSS else "white"}  # fmt: skip
                if len(own):
                    lines.line(axes, own, look, f"_{edge}, {languages}")

    def handles(self, view: View) -> list[Any]:
        """Explain shades and fills."""
        from matplotlib.lines import Line2D
        from matplotlib.patches import Patch

        edges = _edges(view.table)
        shades = [Patch(color=edge_colour(edges, edge), label=block_label(edge)) for edge in edges]
        across = Line2D([], [], color=QUIET, marker="o", label=ACROSS)
        one = Line2D([], [], color=QUIET, marker="o", markerfacecolor="white", linestyle=(0, (1, 1.2)), label=ONE)
        return [*shades, across, one]

    def note(self, view: View) -> str:
        """Say of which effects those of random edges were taken off."""
        beyond = view.table[view.table["beyond"] != ""]["quantity"].unique()
        net = (
            f" Effects of {' and of '.join(beyond)} are beyond those of equally many random edges."
            if len(beyond)
            else ""
        )
        return (
            f"{self.sample_note(view, 'Whiskers and bands')}{net} Change: of the gold margin, in logits; below 0 "
            "the answer needs these edges."
        )


def _edges(table: pd.DataFrame) -> list[str]:
    """Return the sets of edges in the order of their first effect: those named in `BLOCKS` first."""
    known = [block for block in BLOCKS if block in set(table["block"])]
    return known + sorted(set(table["block"].astype(str)).difference(known))


def _run(axes: Axes, row: Any, place: int, colour: str) -> None:
    """Mark a single training run on its bar."""
    axes.plot(
        [row.mean], [place + _shift(row)], "|", color=colour, markersize=5,
        label=f"_run {row.seed} {row.block}, {row.languages}",
    )  # fmt: skip


def _shift(row: Any) -> float:
    return 0.17 if row.languages == ACROSS else -0.17


def _bar(axes: Axes, row: Any, place: int, colour: str) -> None:
    across = row.languages == ACROSS
    shift = place + _shift(row)
    (bar,) = axes.barh(
        shift, row.mean, height=0.3, color=colour if across else "white", edgecolor=colour, linewidth=0.9
    )
    bar.set_label(f"_{row.block}, {row.languages}")
    if row.low == row.low:
        axes.plot(
            [row.low, row.high],
            [shift, shift],
            color="#1a1a1a",
            linewidth=0.8,
            label=f"_whisker {row.block}, {row.languages}",
        )

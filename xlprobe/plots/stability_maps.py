"""Stability by layer and head: as measured, above floor, and what the cross-lingual query changes."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from xlprobe.errors import ResultsError
from xlprobe.plots import heat
from xlprobe.plots.figure import Panel, View
from xlprobe.plots.lines import stability_ticks
from xlprobe.plots.palette import DIVERGING, SEQUENTIAL
from xlprobe.plots.reading import as_drawn, estimate, floored, heads, rows_of
from xlprobe.plots.scope import contrasts
from xlprobe.plots.stability import ABOVE, RAW, StabilityByLayer
from xlprobe.plots.words import block_label, pair_label
from xlprobe.statistics.pairing import own_reference, switched

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawn

    from xlprobe.results import Results

__all__ = ["CHANGE_OF", "StabilityByHead", "changes", "crossing_rows"]

CHANGE = "change"
CHANGE_OF = {True: "change of S − floor", False: "change of S (no floor measured)"}
"""What a change is of, by whether a floor was measured."""
_PAIR = ("context_language", "question_language")


def crossing_rows(results: Results, options: Mapping[str, Any]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the code-switched rows of every head: as measured per theory, and above floor (empty without a floor)."""
    rows = heads(results, "js_stability", options["block"], options["pooling"])
    raw = rows[own_reference(rows) & switched(rows) & (rows["condition"] == "observed")]
    above = rows_of(floored(results, options["block"], options["pooling"]), condition="observed")
    if (pair := options.get("pair")) is not None:
        raw, above = (rows_of(part, context_language=pair[0], question_language=pair[1]) for part in (raw, above))
    return raw, above


@functools.lru_cache(maxsize=4)
def changes(
    results: Results, block: str, pooling: str, pair: tuple[str, str] | None, by: tuple[str, ...] = ("layer", "head")
) -> tuple[pd.DataFrame, ...]:
    """Return how every head changes, one table for every two checkpoints that were measured on the same problems.

    `statistics.heads_that_change`, the largest change first: floor taken off and paired by problem, or as measured
    where there is no floor. Columns besides: `checkpoint`, `other`, and `held`, whether the change may be claimed.
    """
    from xlprobe.statistics import heads_that_change

    frame = crossing_rows(results, {"block": block, "pooling": pooling, "pair": pair})[1]
    if frame.empty:
        narrow = {} if pair is None else dict(zip(_PAIR, pair, strict=True))
        rows = results.select(metric="js_stability", block=block, pooling=pooling, condition="observed", **narrow)
        frame = rows.lean_frame()
        frame = frame[own_reference(frame) & switched(frame)].reset_index(drop=True)
    tables = []
    for crossed, base in contrasts(results):
        try:
            change = heads_that_change(frame, base, crossed, by=by, block=block, pooling=pooling, reference=None)
        except ResultsError:  # measured on different problems, or not at all
            continue
        tables.append(as_drawn(change, crossed, base))
    return tuple(tables)


class StabilityByHead(StabilityByLayer):
    """Draw maps of stability, layer by head: as measured, above floor, and the change from baseline to cross-query.

    Means over the pairs of languages, or one `pair` ("en", "fr"). Dots: the change may be claimed (q < .05 among all
    heads and an interval without 0, floor taken off).
    Undefined cells are hatched and counted.
    """

    name = "stability_by_head"
    title = "Stability by layer and head"
    question = "Which heads are stable when the question changes language?"
    reading = (
        "Stability of every head's attention, code-switched against in-language: as measured, above floor, and the "
        "change from baseline to cross-query (floor taken off; dots: q < .05). Hatched: undefined."
    )
    what = "stability per head"
    choices: ClassVar[Mapping[str, Any]] = {"block": "question->context", "pooling": "token", "pair": None}
    panel_height = 1.55
    runs = "mean over them"
    share = ("all", "all")

    def missing(self, results: Results, options: Mapping[str, Any]) -> str | None:
        """Return why there is no stability per head of the block and the pair."""
        raw, _ = crossing_rows(results, options)
        return None if raw["head"].notna().any() and int(raw["n"].sum()) else f"the table has no {self.what}"

    def numbers(self, results: Results, options: Mapping[str, Any]) -> pd.DataFrame:
        """Return means per checkpoint, layer and head, raw and above floor, and the change with q values."""
        import pandas as pd

        raw, above = crossing_rows(results, options)
        by = ["checkpoint", "layer", "head"]
        tables = []
        for rows, quantity in ((raw, RAW), (above, ABOVE)):
            if len(rows):
                means = estimate(rows, by)
                tables.append(means[means["seed"].isna()][[*by, "mean", "n", "n_nan"]].assign(quantity=quantity))
        tables += [one.assign(quantity=CHANGE) for one in changes(results, **options)]
        # One checkpoint has nothing to be compared with.
        return pd.concat([*tables, pd.DataFrame({"other": [], "q": [], "held": []})], ignore_index=True)

    def panels(self, view: View) -> list[list[Panel]]:
        """Return a row per quantity of one panel per checkpoint, the changes below."""
        panels = []
        for part in (RAW, ABOVE, CHANGE):
            rows = view.table[(view.table["quantity"] == part) & view.table["checkpoint"].isin(view.checkpoints)]
            names = [name for name in view.checkpoints if name in set(rows["checkpoint"])]
            if part != CHANGE:
                row = [Panel(name, part, f"{name}: {part}", "head", "layer") for name in names]
            else:
                others = rows.groupby("checkpoint", observed=True)["other"].first()
                row = [Panel(name, part, f"{name} − {others[name]}", "head", "layer") for name in names]
            if row:
                panels.append(row)
        return panels

    def draw(self, axes: Axes, view: View, panel: Panel) -> None:
        """Draw one map, with dots where a change holds up."""
        rows = view.of(panel, quantity=panel.part)
        colours = SEQUENTIAL if panel.part == RAW else DIVERGING
        heat.map_of(axes, view, rows, "mean", _norm(view.table, panel.part), colours)
        if panel.part == CHANGE:
            held = rows[rows["held"].astype(bool)]
            heat.dots(axes, held["head"], held["layer"])

    def finish(self, figure: Drawn, grid: Mapping[str, Axes], view: View) -> None:
        """Explain the colours, row by row."""
        for part in (RAW, ABOVE, CHANGE):
            axes = [one for key, one in grid.items() if key.endswith(part)]
            if axes:
                label = CHANGE_OF[_has_floor(view.table)] if part == CHANGE else part
                norm = _norm(view.table, part)
                ticks = [tick for tick in stability_ticks(norm.vmin) if tick >= norm.vmin] if part == RAW else None
                bar = heat.colour_bar(figure, axes[0].collections[0], axes, label, ticks=ticks)
                if ticks:
                    bar.ax.set_yticks(ticks, [f"{tick:.4g}" for tick in ticks], minor=False)
                    bar.ax.minorticks_off()

    def note(self, view: View) -> str:
        """Say of which pairs, how many changes hold up, and how many cells are undefined."""
        table = view.table[view.table["checkpoint"].isin(view.checkpoints)]
        change = table[table["quantity"] == CHANGE]
        pair = view.options["pair"]
        paired = "floor taken off, paired by problem" if _has_floor(table) else "no floor was measured"
        held = (
            f" Dots: {int(change['held'].astype(bool).sum())} of {len(change)} changes with q < .05 whose interval "
            f"excludes 0; {paired}."
            if len(change) else ""
        )  # fmt: skip
        absent = int(table[table["quantity"] == RAW]["mean"].isna().sum())
        hatched = f" Hatched: {absent} undefined." if absent else ""
        return (
            f"Attention {block_label(view.options['block'])}, "
            f"{pair_label(*pair) if pair else 'mean over the pairs of languages'}. "
            f"{self.sample_note(view, '')}{held}{hatched} Strokes: below 0."
        )


def _has_floor(table: pd.DataFrame) -> bool:
    return bool((table["quantity"] == ABOVE).any())


def _norm(table: pd.DataFrame, part: str) -> Any:
    from matplotlib.colors import FuncNorm

    values = table[table["quantity"] == part]["mean"].dropna()
    if part != RAW:
        return heat.centred(float(values.abs().quantile(0.99)) if len(values) else 0.0)
    low = float(np.clip(np.floor(values.min() * 20) / 20, 0.0, 0.99)) if len(values) else 0.0
    # Colours are spaced as the axis of stability is, by the root of 1 - S.
    functions = (lambda v: -np.sqrt(np.clip(1 - np.asarray(v), 0, None)), lambda v: 1 - np.asarray(v) ** 2)
    return FuncNorm(functions, vmin=low, vmax=1.0)

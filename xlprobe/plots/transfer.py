"""Accuracy by context and question language: per checkpoint, and what the cross-lingual query changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from xlprobe.errors import ResultsError
from xlprobe.plots import heat
from xlprobe.plots.figure import Figure, Panel, View
from xlprobe.plots.palette import DIVERGING, SEQUENTIAL
from xlprobe.plots.reading import as_drawn, estimate, rows_of, theories
from xlprobe.plots.scope import contrasts, guessing, language_order, trained_pairs

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from xlprobe.results import Results

__all__ = ["TransferMatrix"]

ACCURACY, CHANGE = "accuracy", "change"
_PAIR = ["context_language", "question_language"]


class TransferMatrix(Figure):
    """Draw accuracy by language of the context (rows) and of the question (columns), in percent, per checkpoint.

    With several checkpoints the changes from baseline to cross-query follow, in percentage points, with dots where they
    may be claimed (q < .05 over the pairs, and an interval without 0). Pairs that a checkpoint was trained on are
    outlined; undefined cells are hatched.
    """

    name = "transfer_matrix"
    title = "Transfer between languages"
    question = "Which pairs of languages does a checkpoint solve?"
    reading = (
        "Accuracy in percent by language of the context (rows) and of the question (columns), and the change from "
        "baseline to cross-query in percentage points. Outlined: pairs that the checkpoint was trained on; dots: q "
        "< .05 among the pairs, and an interval without 0."
    )
    metrics = ("correct",)
    runs = "mean over them"
    what = "accuracy (it takes a classification head and labels)"
    share = ("all", "all")
    least_width = 1.6

    def numbers(self, results: Results, options: Mapping[str, Any]) -> pd.DataFrame:
        """Return accuracy per checkpoint and pair with intervals over theories, and the changes with q values."""
        import pandas as pd

        rows = rows_of(theories(results), metric="correct", condition="observed")
        accuracies = estimate(rows, ["checkpoint", *_PAIR]).assign(quantity=ACCURACY)
        tables = [accuracies[accuracies["seed"].isna()]]
        for crossed, base in contrasts(results):
            try:
                change = results.contrast(crossed, base, "correct", by=_PAIR)
            except ResultsError:  # answers to different problems, or of one of them only
                continue
            tables.append(as_drawn(change, crossed, base).assign(quantity=CHANGE))
        trained = trained_pairs(results)
        # One checkpoint has nothing to be compared with.
        table = pd.concat([*tables, pd.DataFrame({"other": [], "q": [], "held": []})], ignore_index=True)
        pairs = table["context_language"].astype(str) + "-" + table["question_language"].astype(str)
        table["trained"] = [
            pair in trained.get(name, ()) for pair, name in zip(pairs, table["checkpoint"], strict=True)
        ]
        return table

    def height_of(self, view: View, panel_width: float) -> float:
        """Return the height of a square and its labels."""
        return min(panel_width, 2.6) + 0.3

    def panels(self, view: View) -> list[list[Panel]]:
        """Return one row: the accuracies, then the changes."""
        change = view.table[(view.table["quantity"] == CHANGE) & view.table["checkpoint"].isin(view.checkpoints)]
        # One checkpoint alone changes nothing.
        others = {} if change.empty else change.groupby("checkpoint", observed=True)["other"].first()
        panels = [Panel(name, ACCURACY, name, "question in", "context in") for name in view.checkpoints]
        panels += [
            Panel(name, CHANGE, f"{name} − {other}", "question in", "context in") for name, other in others.items()
        ]
        return [panels]

    def draw(self, axes: Axes, view: View, panel: Panel) -> None:
        """Draw one matrix with its outlines or dots."""
        rows = view.of(panel, quantity=panel.part)
        order = language_order({*map(str, view.table[_PAIR[0]]), *map(str, view.table[_PAIR[1]])}, view.base)
        values = np.full((len(order), len(order)), np.nan)
        places = [
            (order.index(str(row.context_language)), order.index(str(row.question_language)))
            for row in rows.itertuples()
        ]
        for place, mean in zip(places, rows["mean"], strict=True):
            values[place] = 100 * mean
        if panel.part == ACCURACY:
            heat.matrix(axes, values, order, _norm(view.table), SEQUENTIAL, "{:.0f}")
            for (row, column), trained in zip(places, rows["trained"], strict=True):
                if trained:
                    heat.outline(axes, column, row)
            return
        size = float(100 * view.table[view.table["quantity"] == CHANGE]["mean"].abs().max())
        heat.matrix(axes, values, order, heat.centred(size), DIVERGING, "{:+.0f}")
        held = [place for place, may in zip(places, rows["held"], strict=True) if may]
        if held:
            heat.dots(axes, [column + 0.33 for _, column in held], [row - 0.33 for row, _ in held])

    def handles(self, view: View) -> list[Any]:
        """Explain outlines and dots."""
        outlines = [heat.outline_handle("trained on")] if view.table["trained"].any() else []
        return [*outlines, *([heat.dot_handle()] if _some_hold(view) else [])]

    def note(self, view: View) -> str:
        """Say how wide the intervals are and what guessing gives."""
        own = view.table[(view.table["quantity"] == ACCURACY) & view.table["checkpoint"].isin(view.checkpoints)]
        ends = (own[["low", "high"]].astype(float).sub(own["mean"], axis=0)).abs()
        half = 100 * ends.max(axis=1)
        reach = f" 95\u00a0% intervals over theories reach at most {half.max():.0f} points from it."
        wide = reach if half.notna().any() else ""
        unseen = " Other pairs are zero-shot." if own["trained"].any() else ""
        change = ""
        if (view.table["quantity"] == CHANGE).any():
            dots = "dots: q < .05, and an interval without 0" if _some_hold(view) else "none of them may be claimed"
            change = f" Changes are in percentage points, paired by problem; {dots}."
        return (
            f"Accuracy in percent; guessing gives {100 * guessing(view.results, view.checkpoints):.0f}. "
            f"{self.sample_note(view, '' if wide else 'Intervals')}{wide}{unseen}{change}"
        )


def _some_hold(view: View) -> bool:
    return bool(view.table["held"].eq(True).any())


def _norm(table: pd.DataFrame) -> Any:
    from matplotlib.colors import Normalize

    least = 100 * table[table["quantity"] == ACCURACY]["mean"].min()
    return Normalize(float(np.floor(min(50.0, least) / 10) * 10), 100)

"""Any metric by layer, and by layer and head: what a metric of one's own is drawn with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from xlprobe.errors import ResultsError, XlprobeError
from xlprobe.plots import heat, lines
from xlprobe.plots.figure import Figure, Panel, View
from xlprobe.plots.knock_out import ACROSS, ONE
from xlprobe.plots.reading import estimate, heads, rows_of, theories
from xlprobe.plots.scope import describe
from xlprobe.plots.words import block_label
from xlprobe.statistics.pairing import own_reference, switched

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawn

    from xlprobe.results import Results

__all__ = ["ByHead", "ByLayer", "figure_of"]


class ByLayer(Figure):
    """Draw any metric by layer and pair of languages, with floor and chance where they were measured.

    `metric` is its name in the table; `block` and `pooling` choose among several (by default question->context and
    token where the table has them).
    """

    name = "by_layer"
    title = "A metric by layer"
    question = "How does it change from layer to layer?"
    reading = "Any metric by layer and pair of languages, with floor and chance where they were measured."
    choices: ClassVar[Mapping[str, Any]] = {"metric": None, "block": None, "pooling": None}
    panel_height = 1.8

    def missing(self, results: Results, options: Mapping[str, Any]) -> str | None:
        """Return why the metric cannot be drawn by layer."""
        known = sorted(map(str, theories(results)["metric"].unique()))
        if options["metric"] is None:
            raise ResultsError(f"got no metric; expected metric= one of {', '.join(known)}")
        if options["metric"] not in known:
            return f"the table has no {options['metric']!r}; it has {', '.join(known)}"
        rows = self._rows(results, options)
        if int(rows["n"].sum()) == 0:
            return f"{options['metric']} has no number by layer"
        return None

    def _rows(self, results: Results, options: Mapping[str, Any]) -> pd.DataFrame:
        rows = rows_of(theories(results), metric=options["metric"])
        rows = rows[rows["layer"].notna()]
        return rows_of(rows, **_chosen(rows, options))

    def numbers(self, results: Results, options: Mapping[str, Any]) -> pd.DataFrame:
        """Return mean and interval per checkpoint, pair or control, and layer."""
        import pandas as pd

        rows = self._rows(results, options)
        rows = rows[own_reference(rows) | rows["reference"].isna()]
        control = ~switched(rows) & rows["condition"].isin(list(lines.CONTROLS))
        pair = ["checkpoint", "context_language", "question_language", "condition", "layer"]
        estimates = [estimate(rows[rows["condition"] == "observed"], pair)]
        if control.any():
            estimates.append(estimate(rows[control], ["checkpoint", "condition", "layer"]))
        first = rows.iloc[0]
        return pd.concat(estimates, ignore_index=True).assign(
            metric=options["metric"], block=first["block"], pooling=first["pooling"]
        )

    def panels(self, view: View) -> list[list[Panel]]:
        """Return one panel per checkpoint."""
        return [[Panel(name, "", name, "layer", _label(view)) for name in view.checkpoints]]

    def draw(self, axes: Axes, view: View, panel: Panel) -> None:
        """Draw lines of pairs over floor and chance."""
        rows = view.of(panel)
        lines.controls(axes, rows)
        lines.pair_lines(axes, rows[rows["condition"] == "observed"], view.base)

    def note(self, view: View) -> str:
        """Say which block and pooling it is."""
        return f"{_where(view)}{self.sample_note(view)}"

    def sample_note(self, view: View, bands: str = "Bands") -> str:
        """Return checkpoints, numbers of problems and theories, intervals and undefined values, in sentences."""
        return describe(view.results, view.table, view.checkpoints, [view.options["metric"]], bands, self.runs)


class ByHead(ByLayer):
    """Draw any metric by layer and head, in one language and across languages."""

    name = "by_head"
    title = "A metric by layer and head"
    question = "How does it differ from head to head?"
    reading = "Any metric by layer and head, in one language and across languages; hatched: undefined."
    share = ("all", "all")
    panel_height = 1.6
    runs = "mean over them"

    def numbers(self, results: Results, options: Mapping[str, Any]) -> pd.DataFrame:
        """Return the mean per checkpoint, layer and head, in one language and across."""
        chosen = self._rows(results, options).iloc[0]
        rows = heads(results, options["metric"], str(chosen["block"]), str(chosen["pooling"]))
        rows = rows[(rows["condition"] == "observed") & rows["head"].notna() & rows["layer"].notna()]
        if rows.empty:
            raise ResultsError(f"{options['metric']} was not measured per head; draw it with by_layer")
        rows = rows[own_reference(rows) | rows["reference"].isna()]
        rows = rows.assign(languages=np.where(switched(rows), ACROSS, ONE))
        by = ["checkpoint", "languages", "layer", "head"]
        means = rows.groupby(by, observed=True).agg(mean=("value", "mean"), n_nan=("n_nan", "sum")).reset_index()
        return means.assign(metric=options["metric"], block=chosen["block"], pooling=chosen["pooling"])

    def panels(self, view: View) -> list[list[Panel]]:
        """Return a row in one language and a row across languages."""
        kinds = [kind for kind in (ONE, ACROSS) if (view.table["languages"] == kind).any()]
        return [[Panel(name, kind, f"{name}, {kind}", "head", "layer") for name in view.checkpoints] for kind in kinds]

    def draw(self, axes: Axes, view: View, panel: Panel) -> None:
        """Draw one map."""
        from matplotlib.colors import Normalize

        norm = Normalize(float(view.table["mean"].min()), float(view.table["mean"].max()))
        heat.map_of(axes, view, view.of(panel, languages=panel.part), "mean", norm)

    def finish(self, figure: Drawn, grid: Mapping[str, Axes], view: View) -> None:
        """Explain the colours."""
        axes = list(grid.values())
        heat.colour_bar(figure, axes[0].collections[0], axes, _label(view))

    def note(self, view: View) -> str:
        """Say which block and pooling it is."""
        return f"{_where(view)}{self.sample_note(view, '')}"


def figure_of(metric: str, question: str = "How does it change from layer to layer?") -> Figure:
    """Return a figure of one metric by layer, to be put into `FIGURES` under a name."""
    own = {
        "name": metric,
        "title": metric.replace("_", " ").capitalize(),
        "question": question,
        "choices": {**ByLayer.choices, "metric": metric},
        "__doc__": f"Draw {metric} by layer and pair of languages.",
    }
    return type("OwnMetric", (ByLayer,), own)()


def _chosen(rows: pd.DataFrame, options: Mapping[str, Any]) -> dict[str, str]:
    """Return block and pooling: those asked for, else the usual ones where the table has them, else the first."""
    chosen = {}
    for name, usual in (("block", "question->context"), ("pooling", "token")):
        present = sorted(map(str, rows[name].unique()))
        chosen[name] = options[name] or (usual if usual in present else present[0] if present else "")
        if present and chosen[name] not in present:
            raise ResultsError(f"got {name}={chosen[name]!r}; the table has {', '.join(present)}")
    return chosen


def _label(view: View) -> str:
    from xlprobe.metrics import get_metric

    try:
        return get_metric(view.options["metric"]).label
    except XlprobeError:
        return str(view.options["metric"]).replace("_", " ")


def _where(view: View) -> str:
    first = view.table.iloc[0]
    block = f"Attention {block_label(str(first['block']))}. " if "->" in str(first["block"]) else ""
    return f"{_label(view).capitalize()}. {block}"

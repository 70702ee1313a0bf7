"""Stability by layer: as measured, with floor and chance, and above floor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from xlprobe.plots import lines
from xlprobe.plots.figure import Figure, Panel, View, by_quantity
from xlprobe.plots.reading import estimate, floored, rows_of, theories
from xlprobe.plots.words import block_label
from xlprobe.statistics.pairing import own_reference, switched

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from xlprobe.results import Results

__all__ = ["StabilityByLayer", "StabilityOfFirstToken", "StabilityWithinContext"]

RAW, ABOVE = "stability S", "S − floor"
NO_FLOOR = "No floor was measured: what a language border costs cannot be told from what any other question costs. "


class StabilityByLayer(Figure):
    """Draw Jensen-Shannon stability by layer and pair of languages: as measured, and with the floor taken off.

    A code-switched version is compared with its in-language one. Above: with floor (another question about the same
    facts, in one language) and chance (another theory); range [0, 1], up is stable. Below: observed minus floor;
    under 0 a language border costs more than another question does. `block` and `pooling` choose the attention.
    """

    name = "stability_by_layer"
    title = "Stability by layer"
    question = "How stable is attention when the question changes language?"
    reading = (
        "Jensen-Shannon stability S of attention, code-switched against in-language. Above with floor (another "
        "question about the same facts, in one language) and chance (another theory); below with the floor taken off: "
        "under 0, a language border costs more than another question in one language. Solid and filled: the context "
        "is in the base language; dashed and hollow: the question is."
    )
    metrics = ("js_stability",)
    what = "stability of code-switched samples"
    choices: ClassVar[Mapping[str, Any]] = {"block": "question->context", "pooling": "token"}
    panel_height = 1.5

    def missing(self, results: Results, options: Mapping[str, Any]) -> str | None:
        """Return why there is no stability of the block."""
        rows = self._rows(results, options)
        rows = rows[switched(rows) & (rows["condition"] == "observed")]
        if int(rows["n"].sum()):
            return None
        return f"the table has no {self.what} ({options['block']}, {options['pooling']})"

    def _rows(self, results: Results, options: Mapping[str, Any]) -> pd.DataFrame:
        rows = rows_of(theories(results), metric="js_stability", **options)
        return rows[own_reference(rows) & (rows["condition"] != "forced")]

    def numbers(self, results: Results, options: Mapping[str, Any]) -> pd.DataFrame:
        """Return means and intervals per checkpoint, pair or control, and layer, raw and above floor."""
        import pandas as pd

        rows = self._rows(results, options)
        pair = ["checkpoint", "context_language", "question_language", "condition", "layer"]
        crossed = rows[switched(rows) & (rows["condition"] == "observed")]
        estimates = [estimate(crossed, pair).assign(quantity=RAW)]
        controls = rows[~switched(rows) & rows["condition"].isin(["floor", "chance"])]
        if len(controls):
            estimates.append(estimate(controls, ["checkpoint", "condition", "layer"]).assign(quantity=RAW))
        above = rows_of(floored(results, options["block"], options["pooling"]), condition="observed")
        if len(above):
            estimates.append(estimate(above, pair).assign(quantity=ABOVE))
        return pd.concat(estimates, ignore_index=True)

    def panels(self, view: View) -> list[list[Panel]]:
        """Return two rows, as measured and above floor, of one panel per checkpoint."""
        return by_quantity(view, RAW, ABOVE)

    def draw(self, axes: Axes, view: View, panel: Panel) -> None:
        """Draw lines of pairs over floor and chance, or over 0."""
        rows = view.of(panel, quantity=panel.part)
        lines.controls(axes, rows)
        if panel.part == ABOVE:
            lines.level(axes, 0)
        lines.pair_lines(axes, rows[rows["condition"] == "observed"], view.base)
        if panel.part == RAW:
            shown = view.table[view.table["quantity"] == RAW]
            lines.stability_axis(axes, float(shown["low"].fillna(shown["mean"]).min()))

    def note(self, view: View) -> str:
        """Say what floor and chance are, what below 0 means, and how the axis is spaced."""
        floor = (
            "Floor: another question about the same facts, in one language; S − floor, paired by problem: under 0 a "
            "language border costs more than another question does. "
        )
        return (
            f"Attention {block_label(view.options['block'])}. {self.sample_note(view)} "
            f"{floor if (view.table['quantity'] == ABOVE).any() else NO_FLOOR}"
            "The axis of S is spaced by the root of 1 − S."
        )


class StabilityWithinContext(StabilityByLayer):
    """Draw stability within the context, which a question in another language must not change."""

    name = "stability_within_context"
    title = "Stability within the context"
    question = "How stable is attention within the context when the question changes language?"
    choices: ClassVar[Mapping[str, Any]] = {"block": "context->context", "pooling": "token"}
    appendix = True


class StabilityOfFirstToken(StabilityByLayer):
    """Draw stability of the first token's attention to the context, from which the answer is read."""

    name = "stability_of_first_token"
    title = "Stability of the first token"
    question = "How stable is the first token's attention to the context?"
    choices: ClassVar[Mapping[str, Any]] = {"block": "cls->context", "pooling": "token"}
    appendix = True

"""Cross-lingual attention mass by layer: its lift over what lengths alone give, and what a language border changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from xlprobe.plots import lines
from xlprobe.plots.figure import Figure, Panel, View, by_quantity
from xlprobe.plots.reading import changed_by_the_border, estimate, rows_of, theories
from xlprobe.plots.scope import base_language
from xlprobe.plots.words import block_label
from xlprobe.statistics.pairing import switched

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from xlprobe.results import Results

__all__ = ["CrossLingualMass", "MassFromContext"]

LIFT, CHANGE = "lift (nats)", "change by the border"


class CrossLingualMass(Figure):
    """Draw how much attention crosses between question and context, by layer and pair of languages.

    Above: the lift, logit of the mass minus logit of what lengths alone give; 0 is attention spread evenly. Below: the
    lift minus that of the same problem in one language, so what the language border changes beyond the segment border.
    """

    name = "cross_lingual_mass"
    title = "Cross-lingual attention mass"
    question = "How much attention crosses from the question to the context?"
    reading = (
        "Above, the lift: logit of the attention mass minus the logit of the share of tokens; 0 is attention spread "
        "evenly. Below, the code-switched lift minus the lift of the same problem in one language: what the language "
        "border changes beyond the segment border."
    )
    metrics = ("mass_lift",)
    what = "cross-lingual mass"
    choices: ClassVar[Mapping[str, Any]] = {"block": "question->context"}

    def missing(self, results: Results, options: Mapping[str, Any]) -> str | None:
        """Return why there is no mass of the block."""
        rows = rows_of(theories(results), metric="mass_lift", condition="observed", **options)
        return None if int(rows["n"].sum()) else f"the table has no {self.what} ({options['block']})"

    def numbers(self, results: Results, options: Mapping[str, Any]) -> pd.DataFrame:
        """Return lift and change per checkpoint, pair and layer."""
        import pandas as pd

        rows = rows_of(theories(results), metric="mass_lift", condition="observed", **options)
        by = ["checkpoint", "context_language", "question_language", "layer"]
        # One line in one language is enough to compare with: that of the base.
        base = base_language(results)
        lifts = rows[switched(rows) | (rows["context_language"] == base)]
        estimates = [estimate(lifts if len(lifts) else rows, by).assign(quantity=LIFT)]
        if switched(rows).any():
            changed = changed_by_the_border(results, "mass_lift", options["block"])
            estimates.append(estimate(changed, by).assign(quantity=CHANGE))
        return pd.concat(estimates, ignore_index=True)

    def panels(self, view: View) -> list[list[Panel]]:
        """Return two rows, lift and change, of one panel per checkpoint."""
        return by_quantity(view, LIFT, CHANGE)

    def draw(self, axes: Axes, view: View, panel: Panel) -> None:
        """Draw lines of pairs beside 0."""
        lines.level(axes, 0)
        lines.pair_lines(axes, view.of(panel, quantity=panel.part), view.base)

    def note(self, view: View) -> str:
        """Say what 0 is."""
        return (
            f"Attention {block_label(view.options['block'])}. {self.sample_note(view)} Lift 0: as if spread evenly "
            "over tokens, special tokens left out. Change: code-switched minus in-language lift of the same problem."
        )


class MassFromContext(CrossLingualMass):
    """Draw how much attention crosses from the context to the question."""

    name = "cross_lingual_mass_from_context"
    title = "Cross-lingual mass from the context"
    question = "How much attention crosses from the context to the question?"
    choices: ClassVar[Mapping[str, Any]] = {"block": "context->question"}
    appendix = True

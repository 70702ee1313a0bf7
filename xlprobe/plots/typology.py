"""Stability and transfer beside typological distance, one point per language."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from xlprobe.plots import lines
from xlprobe.plots.figure import Figure, Panel, View
from xlprobe.plots.palette import language_colour, language_marker
from xlprobe.plots.reading import estimate, floored, rows_of, theories
from xlprobe.plots.scope import base_language, guessing
from xlprobe.plots.words import signed
from xlprobe.statistics.pairing import switched

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from xlprobe.results import Results

__all__ = ["TypologicalDistance"]

OUTCOMES = {"js_stability": "S − floor", "correct": "accuracy"}
TESTABLE = 5
"""Fewer languages than this allow no rank correlation."""


class TypologicalDistance(Figure):
    """Draw stability above floor and accuracy of each language beside its syntactic distance to the base (URIEL+).

    One point per language: its pairs with the base, both directions alike, with 95 % intervals over theories. With five
    languages or more, Spearman's rho with its exact p value; few languages carry little.
    """

    name = "typological_distance"
    title = "Typological distance"
    question = "Do distant languages transfer less?"
    reading = (
        "Stability of attention above floor (question to context) and accuracy of each language paired with the base, "
        "beside its syntactic distance to the base."
    )
    metrics = tuple(OUTCOMES)
    runs = "mean over them"
    what = "stability or accuracy"
    appendix = True

    def missing(self, results: Results, options: Mapping[str, Any]) -> str | None:
        """Return why languages cannot be laid out by distance."""
        if reason := super().missing(results, options):
            return reason
        base = base_language(results)
        rows = _outcomes(results, base)
        others = 0 if rows.empty else rows["language"].nunique()
        if others < 2:
            return f"it takes at least two languages besides {base}, and the table has {others}"
        known = len(rows_of(theories(results), metric="typological_distance"))
        if not known and importlib.util.find_spec("urielplus") is None:
            return "typological distances need the optional extra: pip install 'xlprobe[typology]'"
        return None

    def numbers(self, results: Results, options: Mapping[str, Any]) -> pd.DataFrame:
        """Return per checkpoint, outcome and language: distance to the base, mean, interval, and rho over languages."""
        from xlprobe.statistics import spearman

        base = base_language(results)
        rows = _outcomes(results, base)
        table = estimate(
            rows.drop(columns=["context_language", "question_language"]), ["checkpoint", "metric", "language"]
        )
        table = table[table["seed"].isna()].reset_index(drop=True)
        distances = _distances(results, sorted(table["language"].astype(str).unique()), base)
        table["distance"] = table["language"].astype(str).map(distances).astype(float)
        table["rho"], table["p"] = math.nan, math.nan
        for _, own in table.dropna(subset=["distance", "mean"]).groupby(["checkpoint", "metric"], observed=True):
            if len(own) >= TESTABLE:
                rho, p, _ = spearman(own["distance"], own["mean"])
                table.loc[own.index, ["rho", "p"]] = rho, p
        return table

    def panels(self, view: View) -> list[list[Panel]]:
        """Return a row per outcome of one panel per checkpoint."""
        outcomes = [part for part in OUTCOMES if (view.table["metric"] == part).any()]
        distance = f"syntactic distance to {view.base}"
        return [
            [Panel(name, part, "" if row else name, distance, OUTCOMES[part]) for name in view.checkpoints]
            for row, part in enumerate(outcomes)
        ]

    def draw(self, axes: Axes, view: View, panel: Panel) -> None:
        """Draw one point with its interval per language, and rho where there is one."""
        import matplotlib as mpl

        rows = view.of(panel, metric=panel.part)
        above = panel.part == "js_stability"
        level = 0.0 if above else guessing(view.results, view.checkpoints)
        lines.level(axes, level, "" if above else "guessing")
        for row in rows.itertuples():
            code = str(row.language)
            colour = language_colour(code)
            if row.low == row.low:
                axes.plot(
                    [row.distance] * 2, [row.low, row.high], color=colour, linewidth=0.9, label=f"_interval {code}"
                )
            axes.plot(row.distance, row.mean, marker=language_marker(code), color=colour, linestyle="none",
                      markersize=4.5, label=code)  # fmt: skip
        axes.margins(0.1, 0.15)
        if len(rows) and not math.isnan(rows["rho"].iloc[0]):
            text = f"ρ = {signed([rows['rho'].iloc[0]])[0]}, p = {rows['p'].iloc[0]:.3f}"
            axes.text(
                0.98, 0.97, text, transform=axes.transAxes, ha="right", va="top", size=mpl.rcParams["ytick.labelsize"]
            )

    def note(self, view: View) -> str:
        """Say what a point is, and whether the languages are enough."""
        count = view.table["language"].nunique()
        enough = (
            "ρ: Spearman over languages, exact p." if count >= TESTABLE
            else f"{count} languages are too few for a rank correlation."
        )  # fmt: skip
        return (
            f"{self.sample_note(view, 'Whiskers')} One point per language: its pairs with {view.base}, both "
            f"directions. {enough}"
        )


def _outcomes(results: Results, base: str) -> pd.DataFrame:
    """Return the rows of both outcomes whose pair is a language and the base, with that language."""
    import pandas as pd

    stable = rows_of(floored(results, "question->context", "token"), condition="observed")
    right = rows_of(theories(results), metric="correct", condition="observed")
    frames = [stable.assign(n=1), right[switched(right)]]
    rows = pd.concat([frame for frame in frames if len(frame)] or frames[1:], ignore_index=True)
    context, question = (rows[name].astype(str) for name in ("context_language", "question_language"))
    return rows.assign(language=question.where(context == base, context))[(context == base) | (question == base)]


def _distances(results: Results, codes: list[str], base: str) -> dict[str, float]:
    """Return the distances of the table, else those of URIEL+."""
    rows = rows_of(theories(results), metric="typological_distance")
    if len(rows):
        return dict(rows.groupby(rows["question_language"].astype(str))["value"].mean())
    from xlprobe.factors import typological_distances

    return typological_distances(codes, base)

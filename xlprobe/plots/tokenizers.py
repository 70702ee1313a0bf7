"""How finely the tokenizer cuts each language."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from xlprobe.plots.figure import Figure, Panel, View
from xlprobe.plots.palette import QUIET, language_colour
from xlprobe.plots.reading import first_run, rows_of, theories

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from xlprobe.results import Results

__all__ = ["TokensPerWord"]


class TokensPerWord(Figure):
    """Draw how many tokens each language takes for what the base language says in one word.

    Checkpoints whose tokenizers give the same numbers share their bars.
    """

    name = "tokens_per_word"
    title = "Confound: tokens per word"
    question = "How finely does the tokenizer cut each language?"
    reading = "Tokens that a language takes for what the base language says in one word."
    metrics = ("tokens_per_word",)
    what = "tokens per word"
    share = ("all", "")

    def numbers(self, results: Results, options: Mapping[str, Any]) -> pd.DataFrame:
        """Return tokens per word per checkpoint and language, with the checkpoints that have the same."""
        rows = rows_of(theories(results), metric="tokens_per_word")
        rows = first_run(rows)  # training changes no tokenizer
        table = rows[["checkpoint", "question_language", "value"]].rename(columns={"question_language": "language"})
        table = table.sort_values(["checkpoint", "value", "language"])
        alike: dict[tuple[Any, ...], list[str]] = {}
        for name, own in table.groupby("checkpoint", observed=True):
            alike.setdefault(tuple(zip(own["language"], own["value"], strict=True)), []).append(str(name))
        same = {name: names[0] for names in alike.values() for name in names}
        return table.assign(same_as=table["checkpoint"].map(same).astype(str)).reset_index(drop=True)

    def height_of(self, view: View, panel_width: float) -> float:
        """Return the height that so many bars need."""
        return 0.5 + 0.17 * view.table["language"].nunique()

    def panels(self, view: View) -> list[list[Panel]]:
        """Return one panel per tokenizer, named by its checkpoints."""
        alike: dict[str, list[str]] = {}
        for name in view.checkpoints:
            same = view.table[view.table["checkpoint"] == name]["same_as"].iloc[0]
            alike.setdefault(same, []).append(name)
        unit = f"tokens per word of {view.base}"
        return [[Panel(names[0], "", ", ".join(names), unit) for names in alike.values()]]

    def draw(self, axes: Axes, view: View, panel: Panel) -> None:
        """Draw one bar per language, with its number."""
        import matplotlib as mpl

        rows = view.of(panel)
        for place, row in enumerate(rows.itertuples()):
            axes.barh(place, row.value, color=language_colour(str(row.language)), height=0.62, label=f"_{row.language}")
            known = row.value == row.value
            text, x = (f" {row.value:.2f}", row.value) if known else (" undefined", 0.0)
            axes.text(x, place, text, va="center", size=mpl.rcParams["ytick.labelsize"])
        axes.axvline(1, color=QUIET, linewidth=0.7, label="_level 1")
        axes.set_yticks(range(len(rows)), rows["language"].astype(str))
        axes.set_xlim(0, 1.15 * max(1.0, float(view.table["value"].max())))
        axes.grid(False, axis="y")

    def note(self, view: View) -> str:
        """Say whose tokenizer and texts it is."""
        rows = rows_of(theories(view.results), metric="tokens_per_word")
        data = ", ".join(sorted({str(name) for name in rows["dataset"].dropna() if name}))
        return (
            f"Tokenizer of {', '.join(view.checkpoints)}; texts of {data or 'the problems'}. A language that takes "
            "more tokens spreads its attention over more of them."
        )

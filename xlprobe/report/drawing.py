"""A report's second half: the figures that a table allows, the explorer and the page."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from xlprobe import plots
from xlprobe.errors import ResultsError
from xlprobe.files import table_text, write_atomically
from xlprobe.plots import reading
from xlprobe.plots.scope import last_steps
from xlprobe.report.page import render
from xlprobe.report.side_by_side import can_share, side_by_side
from xlprobe.report.summary import Summary, summary
from xlprobe.results.patterns import read_patterns

if TYPE_CHECKING:
    from xlprobe.report.options import ReportOptions
    from xlprobe.results import Results

__all__ = ["draw"]

SHARED_ROWS = range(1_000_000, 20_000_001)
"""Rows of a table that two processes draw: of fewer the second is not worth its start, of more not its memory."""

LIKE_THE_OPENING = (
    "stability_by_layer", "stability_by_head", "instability_by_layer", "cross_lingual_mass", "heads_that_change",
    "entropy_and_stability",
)  # fmt: skip
"""Figures of the same rows as the page's opening, which are long: drawn by the process that has read them for it."""

SUMMARY = "summary.csv"
"""The name of the file beside the report that holds the numbers of its first table and sentences."""

EXPLORER = "explorer.html"
"""The name of the attention explorer's page beside the report."""

PAGE = "report.html"
"""The name of the report's page."""


def draw(results: Results, options: ReportOptions, alone: bool) -> tuple[list[str], dict[str, str]]:
    """Draw the main figures, or all, that a table allows, the explorer and the page, which is written last.

    `alone`: this process holds no models, so that a copy of it may draw, too. Returns the figures' names, and why
    others were left out.
    """
    chosen = {name: one for name, one in plots.FIGURES.items() if options.figures == "all" or not one.appendix}
    last = last_steps(results)
    # A process that holds models would have its copy hold them again.
    share = alone and len(results) in SHARED_ROWS and can_share()
    if share:
        reading.theories(last)  # Which most figures read: once, for both processes.

    def figure(name: str) -> str | None:
        rows = results if chosen[name].over_steps else last
        reason = chosen[name].needs(rows)
        if reason is None:
            plots.save(chosen[name](rows), name, options.out)
        return reason

    def write_opening() -> Summary:
        opening = summary(results)
        write_atomically(options.out / SUMMARY, table_text(opening.numbers))
        return opening

    order = sorted(chosen, key=lambda name: name not in LIKE_THE_OPENING)
    jobs: list[Callable[[], Any]] = [write_opening, *(partial(figure, name) for name in order)]
    head, *reasons, explorer = side_by_side(
        [*jobs, partial(_explorer, results, options)], "figures and pages", share=share
    )
    why = dict(zip(order, reasons, strict=True))
    left_out = {name: reason for name in chosen if (reason := why[name]) is not None}
    if len(left_out) == len(chosen):
        raise ResultsError(
            "the table allows no figure: " + "; ".join(f"{name}: {why}" for name, why in left_out.items())
        )
    drawn = [name for name in chosen if name not in left_out]
    write_atomically(options.out / PAGE, render(results, drawn, options.out, left_out, explorer, head))
    return drawn, left_out


def _explorer(results: Results, options: ReportOptions) -> str | None:
    """Write the explorer's page and return its name; where no patterns are left, a page beside the table is taken."""
    from xlprobe.plots.explorer import explorer_data
    from xlprobe.plots.explorer.document import document

    kept = read_patterns(results.path) if results.path is not None else []
    path = options.out / EXPLORER
    if kept:
        write_atomically(path, document(explorer_data(kept), report=PAGE))
    elif options.results is not None and results.path is not None:
        beside = results.path.parent / EXPLORER
        if beside.exists() and beside.resolve() != path.resolve():
            write_atomically(path, beside.read_bytes())
    return EXPLORER if path.exists() and (kept or options.results is not None) else None

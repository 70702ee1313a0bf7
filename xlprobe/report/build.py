"""From options to a directory of figures: measure, draw, write the page, and say what was left out."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from xlprobe.errors import ResultsError
from xlprobe.measuring.processes import process_count
from xlprobe.report.apart import apart, can_leave
from xlprobe.report.measuring import check_writable, measured
from xlprobe.stores import address_of, said, staged

if TYPE_CHECKING:
    from xlprobe.report.options import ReportOptions
    from xlprobe.results import Results

__all__ = ["build"]


def build(options: ReportOptions) -> Path:
    """Make the report and return the page's path."""
    if options.figures not in ("main", "all"):
        raise ResultsError(f"got figures={options.figures!r}; expected 'main' or 'all'")
    with staged(options.out) as place:
        check_writable(place.path)
        results, alone = _table(options)
        if len(results) == 0:
            raise ResultsError(f"the table {said(options.results or options.out)} has no rows; measure something first")
        start = time.perf_counter()
        from xlprobe.report.drawing import PAGE, draw

        names, left_out = draw(results, replace(options, out=place.path), alone)
        took = time.perf_counter() - start
    print(f"{len(results):,} rows, {len(names)} figures in {said(options.out)}")
    print(f"drawn in {took:.0f} s")
    for name, reason in left_out.items():
        print(f"left out: {name} ({reason})")
    path = options.out / PAGE
    print(f"open {said(path)}")
    return path


def _table(options: ReportOptions) -> tuple[Results, bool]:
    """Measure, or read what is there; return the table, and whether this process holds no models beside it.

    Models are measured in a process of their own where that is possible, so that drawing has their memory. This one
    imports what tables and figures need only afterwards (90 MB).
    """
    if options.results is None:
        if options.shard is not None or process_count() > 1 or address_of(options.out) or not can_leave():
            return measured(options), False
        apart(partial(measured, options))
    from xlprobe.results import Results

    return Results.load(options.results or options.out), True

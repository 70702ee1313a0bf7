"""Timing by turns: one run of each candidate after another, and the median of the ratios to the first."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any


@dataclass(frozen=True)
class Row:
    """One measured thing: `value` with its unit ("x" is a ratio to `reference`), and the target it should not exceed.

    `low` and `high` are the least and the largest of the single values.
    """

    name: str
    value: float
    unit: str = "x"
    reference: str = ""
    low: float | None = None
    high: float | None = None
    target: float | None = None
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None where there is none."""
        return None if self.target is None else self.value <= self.target


@dataclass
class Section:
    """The results of one benchmark."""

    title: str
    text: str
    rows: list[Row] = field(default_factory=list)
    extra: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return the section as plain values."""
        return {"title": self.title, "text": self.text, "rows": [asdict(row) for row in self.rows], **self.extra}


def seconds(call: Callable[[], Any]) -> float:
    """Return how long one call takes."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def by_turns(
    calls: Mapping[str, Callable[[], Any]], repeats: int = 7, at_least: float = 0.05
) -> dict[str, tuple[list[float], list[float]]]:
    """Run the calls by turns and return for each its times (s per call) and its ratios to the first call's.

    Every turn runs each call until it has taken `at_least` seconds, in an order that is reversed every time, so that
    whatever else the machine does meets all alike.
    """
    names = list(calls)
    loops = {}
    for name, call in calls.items():
        call()
        loops[name] = max(1, round(at_least / max(seconds(call), 1e-6)))
    times: dict[str, list[float]] = {name: [] for name in names}
    gc.collect()
    gc.disable()
    try:
        for turn in range(repeats):
            for name in names if turn % 2 == 0 else names[::-1]:
                call, count = calls[name], loops[name]
                start = time.perf_counter()
                for _ in range(count):
                    call()
                times[name].append((time.perf_counter() - start) / count)
    finally:
        gc.enable()
    first = times[names[0]]
    return {name: (times[name], [t / f for t, f in zip(times[name], first, strict=True)]) for name in names}


def ratios(
    calls: Mapping[str, Callable[[], Any]],
    *,
    targets: Mapping[str, float] | None = None,
    prefix: str = "",
    repeats: int = 7,
    at_least: float = 0.05,
    note: str = "",
) -> list[Row]:
    """Return one row per call but the first, which is the reference: the median of its ratios to it."""
    measured = by_turns(calls, repeats, at_least)
    reference = next(iter(calls))
    base = median(measured[reference][0])
    rows = []
    for name, (times, found) in measured.items():
        if name == reference:
            continue
        text = "; ".join(filter(None, [note, f"{1e3 * median(times):.1f} ms against {1e3 * base:.1f} ms"]))
        target = (targets or {}).get(name)
        rows.append(Row(prefix + name, median(found), "x", reference, min(found), max(found), target, text))
    return rows

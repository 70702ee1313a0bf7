"""Kept patterns as rows of the table, unit by unit, so that maps are drawn from the table alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from xlprobe.errors import ResultsError

if TYPE_CHECKING:
    from xlprobe.results import Results
    from xlprobe.results.patterns import KeptPattern

__all__ = ["attention_rows"]


def attention_rows(kept: Sequence[KeptPattern], sample: str | None = None) -> Results:
    """Return one problem's kept patterns as rows, and in the manifest what its units say.

    Rows have the metric `attention`, the head mean of each layer, and as block the places of the querying and the
    attended unit ("3->1"): 0 is all special tokens together, then the context's sentences from 1, the question last.
    A value is what a unit's tokens spend on all tokens of the other on average, range [0, 1]; over the attended units
    they sum to 1. `sample` is the problem's key, by default the first. Raises `ResultsError` without patterns.
    """
    from xlprobe.measuring.patterns import attention_of_units
    from xlprobe.results import Results
    from xlprobe.results.blocks import RowBuffer

    if not kept:
        raise ResultsError("got no patterns; keep some with measure(..., keep_patterns=[keys], kept=list)")
    key = sample or kept[0].sample.key
    chosen = [one for one in kept if one.sample.key == key]
    if not chosen:
        known = ", ".join(sorted({one.sample.key for one in kept}))
        raise ResultsError(f"got the problem {key!r}; the patterns are of {known}")
    rows, manifest = RowBuffer(), {}  # type: ignore[var-annotated]
    attention_of_units(chosen, rows, manifest)
    return Results(rows.table(), manifest)

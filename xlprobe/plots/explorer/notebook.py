"""The explorer as a notebook cell."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from xlprobe.errors import ResultsError
from xlprobe.plots.explorer.data import explorer_data
from xlprobe.plots.explorer.document import document
from xlprobe.results import Results
from xlprobe.results.patterns import read_patterns

if TYPE_CHECKING:
    from xlprobe.checkpoints.checkpoint import Checkpoint
    from xlprobe.results.patterns import KeptPattern
    from xlprobe.samples.types import ParallelSample

__all__ = ["explore"]

MEGABYTE = 1_000_000


def explore(
    what: Results | Sequence[KeptPattern] | KeptPattern | Sequence[Checkpoint | str] | Checkpoint | str,
    samples: Sequence[ParallelSample] | ParallelSample | None = None,
    *,
    pairs: str | Sequence[str] | None = None,
    height: int = 1150,
    max_mb: float = 6.0,
) -> Any:
    """Return the interactive attention explorer as an IPython HTML object.

    `what` is a table whose patterns were kept (`measure(..., keep_patterns=[keys])`), one or several of them, or one or
    several checkpoints with the problems to run them on (`samples`) in the given `pairs`. The cell holds at most
    `max_mb` megabytes: patterns token by token are rounded or left out to keep to it, and when even the patterns
    sentence by sentence are too many, `ResultsError` says so instead of freezing the notebook. `height` is in pixels.
    """
    from IPython.display import HTML

    if isinstance(what, Results):
        what = read_patterns(what.path) if what.path is not None else []
    items: list[Any] = [what] if isinstance(what, str) or not isinstance(what, Sequence) else list(what)
    if not items:
        raise ResultsError(
            "got nothing to explore; expected a table of measure(..., keep_patterns=[keys]), kept patterns, or "
            "checkpoints and samples"
        )
    kept = items if all(hasattr(item, "unit_ids") for item in items) else _patterns(items, samples, pairs)
    page = document(explorer_data(kept, budget=int(max_mb * MEGABYTE * 0.8)))
    size = len(page.encode()) / MEGABYTE
    if size > max_mb:
        raise ResultsError(
            f"the explorer of {len(kept)} patterns would hold {size:.1f} MB; expected at most {max_mb:g}. Show fewer "
            "problems or pairs of languages, or raise max_mb"
        )
    # A frame of its own keeps ids and styles of several cells apart.
    frame = f'<iframe title="Attention explorer" srcdoc="{html.escape(page, quote=True)}" '
    return HTML(frame + f'style="width:100%;height:{height}px;border:0"></iframe>')


def _patterns(
    checkpoints: list[Any], samples: Sequence[ParallelSample] | ParallelSample | None, pairs: Any
) -> list[KeptPattern]:
    if samples is None:
        raise ResultsError(
            "got checkpoints without samples; expected the problems to show, such as explore(checkpoint, problem)"
        )
    problems = list(samples) if isinstance(samples, Sequence) else [samples]
    import tempfile

    from xlprobe.measuring.measurement import measure

    kept: list[KeptPattern] = []
    with tempfile.TemporaryDirectory(prefix="xlprobe-") as scratch:
        measure(
            checkpoints,
            problems,
            pairs=pairs,
            metrics=(),
            controls=False,
            forced=False,
            out=scratch,
            show_progress=False,
            keep_patterns=[problem.key for problem in problems],
            kept=kept,
        )
    return kept

"""PARARULE-Plus: RuleTaker's task with deeper reasoning (Bao et al. 2022); labels and depths are strings there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from xlprobe.samples.readers.containers import rows_of
from xlprobe.samples.readers.ruletaker import rule_samples
from xlprobe.samples.types import ParallelSample

__all__ = ["read_pararule"]


def read_pararule(path: str | Path, *, max_depth: int | None = None) -> Iterator[ParallelSample]:
    """Read an English PARARULE-Plus file, one problem for each question; 1 follows, 0 does not.

    `max_depth` keeps questions of at most that QDep. Raises `DataError`, naming file, line and question.
    """
    return rule_samples(rows_of(path), "pararule-plus", max_depth)

"""What can be chosen about intervals and tests, checked once."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from xlprobe.errors import ResultsError

__all__ = ["MIN_GROUPS", "Options", "options_of"]

MIN_GROUPS = 6
"""From how many theories on an interval is given; six are also the fewest whose sign flips can reach p < .05."""


@dataclass(frozen=True)
class Options:
    """How intervals and p values are made.

    `draws`: of sign flips, and of the bootstrap. `confidence`: of intervals. `method`: "t" or "bca" (one run only; it
    covers less where theories are few). `unit`: what an answer speaks of: "runs" (new training runs and other
    theories), "problems" (other theories, these runs), or None: runs where there are several. `seed`: of the draws.
    Raises `ResultsError` for values that make no sense.
    """

    draws: int = 9999
    confidence: float = 0.95
    method: str = "t"
    unit: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.method not in ("t", "bca"):
            raise ResultsError(f"got method={self.method!r}; expected 't' or 'bca'")
        if self.unit not in (None, "runs", "problems"):
            raise ResultsError(f"got unit={self.unit!r}; expected 'runs', 'problems' or None")
        if not 0 < self.confidence < 1 or self.draws < 1:
            raise ResultsError(
                f"got confidence={self.confidence}, draws={self.draws}; expected 0 < confidence < 1 and draws >= 1"
            )


def options_of(given: dict[str, Any]) -> Options:
    """Return options from keywords, naming those there are where one is unknown."""
    known = [field.name for field in fields(Options)]
    if unknown := [name for name in given if name not in known]:
        raise ResultsError(f"got the options {unknown}; expected some of {', '.join(known)}")
    return Options(**given)

"""What a report is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["ReportOptions"]


@dataclass(frozen=True)
class ReportOptions:
    """What `xlprobe report` was asked for; see its help."""

    checkpoints: tuple[str, ...] = ()
    samples: str = "generated"
    languages: tuple[str, ...] = ("en", "fr", "ar", "zh")
    pairs: str | None = None
    limit: int | None = None
    metrics: str = "figures"
    effects: bool = True
    results: Path | None = None
    out: Path = Path("report")
    seed: int = 0
    device: str = "cpu"
    batch_size: int = 32
    queries_at_once: int | None = None
    too_long: str = "error"
    figures: str = "main"
    token_types: str | None = None
    layout: str | None = None
    prefix: str | None = None
    template: str | None = None
    answers: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    part: str | None = None
    shard: str | None = None

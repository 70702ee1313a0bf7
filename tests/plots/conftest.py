"""The made-up table, for the figures' tests."""

from __future__ import annotations

from made_up import frame, kept, manifest, results, runs, steps

__all__ = ["frame", "kept", "manifest", "results", "runs", "steps"]

"""The made-up table of the figures' tests, for the gallery's tests too."""

from __future__ import annotations

from made_up import frame, kept, results

__all__ = ["frame", "kept", "results"]

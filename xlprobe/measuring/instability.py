"""Running means of stability and its controls, for the instability index per head."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from xlprobe.statistics import instability_index

__all__ = ["InstabilityMeans"]

_Key = tuple[Any, ...]
_ROWS = ("context_language", "question_language", "reference", "condition")


@dataclass
class InstabilityMeans:
    """Sums stability per pair, condition, block, pooling and layer, head by head, in float64.

    The index is a ratio of means over samples, because a single sample's chance is often not above its floor.
    """

    sums: dict[_Key, np.ndarray[Any, Any]] = field(default_factory=dict)
    counts: dict[_Key, np.ndarray[Any, Any]] = field(default_factory=dict)

    def add(
        self, values: np.ndarray[Any, Any], labels: Mapping[str, Sequence[Any]], columns: Mapping[str, Any]
    ) -> None:
        """Add (sample, head) values of `js_stability`; `labels` has one entry per row, `columns` one for all."""
        places: dict[tuple[str, ...], list[int]] = {}
        for row, place in enumerate(zip(*(labels[name] for name in _ROWS), strict=True)):
            places.setdefault(place, []).append(row)
        for place, rows in places.items():
            picked = values[rows].astype(np.float64)
            key = (*place, *(columns[name] for name in ("block", "pooling", "layer")))
            self.sums[key] = self.sums.get(key, 0.0) + np.nansum(picked, axis=0)
            self.counts[key] = self.counts.get(key, 0) + np.isfinite(picked).sum(axis=0)

    def merge(self, other: InstabilityMeans) -> None:
        """Take over another's sums."""
        for key, total in other.sums.items():
            self.sums[key] = self.sums.get(key, 0.0) + total
            self.counts[key] = self.counts.get(key, 0) + other.counts[key]

    def state(self) -> dict[str, Any]:
        """Return the sums as plain mappings."""
        return {"sums": self.sums, "counts": self.counts}

    def _mean(self, key: _Key) -> np.ndarray[Any, Any] | None:
        if key not in self.sums:
            return None
        count = self.counts[key]
        return np.divide(self.sums[key], count, out=np.full(count.shape, np.nan), where=count > 0)

    def rows(self) -> Iterator[tuple[np.ndarray[Any, Any], dict[str, Any]]]:
        """Yield (head,) instability and its columns, for every switched pair compared within its context's language."""
        for key in self.sums:
            context, question, reference, condition, block, pooling, layer = key
            if context == question or condition != "observed" or reference != f"{context}-{context}":
                continue
            controls = [
                self._mean((context, context, reference, name, block, pooling, layer)) for name in ("floor", "chance")
            ]
            switched = self._mean(key)
            if switched is None or controls[0] is None or controls[1] is None:
                continue
            yield (
                instability_index(1 - switched, 1 - controls[0], 1 - controls[1]),
                {
                    "context_language": context,
                    "question_language": question,
                    "reference": reference,
                    "block": block,
                    "pooling": pooling,
                    "layer": layer,
                },
            )

"""How heads relate to one another in each pair of languages, summed while patterns stream by."""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from xlprobe.measuring.attention import paired
from xlprobe.measuring.forward import AttentionCapture
from xlprobe.measuring.plan import PairedBatch, Version
from xlprobe.measuring.rows import BatchRows
from xlprobe.metrics import PooledPattern, block_mass, head_divergences, head_rsa, top_heads_jaccard
from xlprobe.metrics.blocks import COMPARED_BLOCKS, MASS_BLOCKS

__all__ = ["HEAD_METRICS", "HeadStructureReader"]

HEAD_METRICS = ("head_rsa", "top_heads_jaccard")
"""The names that `HeadStructureReader` computes, per pair of languages against its in-language references."""

TOP_SHARE = 0.1
_POOLINGS = ("mass", "density")

_Pair = tuple[str, str, str | None]
_Key = tuple[_Pair, int, str, str, int]


@dataclass
class _Mean:
    """A mean that streams: sums in float64, counted entry by entry; NaN takes no part."""

    total: Any = 0.0
    count: Any = 0

    def add(self, values: np.ndarray[Any, Any]) -> None:
        self.total = self.total + np.nansum(values, axis=0)
        self.count = self.count + np.isfinite(values).sum(axis=0)

    def __add__(self, other: _Mean) -> _Mean:
        return _Mean(self.total + other.total, self.count + other.count)

    @property
    def value(self) -> Any:
        return np.divide(self.total, self.count, out=np.full(np.shape(self.count), np.nan), where=self.count > 0)


@dataclass
class HeadStructureReader:
    """Sums head divergences and attention mass per pair of languages, layer by layer; keeps no pattern.

    *head_rsa*: Spearman of the mean divergences between the heads of a layer in two pairs of languages.
    *top_heads_jaccard*: overlap of the tenth of all heads with the most mass in a direction. Both compare (c, q) with
    (c, c) and with the base language; condition "forced" compares with (c, c) under both queries; *floor* compares the
    two halves of the theories within (c, c), so it is lower where data are few.
    """

    metrics: Sequence[str] = HEAD_METRICS
    closed: Collection[str] = ()
    """Blocks that the model has not."""
    needs: frozenset[str] = frozenset({"pattern"})
    _shared: BatchRows | None = field(default=None, repr=False)
    _divergence: dict[_Key, _Mean] = field(default_factory=dict, repr=False)
    _mass: dict[_Key, _Mean] = field(default_factory=dict, repr=False)

    def update(self, capture: AttentionCapture) -> None:
        """Add one layer of one batch."""
        batch = paired(capture.batch)
        rows = _rows_by_pair(batch)
        assert capture.pattern is not None, "what is of whole sets needs whole patterns"
        if self._shared is None or self._shared.batch is not batch:
            self._shared = BatchRows(batch)
        pooled = PooledPattern(capture.pattern, self._shared.roles, reach=self._shared.reach(capture))
        if "head_rsa" in self.metrics:
            for block in _but(COMPARED_BLOCKS, self.closed):
                for pooling in _POOLINGS:
                    profile = pooled.profile(block, pooling)  # type: ignore[arg-type]
                    _add(self._divergence, rows, head_divergences(profile), (block, pooling, capture.layer))
        if "top_heads_jaccard" in self.metrics:
            for block in _but(MASS_BLOCKS, self.closed):
                _add(self._mass, rows, block_mass(pooled, block).observed, (block, "", capture.layer))

    def merge(self, other: HeadStructureReader) -> None:
        """Take over another reader's sums."""
        for mine, theirs in ((self._divergence, other._divergence), (self._mass, other._mass)):
            for key, mean in theirs.items():
                mine[key] = mine.get(key, _Mean()) + mean

    def state(self) -> dict[str, Any]:
        """Return the sums as plain mappings, which `add_state` takes over."""
        return {
            name: {key: (mean.total, mean.count) for key, mean in sums.items()}
            for name, sums in (("divergence", self._divergence), ("mass", self._mass))
        }

    def add_state(self, state: dict[str, Any]) -> None:
        """Take over what another reader's `state` gave."""
        other = HeadStructureReader(self.metrics)
        for sums, name in ((other._divergence, "divergence"), (other._mass, "mass")):
            sums.update({key: _Mean(*total_and_count) for key, total_and_count in state[name].items()})
        self.merge(other)

    def result(self) -> dict[str, int]:
        """Return how many sums are held of either kind."""
        return {"divergences": len(self._divergence), "masses": len(self._mass)}

    def rows(self, base: str) -> Iterator[tuple[float, dict[str, Any]]]:
        """Yield the values, each with its columns of the table."""
        pairs = {key[0] for key in (*self._divergence, *self._mass)}
        for left, right, condition in _comparisons(pairs, base):
            columns = {
                "context_language": left[0],
                "question_language": left[1],
                "reference": f"{right[0]}-{right[1]}" if right[2] is None else f"{right[0]}-{right[0]}",
                "condition": condition,
            }
            halves = ((0,), (1,)) if condition == "floor" else ((0, 1), (0, 1))
            sides = list(zip((left, right), halves, strict=True))
            for block, pooling, layer in dict.fromkeys(key[2:] for key in self._divergence):
                matrices = [_mean(self._divergence, *side, block, pooling, layer) for side in sides]
                if matrices[0] is not None and matrices[1] is not None:
                    more = {"metric": "head_rsa", "block": block, "pooling": pooling, "layer": layer}
                    yield head_rsa(*matrices), columns | more
            for block in dict.fromkeys(key[2] for key in self._mass):
                scores = [self._scores(*side, block) for side in sides]
                if scores[0] is not None and scores[1] is not None:
                    top = max(1, round(TOP_SHARE * scores[0].size))
                    overlap = top_heads_jaccard(scores[0], scores[1], top)
                    yield overlap, columns | {"metric": "top_heads_jaccard", "block": block}

    def _scores(self, pair: _Pair, halves: tuple[int, ...], block: str) -> Any:
        layers = sorted({key[4] for key in self._mass})
        means = [_mean(self._mass, pair, halves, block, "", layer) for layer in layers]
        return None if any(one is None for one in means) else np.stack([one for one in means if one is not None])


def _but(blocks: Sequence[str], closed: Collection[str]) -> list[str]:
    return [block for block in blocks if block not in closed]


def _pair_of(version: Version) -> _Pair:
    return version.context_language, version.question_language, version.routed_as


def _rows_by_pair(batch: PairedBatch) -> dict[tuple[_Pair, int], list[int]]:
    """Sort a batch's own rows by pair of languages and by half: whole theories fall in one of two halves by name."""
    rows: dict[tuple[_Pair, int], list[int]] = {}
    for row in batch.owned.tolist():
        half = zlib.crc32(batch.samples[row].group.encode()) & 1
        rows.setdefault((_pair_of(batch.versions[row]), half), []).append(row)
    return rows


def _add(
    sums: dict[_Key, _Mean], rows: dict[tuple[_Pair, int], list[int]], values: Any, place: tuple[str, str, int]
) -> None:
    array = values.cpu().numpy()
    for (pair, half), picked in rows.items():
        sums.setdefault((pair, half, *place), _Mean()).add(array[picked])


def _mean(
    sums: dict[_Key, _Mean], pair: _Pair, halves: tuple[int, ...], block: str, pooling: str, layer: int
) -> Any | None:
    means = [sums[key] for half in halves if (key := (pair, half, block, pooling, layer)) in sums]
    return sum(means[1:], means[0]).value if means else None


def _comparisons(pairs: set[_Pair], base: str) -> Iterator[tuple[_Pair, _Pair, str]]:
    for context, question, routed in sorted(pair for pair in pairs if pair[2] is None):
        own: _Pair = (context, context, routed)
        if context == question:
            yield own, own, "floor"
        elif own in pairs:
            yield (context, question, None), own, "observed"
        if context != base and (base, base, None) in pairs:
            yield (context, question, None), (base, base, None), "observed"
        for forced in sorted((pair for pair in pairs if pair[:2] == own[:2] and pair[2] is not None), key=str):
            if context != question:
                yield (context, question, None), forced, "forced"

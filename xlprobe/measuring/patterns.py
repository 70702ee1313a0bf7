"""Raw patterns of the few samples that a user names, for maps and the explorer."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from xlprobe.errors import DataError
from xlprobe.measuring.stream import AttentionCapture

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from xlprobe.samples.types import Sample

__all__ = ["KeptPattern", "PatternReducer"]


@dataclass
class KeptPattern:
    """One sample's attention in every layer, as float16 (layer, head, query, key), with what names its tokens."""

    checkpoint: str
    sample: Sample
    tokens: list[str]
    segment_ids: np.ndarray[Any, Any]
    unit_ids: np.ndarray[Any, Any]
    special: np.ndarray[Any, Any]
    layers: dict[str, list[np.ndarray[Any, Any]]] = field(default_factory=dict)

    def pattern(self, term: str = "pattern") -> np.ndarray[Any, Any] | None:
        """Return (layer, head, query, key) of "pattern", "mono" or "cross"; None where the model has no such term."""
        return np.stack(self.layers[term]) if term in self.layers else None


@dataclass
class PatternReducer:
    """Keeps the patterns of the samples whose keys are asked for; appends one `KeptPattern` per version to `kept`."""

    checkpoint: str
    tokenizer: PreTrainedTokenizerBase
    keys: Collection[str]
    kept: list[KeptPattern]
    needs: frozenset[str] = frozenset({"pattern", "terms"})
    _open: dict[int, KeptPattern] = field(default_factory=dict, repr=False)

    def update(self, capture: AttentionCapture) -> None:
        """Keep one layer's pattern of the wanted samples of a batch."""
        batch = capture.batch
        if capture.layer == 0 or not self._open:
            self._open = {}
            owned = getattr(batch, "owned", torch.arange(len(batch))).tolist()
            for row in owned:
                version = getattr(batch, "versions", [None] * len(batch))[row]
                if batch.samples[row].key in self.keys and (version is None or version.routed_as is None):
                    self._open[row] = self._start(capture, row)
                    self.kept.append(self._open[row])
        if not self._open:
            return
        terms = {"pattern": capture.pattern, "mono": capture.mono, "cross": capture.cross}
        for row, kept in self._open.items():
            length = len(kept.tokens)
            for term, tensor in terms.items():
                if tensor is not None:
                    piece = tensor[row, :, :length, :length]
                    kept.layers.setdefault(term, []).append(piece.to(torch.float16).cpu().numpy())

    def _start(self, capture: AttentionCapture, row: int) -> KeptPattern:
        batch = capture.batch
        length = int(batch.lengths[row])
        tokens: Any = self.tokenizer.convert_ids_to_tokens(batch.input_ids[row, :length].tolist())
        parts = (batch.segment_ids, batch.unit_ids, batch.special_mask)
        segments, units, special = (part[row, :length].cpu().numpy() for part in parts)
        return KeptPattern(self.checkpoint, batch.samples[row], list(tokens), segments, units, special)

    def merge(self, other: PatternReducer) -> None:
        """Take over what another reducer kept."""
        if other.checkpoint != self.checkpoint:
            raise DataError(f"cannot merge patterns of {other.checkpoint!r} into those of {self.checkpoint!r}")
        self.kept.extend(other.kept)

    def result(self) -> list[KeptPattern]:
        """Return the patterns kept."""
        return self.kept

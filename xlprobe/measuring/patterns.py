"""Raw patterns of the few problems that a user names, for maps and the explorer, and their rows of the table."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from xlprobe.measuring.attention import paired
from xlprobe.measuring.forward import AttentionCapture
from xlprobe.results.patterns import KeptPattern

__all__ = ["KeptPattern", "PatternReader", "attention_of_units"]


@dataclass
class PatternReader:
    """Hands patterns of the problems whose keys are asked for to `take`, batch by batch: one `KeptPattern` a version.

    `pieces` are the tokens of their texts by id.
    """

    checkpoint: str
    pieces: Mapping[int, str]
    keys: Collection[str]
    take: Callable[[list[KeptPattern]], object]
    needs: frozenset[str] = frozenset({"pattern", "queries"})
    _open: dict[int, KeptPattern] = field(default_factory=dict, repr=False)

    def update(self, capture: AttentionCapture) -> None:
        """Keep one layer's pattern of the wanted samples of a batch."""
        if capture.layer == 0 or not self._open:
            self.result()
            batch = paired(capture.batch)
            for row in batch.owned.tolist():
                if batch.samples[row].key in self.keys and batch.versions[row].routed_as is None:
                    self._open[row] = self._start(capture, row)
        if not self._open:
            return
        terms = {"pattern": capture.pattern, "mono": capture.mono, "cross": capture.cross}
        for row, kept in self._open.items():
            length = len(kept.tokens)
            for term, tensor in terms.items():
                if tensor is not None:
                    piece = tensor[row, :, :length, :length]
                    kept.layers.setdefault(term, []).append(piece.to(torch.float16).cpu().numpy())

    def result(self) -> None:
        """Hand on what the last batch gave."""
        if done := list(self._open.values()):
            self.take(done)
        self._open = {}

    def _start(self, capture: AttentionCapture, row: int) -> KeptPattern:
        batch = capture.batch
        length = int(batch.lengths[row])
        tokens = [self.pieces[number] for number in batch.input_ids[row, :length].tolist()]
        ids = (batch.segment_ids, batch.unit_ids, batch.special_mask)
        segments, units, special = (one[row, :length].cpu().numpy() for one in ids)
        return KeptPattern(self.checkpoint, batch.samples[row], tokens, segments, units, special)


MAPS = "attention_maps"
"""Where the manifest keeps the texts and the places of tokens, which rows cannot hold."""


def attention_of_units(kept: Sequence[KeptPattern], writer: Any, manifest: dict[str, Any]) -> None:
    """Write the first kept problem's attention between units, and into the manifest what its units say.

    Rows have the metric `attention`, the head mean of each layer, and as block the places of the querying and the
    attended unit ("3->1"): 0 is all special tokens together, then the context's sentences from 1, the question last.
    A value is what a unit's tokens spend on all tokens of the other on average, range [0, 1]; over the attended units
    they sum to 1.
    """
    known = manifest.get(MAPS, {})
    key = known.get("sample", kept[0].sample.key)
    texts: dict[str, list[str]] = known.get("texts", {})
    places: dict[str, dict[str, Any]] = known.get("tokens", {})
    for one in kept:
        sample = one.sample
        if sample.key != key:
            continue
        pair = f"{sample.context_language}-{sample.question_language}"
        texts[pair] = [*sample.context, *([sample.question] if sample.question else [])]
        units = np.where(one.special, 0, one.unit_ids + 1)
        places.setdefault(one.checkpoint, {})[pair] = {"units": units.tolist(), "segments": one.segment_ids.tolist()}
        pooled = _pooled(one, units, len(texts[pair]) + 1)
        layer, query, attended = np.indices(pooled.shape).reshape(3, -1)
        labels = {
            "layer": layer,
            "block": np.array([f"{q}->{k}" for q, k in zip(query, attended, strict=True)], dtype=object),
        }
        writer.append(
            pooled.reshape(-1), labels, metric="attention", checkpoint=one.checkpoint, dataset=sample.dataset,
            context_language=sample.context_language, question_language=sample.question_language, sample=sample.key,
            group=sample.group,
        )  # fmt: skip
    manifest[MAPS] = {"sample": key, "texts": texts, "tokens": places}


def _pooled(one: KeptPattern, units: np.ndarray[Any, Any], count: int) -> np.ndarray[Any, Any]:
    """Mean over heads of the attention between units, (layer, unit, unit)."""
    pattern = one.pattern()
    assert pattern is not None
    member = np.eye(count)[units]
    share = member / member.sum(axis=0).clip(min=1)
    return np.asarray(np.einsum("lqk,qs,kt->lst", pattern.astype(np.float64).mean(axis=1), share, member))

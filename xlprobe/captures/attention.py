"""The reducer of all attention metrics: from one layer's pattern to rows of the table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from xlprobe.captures.plan import PairedBatch
from xlprobe.captures.stream import AttentionCapture, OutputCapture
from xlprobe.errors import DataError
from xlprobe.metrics import (
    MASS_BLOCKS,
    SIMILARITIES,
    PooledPattern,
    Profile,
    Roles,
    block_mass,
    compare,
    norm_weighted,
    pattern_distance,
    profile_entropy,
    query_shares,
    value_norms,
)

__all__ = ["ATTENTION_METRICS", "SHARES", "AttentionReducer", "OutputReducer", "Sink"]

BLOCKS_COMPARED = ("context->context", "cls->context", "question->context")
SHAPE_BLOCKS = ("context->context", "question->context")
SHARE_BLOCKS = (*MASS_BLOCKS, "context->context", "question->question")
_MASS = ("cross_lingual_mass", "mass_expectation", "mass_lift")
_SHAPE = ("entropy", "attention_distance", "sink_mass")
SHARES = ("share_mono", "share_cross")
_NORM = ("norm_js_stability", "norm_cross_lingual_mass", "norm_mass_lift")

ATTENTION_METRICS: tuple[str, ...] = (*SIMILARITIES, *_SHAPE, *_MASS, *SHARES, *_NORM)
"""The names that `AttentionReducer` computes, per sample, layer and head."""


class Sink(Protocol):
    """Takes rows: the values of some rows of a batch, and the columns that they share."""

    def __call__(
        self, values: np.ndarray[Any, Any], batch: PairedBatch, rows: np.ndarray[Any, Any], **columns: Any
    ) -> None:
        """Take the values of these rows of the batch."""


@dataclass
class AttentionReducer:
    """Computes attention metrics per sample, layer and head, and hands the rows to `sink`; keeps no pattern.

    `metrics` are names of `ATTENTION_METRICS`; those a plain encoder has no use for (the two queries' shares) are
    left out there. Norm-weighted metrics (Kobayashi et al. 2020) run on the row-normalised weights.
    """

    sink: Sink
    metrics: Sequence[str] = ATTENTION_METRICS
    poolings: Sequence[str] = ("token", "mass", "density")
    blocks: Sequence[str] = BLOCKS_COMPARED
    samples: int = 0
    _roles: tuple[PairedBatch, Roles] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if unknown := sorted(set(self.metrics) - set(ATTENTION_METRICS)):
            raise DataError(f"got the metrics {unknown}; expected some of {', '.join(ATTENTION_METRICS)}")

    @property
    def needs(self) -> frozenset[str]:
        """What the chosen metrics are computed from."""
        found = {"pattern"}
        if self._wants(SHARES):
            found.add("terms")
        if self._wants(_NORM):
            found.add("values")
        return frozenset(found)

    def _wants(self, names: Sequence[str]) -> list[str]:
        return [name for name in names if name in self.metrics]

    def update(self, capture: AttentionCapture) -> None:
        """Compute the metrics of one layer on one batch."""
        batch = capture.batch
        if not isinstance(batch, PairedBatch):
            raise DataError(f"got a {type(batch).__name__}; expected a PairedBatch made by paired_batches")
        pooled = PooledPattern(capture.pattern, self._roles_of(batch))
        emit = _Emit(self.sink, batch, capture.layer)
        if names := self._wants(SIMILARITIES):
            self._compare(pooled, emit, names, "")
        if self._wants(_SHAPE):
            self._shape(pooled, emit)
        if names := self._wants(_MASS):
            _mass(pooled, emit, names, "")
        if self._wants(SHARES) and capture.cross is not None:
            cross = PooledPattern(capture.cross, pooled.roles)
            for block in SHARE_BLOCKS:
                mono_share, cross_share = query_shares(pooled, cross, block)
                for name, share in zip(SHARES, (mono_share, cross_share), strict=True):
                    if name in self.metrics:
                        emit.owned(share, metric=name, block=block)
        if self._wants(_NORM) and capture.values is not None and capture.output_weight is not None:
            norms = value_norms(capture.values, capture.output_weight)
            weighted = PooledPattern(norm_weighted(capture.pattern, norms, normalise=True), pooled.roles)
            if "norm_js_stability" in self.metrics:
                self._compare(weighted, emit, ["js_stability"], "norm_")
            _mass(weighted, emit, [n.removeprefix("norm_") for n in self._wants(_NORM) if "mass" in n], "norm_")
        if capture.layer == 0:
            self.samples += len(batch.owned)

    def _roles_of(self, batch: PairedBatch) -> Roles:
        if self._roles is None or self._roles[0] is not batch:
            self._roles = batch, Roles.from_ids(batch.segment_ids, batch.unit_ids, batch.special_mask)
        return self._roles[1]

    def _compare(self, pooled: PooledPattern, emit: _Emit, names: Sequence[str], prefix: str) -> None:
        for pooling in self.poolings:
            for block in self.blocks:
                profile = pooled.profile(block, pooling)  # type: ignore[arg-type]
                for group in emit.batch.groups:
                    if pooling == "token" and not group.by_token:
                        continue
                    # Controls and the routing condition carry the primary measure; the robustness set rests on it.
                    wanted = names if group.condition == "observed" else [n for n in names if n == "js_stability"]
                    if not wanted:
                        continue
                    values = compare(profile.select(group.left), profile.select(group.right), wanted)
                    for name, value in values.items():
                        emit.rows(
                            value,
                            group.left,
                            metric=prefix + name,
                            block=block,
                            pooling=pooling,
                            condition=group.condition,
                            reference=group.reference,
                        )

    def _shape(self, pooled: PooledPattern, emit: _Emit) -> None:
        for block in SHAPE_BLOCKS:
            profile: Profile = pooled.profile(block, "token")
            if "entropy" in self.metrics:
                emit.owned(profile_entropy(profile), metric="entropy", block=block, pooling="token")
            if "sink_mass" in self.metrics:
                emit.owned(profile.sink_mass, metric="sink_mass", block=block)
        if "attention_distance" in self.metrics:
            emit.owned(pattern_distance(pooled), metric="attention_distance")

    def merge(self, other: AttentionReducer) -> None:
        """Take over another reducer's count; its rows are in its sink."""
        self.samples += other.samples

    def result(self) -> int:
        """Return the number of versions measured."""
        return self.samples


@dataclass(frozen=True)
class _Emit:
    """Hands values to the sink with what is known of the batch and the layer."""

    sink: Sink
    batch: PairedBatch
    layer: int

    def rows(self, values: Tensor, rows: Tensor, **columns: Any) -> None:
        self.sink(values.float().cpu().numpy(), self.batch, rows.cpu().numpy(), layer=self.layer, **columns)

    def owned(self, values: Tensor, **columns: Any) -> None:
        """Report one value per head for every owned row."""
        picked = values[self.batch.owned.to(values.device)]
        routed = np.array([version.routed_as is not None for version in self.batch.versions])
        rows = self.batch.owned.cpu().numpy()
        forced = routed[rows]
        for mask, condition in ((~forced, "observed"), (forced, "forced")):
            if mask.any():
                part = picked[torch.as_tensor(np.flatnonzero(mask), device=picked.device)]
                self.rows(part, torch.as_tensor(rows[mask]), condition=condition, **columns)


def _mass(pooled: PooledPattern, emit: _Emit, names: Sequence[str], prefix: str) -> None:
    for block in MASS_BLOCKS if names else ():
        mass = block_mass(pooled, block)
        # The expectation is the same for every head and layer: one value per sample.
        found = {
            "cross_lingual_mass": mass.observed,
            "mass_expectation": mass.expected[:, None],
            "mass_lift": mass.lift,
        }
        for name in names:
            if name != "mass_expectation" or emit.layer == 0:
                emit.owned(found[name], metric=prefix + name, block=block)


@dataclass
class OutputReducer:
    """Reports, per sample, whether a classifier is right (`correct`, 0 or 1) and the gold logit's margin.

    `gold_margin` is the gold label's logit minus the largest other one, in logits; above 0 means right.
    """

    sink: Sink
    samples: int = 0
    needs: frozenset[str] = frozenset({"logits"})

    def update(self, capture: OutputCapture) -> None:
        """Take one batch's logits."""
        batch = capture.batch
        if not isinstance(batch, PairedBatch):
            raise DataError(f"got a {type(batch).__name__}; expected a PairedBatch made by paired_batches")
        logits = capture.logits.double()
        labels = batch.labels.clamp_min(0)
        if int(labels.max()) >= logits.shape[1]:
            raise DataError(f"got the label {int(labels.max())}; the checkpoint tells {logits.shape[1]} labels apart")
        gold = logits.gather(1, labels[:, None])
        others = logits.scatter(1, labels[:, None], -torch.inf).amax(dim=1, keepdim=True)
        margin = torch.where(batch.labels[:, None] >= 0, gold - others, torch.nan)
        correct = torch.where(margin.isnan(), torch.nan, (margin > 0).double())
        emit = _Emit(self.sink, batch, -1)
        for name, values in (("correct", correct), ("gold_margin", margin)):
            emit.owned(values, metric=name)
        self.samples += len(batch.owned)

    def merge(self, other: OutputReducer) -> None:
        """Take over another reducer's count; its rows are in its sink."""
        self.samples += other.samples

    def result(self) -> int:
        """Return the number of versions measured."""
        return self.samples

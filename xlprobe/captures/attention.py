"""The reducer of all attention metrics: from one layer's pattern to rows of the table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from xlprobe.captures.plan import Comparisons, PairedBatch
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
    pattern_distance,
    profile_entropy,
    query_shares,
    value_norms,
)
from xlprobe.metrics.profiles import Memory
from xlprobe.metrics.tensors import CHUNK_ELEMENTS
from xlprobe.samples.encoding import Batch

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
    """Takes rows of the table: `values` (row, head), `labels` with one entry per row, and columns that all share."""

    def __call__(self, values: np.ndarray[Any, Any], labels: Mapping[str, Any], **columns: Any) -> None:
        """Take these rows."""


_FACTS = {"cosine": "squares", "pearson": "squares", "argmax_agreement": "largest"}
Labels = Mapping[str, np.ndarray[Any, Any]]


@dataclass(frozen=True)
class _Part:
    """Comparisons, their sides a few at a time: the labels of all, and of the observed ones, which `observed` picks."""

    sides: list[tuple[Tensor, Tensor]]
    labels: Labels
    observed: Tensor
    observed_labels: Labels


@dataclass(frozen=True)
class _Rows:
    """What all layers share of one batch: the roles of its tokens, its rows' labels, and what is compared."""

    batch: PairedBatch
    _parts: dict[tuple[str, str], list[_Part]] = field(default_factory=dict)

    @cached_property
    def roles(self) -> Roles:
        return Roles.from_ids(self.batch.segment_ids, self.batch.unit_ids, self.batch.special_mask)

    @cached_property
    def labels(self) -> Labels:
        return row_labels(self.batch)

    @cached_property
    def owned_labels(self) -> Labels:
        """The labels of the rows that are reported."""
        return {name: column[self.batch.owned.cpu().numpy()] for name, column in self.labels.items()}

    def parts(self, profile: Profile, block: str, pooling: str) -> list[_Part]:
        """Return the comparisons that a pooling allows: all at once where they are few, else in up to four kinds.

        The kinds are observed ones and controls, for which less is computed, each by whether both sides have the same
        cells; else they are cut to what both have, which costs a copy. The texts alone decide, so the first layer's
        profile settles it.
        """
        if (block, pooling) not in self._parts:
            every = self.batch.comparisons
            every = every[every.by_token] if pooling == "token" else every
            rows, cells = profile.rows.cpu(), profile.cells.cpu()
            alike = (rows[every.left] == rows[every.right]).all(dim=1)
            alike &= (cells[every.left] == cells[every.right]).all(dim=1)
            size = max(CHUNK_ELEMENTS // max(profile.values[0].numel(), 1), 1)
            kinds = [every]
            if len(every) > size:
                observed = every.is_observed
                kinds = [every[(observed == kind) & same] for kind in (True, False) for same in (alike, ~alike)]
            self._parts[block, pooling] = [self._part(these, size) for these in kinds if len(these)]
        return self._parts[block, pooling]

    def _part(self, these: Comparisons, size: int) -> _Part:
        labels = {name: column[these.left.numpy()] for name, column in self.labels.items()}
        labels |= {"condition": these.condition, "reference": these.reference}
        sides = list(zip(these.left.split(size), these.right.split(size), strict=True))
        observed = torch.nonzero(these.is_observed)[:, 0]
        if len(observed) == len(these):
            return _Part(sides, labels, observed, labels)
        return _Part(sides, labels, observed, {name: column[observed.numpy()] for name, column in labels.items()})


def row_labels(batch: PairedBatch) -> dict[str, np.ndarray[Any, Any]]:
    """Return the columns of the table that tell a batch's rows apart."""
    names = ("dataset", "context_language", "question_language", "sample", "group", "depth")
    columns = [(s.dataset, s.context_language, s.question_language, s.key, s.group, s.depth) for s in batch.samples]
    found = {
        name: np.array(column, dtype=object) for name, column in zip(names, zip(*columns, strict=True), strict=True)
    }
    routed = np.array([version.routed_as is not None for version in batch.versions])
    return {**found, "condition": np.where(routed, "forced", "observed").astype(object)}


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
    _rows: _Rows | None = field(default=None, repr=False)
    _memory: Memory = field(default_factory=Memory, repr=False)

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
        rows = self._rows_of(capture.batch)
        emit = _Emit(self.sink, rows, capture.layer)
        pooled = PooledPattern(capture.pattern, rows.roles)
        self._profiles(pooled, emit, self._wants(SIMILARITIES), "")
        if "attention_distance" in self.metrics:
            emit.owned(pattern_distance(pooled), metric="attention_distance")
        _mass(pooled, emit, self._wants(_MASS), "")
        if self._wants(SHARES) and capture.cross is not None:
            cross = PooledPattern(capture.cross, pooled.roles)
            for block in SHARE_BLOCKS:
                mono_share, cross_share = query_shares(pooled, cross, block)
                for name, share in zip(SHARES, (mono_share, cross_share), strict=True):
                    if name in self.metrics:
                        emit.owned(share, metric=name, block=block)
        if self._wants(_NORM) and capture.values is not None and capture.output_weight is not None:
            norms = value_norms(capture.values, capture.output_weight)
            weighted = PooledPattern(capture.pattern, pooled.roles, norms)
            self._profiles(weighted, emit, ["js_stability"] if "norm_js_stability" in self.metrics else [], "norm_")
            _mass(weighted, emit, [n.removeprefix("norm_") for n in self._wants(_NORM) if "mass" in n], "norm_")
        if capture.layer == 0:
            self.samples += len(rows.batch.owned)

    def _rows_of(self, batch: Batch) -> _Rows:
        if not isinstance(batch, PairedBatch):
            raise DataError(f"got a {type(batch).__name__}; expected a PairedBatch made by paired_batches")
        if self._rows is None or self._rows.batch is not batch:
            self._rows = _Rows(batch)
        return self._rows

    def _profiles(self, pooled: PooledPattern, emit: _Emit, names: Sequence[str], prefix: str) -> None:
        """Measure the shape of each block (not of norm-weighted patterns), and compare it as `names` say."""
        for block in self.blocks:
            shape = self._wants(("entropy", "sink_mass")) if block in SHAPE_BLOCKS and not prefix else []
            for pooling in self.poolings if names else ("token",) if shape else ():
                profile = pooled.profile(block, pooling, self._memory)  # type: ignore[arg-type]
                if pooling == "token" and "entropy" in shape:
                    emit.owned(profile_entropy(profile), metric="entropy", block=block, pooling="token")
                if pooling == "token" and "sink_mass" in shape:
                    emit.owned(profile.sink_mass, metric="sink_mass", block=block)
                if names:
                    self._compare(profile, emit, names, prefix, block, pooling)

    def _compare(
        self, profile: Profile, emit: _Emit, names: Sequence[str], prefix: str, block: str, pooling: str
    ) -> None:
        # Once for all comparisons that a row takes part in.
        _ = profile.entropy, *(getattr(profile, fact) for name, fact in _FACTS.items() if name in names)
        for part in emit.rows.parts(profile, block, pooling):
            # Controls and the routing condition carry the primary measure; the robustness set rests on it.
            wanted = [name for name in names if name == "js_stability" or len(part.observed)]
            found = [compare(profile.select(one), profile.select(other), wanted) for one, other in part.sides if wanted]
            for name in wanted:
                values, labels = torch.cat([values[name] for values in found]), part.labels
                if name != "js_stability" and part.observed_labels is not labels:
                    values, labels = values[part.observed.to(values.device)], part.observed_labels
                emit(values, labels, metric=prefix + name, block=block, pooling=pooling)

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
    rows: _Rows
    layer: int

    def __call__(self, values: Tensor, labels: Labels, **columns: Any) -> None:
        self.sink(values.float().cpu().numpy(), labels, layer=self.layer, **columns)

    def owned(self, values: Tensor, **columns: Any) -> None:
        """Report one value per head for every owned row."""
        self(values[self.rows.batch.owned.to(values.device)], self.rows.owned_labels, **columns)


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
        emit = _Emit(self.sink, _Rows(batch), -1)
        for name, values in (("correct", correct), ("gold_margin", margin)):
            emit.owned(values, metric=name)
        self.samples += len(batch.owned)

    def merge(self, other: OutputReducer) -> None:
        """Take over another reducer's count; its rows are in its sink."""
        self.samples += other.samples

    def result(self) -> int:
        """Return the number of versions measured."""
        return self.samples

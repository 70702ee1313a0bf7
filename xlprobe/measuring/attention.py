"""The reducer of all attention metrics: from one layer's pattern to rows of the table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from xlprobe.errors import DataError
from xlprobe.measuring.plan import PairedBatch
from xlprobe.measuring.rows import Emit, Rows, Sink
from xlprobe.measuring.stream import AttentionCapture, OutputCapture
from xlprobe.metrics import (
    MASS_BLOCKS,
    SIMILARITIES,
    PooledPattern,
    Profile,
    UnitPattern,
    block_mass,
    compare_pairs,
    pattern_distance,
    profile_entropy,
    query_shares,
    value_norms,
)
from xlprobe.metrics.profiles import Memory
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


_LAYERS_AT_ONCE = 6


@dataclass(frozen=True)
class _Small:
    """What is kept of one layer until some layers are measured together: arrays by unit, and profiles of one row."""

    layer: int
    units: dict[str, UnitPattern]
    profiles: dict[tuple[str, str], Profile]


@dataclass
class AttentionReducer:
    """Computes attention metrics per sample, layer and head, and hands the rows to `sink`; keeps no pattern.

    `metrics` are names of `ATTENTION_METRICS`; those a plain encoder has no use for (the two queries' shares) are
    left out there. Norm-weighted metrics (Kobayashi et al. 2020) run on the row-normalised weights. What is small,
    such as the attention between units, is measured for some layers together, so that the last rows of a batch come
    with the next batch or with `result`.
    """

    sink: Sink
    metrics: Sequence[str] = ATTENTION_METRICS
    poolings: Sequence[str] = ("token", "mass", "density")
    blocks: Sequence[str] = BLOCKS_COMPARED
    samples: int = 0
    _rows: Rows | None = field(default=None, repr=False)
    _memory: Memory = field(default_factory=Memory, repr=False)
    _waiting: list[_Small] = field(default_factory=list, repr=False)

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
        if self._waiting and capture.layer <= self._waiting[-1].layer:  # another pass over the same batch
            self._finish()
        rows = self._rows_of(capture.batch)
        emit = Emit(self.sink, rows, [capture.layer])
        small = _Small(capture.layer, {}, {})
        pooled = PooledPattern(capture.pattern, rows.roles)
        self._take(pooled, emit, small, "")
        if "attention_distance" in self.metrics:
            emit.owned(pattern_distance(pooled), metric="attention_distance")
        if self._wants(SHARES) and capture.cross is not None:
            small.units["cross"] = PooledPattern(capture.cross, rows.roles).units
        if self._wants(_NORM) and capture.values is not None and capture.output_weight is not None:
            norms = value_norms(capture.values, capture.output_weight)
            self._take(PooledPattern(pooled.pattern, rows.roles, norms), emit, small, "norm_")
        self._waiting.append(small)
        if len(self._waiting) == _LAYERS_AT_ONCE:
            self._finish()
        if capture.layer == 0:
            self.samples += len(rows.batch.owned)

    def _rows_of(self, batch: Batch) -> Rows:
        if not isinstance(batch, PairedBatch):
            raise DataError(f"got a {type(batch).__name__}; expected a PairedBatch made by paired_batches")
        if self._rows is None or self._rows.batch is not batch:
            self._finish()
            self._rows = Rows(batch)
        return self._rows

    def _similarities(self, prefix: str) -> list[str]:
        return self._wants(SIMILARITIES) if not prefix else [n for n in SIMILARITIES if prefix + n in self.metrics]

    def _shapes(self, block: str, prefix: str) -> list[str]:
        """The shape metrics of a block; norm-weighted patterns have none."""
        return self._wants(("entropy", "sink_mass")) if block in SHAPE_BLOCKS and not prefix else []

    def _take(self, pooled: PooledPattern, emit: Emit, small: _Small, prefix: str) -> None:
        """Measure rows of tokens now, because they are large, and keep what is small."""
        small.units[prefix] = pooled.units
        tokens = "token" in self.poolings and bool(self._similarities(prefix))
        for block in self.blocks:
            if not (tokens or self._shapes(block, prefix)):
                continue
            if block == "context->context":
                self._report(pooled.profile(block, "token", self._memory), emit, prefix, block, "token")
            else:
                small.profiles[prefix, block] = pooled.profile(block, "token")

    def _finish(self) -> None:
        """Measure what was kept of the last layers."""
        waiting, self._waiting = self._waiting, []
        if not waiting or self._rows is None:
            return
        emit = Emit(self.sink, self._rows, [small.layer for small in waiting])
        for prefix, block in waiting[0].profiles:
            profile = Profile.side_by_side([small.profiles[prefix, block] for small in waiting])
            self._report(profile, emit, prefix, block, "token")
        units = {name: UnitPattern.side_by_side([s.units[name] for s in waiting]) for name in waiting[0].units}
        for prefix in ("", "norm_"):
            if prefix not in units:
                continue
            for block in self.blocks if self._similarities(prefix) else ():
                for pooling in [name for name in self.poolings if name != "token"]:
                    self._report(units[prefix].profile(block, pooling), emit, prefix, block, pooling)  # type: ignore[arg-type]
            _mass(units[prefix], emit, [name for name in _MASS if prefix + name in self.metrics], prefix)
        for block in SHARE_BLOCKS if "cross" in units else ():
            for name, share in zip(SHARES, query_shares(units[""], units["cross"], block), strict=True):
                if name in self.metrics:
                    emit.owned(share, metric=name, block=block)

    def _report(self, profile: Profile, emit: Emit, prefix: str, block: str, pooling: str) -> None:
        """Measure a profile's shape, and compare its rows with each other."""
        shapes = self._shapes(block, prefix) if pooling == "token" else []
        if "entropy" in shapes:
            emit.owned(profile_entropy(profile), metric="entropy", block=block, pooling="token")
        if "sink_mass" in shapes:
            emit.owned(profile.sink_mass, metric="sink_mass", block=block)
        names = self._similarities(prefix) if pooling in self.poolings else []
        if names:
            self._compare(profile, emit, names, prefix, block, pooling)

    def _compare(
        self, profile: Profile, emit: Emit, names: Sequence[str], prefix: str, block: str, pooling: str
    ) -> None:
        for part in emit.rows.parts(profile, block, pooling):
            # Controls and the routing condition carry the primary measure; the robustness set rests on it.
            wanted = [name for name in names if name == "js_stability" or len(part.observed)]
            found = compare_pairs(profile, part.left, part.right, wanted, alike=part.alike) if wanted else {}
            for name, values in found.items():
                labels = part.labels
                if name != "js_stability" and part.observed_labels is not labels:
                    values, labels = values[part.observed.to(values.device)], part.observed_labels
                emit(values, labels, metric=prefix + name, block=block, pooling=pooling)

    def merge(self, other: AttentionReducer) -> None:
        """Take over another reducer's count; its rows are in its sink."""
        self.samples += other.samples

    def result(self) -> int:
        """Measure what is left and return the number of versions measured."""
        self._finish()
        return self.samples


def _mass(pattern: UnitPattern, emit: Emit, names: Sequence[str], prefix: str) -> None:
    for block in MASS_BLOCKS if names else ():
        mass = block_mass(pattern, block)
        # The expectation is the same for every head and layer: one value per sample.
        found = {
            "cross_lingual_mass": mass.observed,
            "mass_expectation": mass.expected[:, None],
            "mass_lift": mass.lift,
        }
        for name in names:
            if name != "mass_expectation" or 0 in emit.layers:
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
        emit = Emit(self.sink, Rows(batch), [-1])
        for name, values in (("correct", correct), ("gold_margin", margin)):
            emit.owned(values, metric=name)
        self.samples += len(batch.owned)

    def merge(self, other: OutputReducer) -> None:
        """Take over another reducer's count; its rows are in its sink."""
        self.samples += other.samples

    def result(self) -> int:
        """Return the number of versions measured."""
        return self.samples

"""Metrics of attention, from one layer's pattern of a batch to rows of the table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from xlprobe.errors import DataError
from xlprobe.measuring.forward import AttentionCapture, OutputCapture
from xlprobe.measuring.plan import PairedBatch
from xlprobe.measuring.rows import BatchRows, Emit, PairGroup, Sink
from xlprobe.metrics import PooledPattern, Profile, UnitPattern, compare_pairs, value_norms
from xlprobe.metrics.base import Metric, by_computation
from xlprobe.metrics.pooled import Memory
from xlprobe.metrics.pooling import pool_keys
from xlprobe.metrics.tensors import as_float
from xlprobe.samples.batch import Batch

__all__ = ["AnswerReader", "AttentionReader", "batch_values", "read_by"]

LAYERS_AT_ONCE = 6
"""How many layers wait to be measured together, of what is small."""


def read_by(metrics: Sequence[Metric]) -> tuple[Metric, ...]:
    """Return those metrics that `AttentionReader` computes."""
    kinds = {("attention", name) for name in ("pattern", "pooled", "rows", "units", "queries")}
    return tuple(one for one in metrics if (one.kind, one.takes) in kinds | {("comparison", "rows")})


@dataclass(frozen=True)
class _Waiting:
    """What is kept of one layer until some layers are measured together: arrays by unit, and profiles of one row."""

    layer: int
    units: dict[bool, UnitPattern]
    profiles: dict[tuple[bool, str], Profile]
    cross: UnitPattern | None = None


@dataclass
class AttentionReader:
    """Computes metrics of attention per sample, layer and head, and hands the rows to `sink`; keeps no pattern.

    `metrics` are of one version's attention or compare two (see `read_by`); those of two queries are left out on a
    plain encoder. What is small, such as the attention between units, is measured for some layers together, so that the
    last rows of a batch come with the next batch or with `result`."""

    sink: Sink
    metrics: Sequence[Metric]
    _rows: BatchRows | None = field(default=None, repr=False)
    _memory: Memory = field(default_factory=Memory, repr=False)
    _waiting: list[_Waiting] = field(default_factory=list, repr=False)

    @property
    def needs(self) -> frozenset[str]:
        """What the metrics are computed from."""
        return frozenset({"pattern"}).union(*(one.needs for one in self.metrics))

    def reduce(self, pattern: Tensor, batch: Batch) -> Tensor:
        """Return what is needed of the rows of some queries: their attention to each unit."""
        return pool_keys(as_float(pattern), self._rows_of(batch).roles.cells)

    def update(self, capture: AttentionCapture) -> None:
        """Measure one layer of one batch."""
        if self._waiting and capture.layer <= self._waiting[-1].layer:  # another pass over the same batch
            self._finish()
        rows = self._rows_of(capture.batch)
        emit = Emit(self.sink, rows, [capture.layer])
        reach = rows.reach(capture)
        if capture.pattern is None:
            pooled = PooledPattern.of_rows(capture.rows, rows.roles, reach)
        else:
            pooled = PooledPattern(capture.pattern, rows.roles, reach=reach)
        waiting = _Waiting(capture.layer, {}, {}, self._cross_units(capture, rows))
        self._take(pooled, emit, waiting, weighted=False)
        for one in self._of("attention", "pattern"):
            assert capture.pattern is not None
            emit.owned(batch_values(one, one.function(capture.pattern, capture.batch), capture.batch), metric=one.name)
        for one in self._of("attention", "pooled"):
            emit.owned(one.function(pooled), metric=one.name)
        if any(one.weighted for one in self.metrics) and capture.values is not None:
            norms = value_norms(capture.values, capture.output_weight)  # type: ignore[arg-type]
            self._take(PooledPattern(pooled.pattern, rows.roles, norms, reach), emit, waiting, weighted=True)
        self._waiting.append(waiting)
        if len(self._waiting) == LAYERS_AT_ONCE:
            self._finish()

    def result(self) -> None:
        """Measure what is left."""
        self._finish()

    def _of(self, kind: str, takes: str, weighted: bool = False) -> list[Metric]:
        return [one for one in self.metrics if (one.kind, one.takes, one.weighted) == (kind, takes, weighted)]

    def _rows_of(self, batch: Batch) -> BatchRows:
        if self._rows is None or self._rows.batch is not batch:
            self._finish()
            self._rows = BatchRows(paired(batch))
        return self._rows

    def _cross_units(self, capture: AttentionCapture, rows: BatchRows) -> UnitPattern | None:
        if capture.cross is None or not self._of("attention", "queries"):
            return None
        return PooledPattern(capture.cross, rows.roles).units

    def _row_blocks(self, weighted: bool) -> list[str]:
        """The blocks whose rows of tokens are asked for."""
        metrics = [*self._of("attention", "rows", weighted)]
        metrics += [one for one in self._of("comparison", "rows", weighted) if "token" in one.poolings]
        return list(dict.fromkeys(block for one in metrics for block in one.blocks))

    def _take(self, pooled: PooledPattern, emit: Emit, waiting: _Waiting, weighted: bool) -> None:
        """Measure rows of tokens now, because they are large, and keep what is small."""
        waiting.units[weighted] = pooled.units
        for block in self._row_blocks(weighted):
            if block.split("->")[0] in ("context", ""):
                self._report(pooled.profile(block, "token", self._memory), emit, weighted, (block, "token"))
            else:
                waiting.profiles[weighted, block] = pooled.profile(block, "token")

    def _finish(self) -> None:
        """Measure what was kept of the last layers."""
        waiting, self._waiting = self._waiting, []
        if not waiting or self._rows is None:
            return
        emit = Emit(self.sink, self._rows, [one.layer for one in waiting])
        for weighted, block in waiting[0].profiles:
            profile = Profile.side_by_side([one.profiles[weighted, block] for one in waiting])
            self._report(profile, emit, weighted, (block, "token"))
        for weighted in waiting[0].units:
            units = UnitPattern.side_by_side([one.units[weighted] for one in waiting])
            for block, pooling in self._unit_comparisons(weighted):
                self._report(units.profile(block, pooling), emit, weighted, (block, pooling))  # type: ignore[arg-type]
            _report_blocks(self._of("attention", "units", weighted), emit, units)
            if not weighted and waiting[0].cross is not None:
                cross = UnitPattern.side_by_side([one.cross for one in waiting if one.cross is not None])
                _report_blocks(self._of("attention", "queries"), emit, units, cross)

    def _unit_comparisons(self, weighted: bool) -> Iterator[tuple[str, str]]:
        metrics = self._of("comparison", "rows", weighted)
        pairs = [(block, pooling) for one in metrics for block in one.blocks for pooling in one.poolings]
        yield from dict.fromkeys(pair for pair in pairs if pair[1] != "token")

    def _report(self, profile: Profile, emit: Emit, weighted: bool, place: tuple[str, str]) -> None:
        """Measure a profile's shape, and compare its rows with each other."""
        block, pooling = place
        for one in self._of("attention", "rows", weighted) if pooling == "token" else ():
            if block in one.blocks:
                values = batch_values(one, one.function(profile), emit.rows.batch)
                emit.owned(values, metric=one.name, block=block, pooling=one.poolings[0] if one.poolings else "")
        comparing = self._of("comparison", "rows", weighted)
        comparing = [one for one in comparing if block in one.blocks and pooling in one.poolings]
        for group in emit.rows.pair_groups(profile, block, pooling) if comparing else ():
            _compare(profile, emit, comparing, group, place)


def _compare(profile: Profile, emit: Emit, metrics: Sequence[Metric], group: PairGroup, place: tuple[str, str]) -> None:
    wanted = [one for one in metrics if one.controls or len(group.observed)]
    if not wanted:
        return
    values_by_name = compare_pairs(profile, group.left, group.right, wanted, alike=group.alike)
    for one in wanted:
        values, labels = values_by_name[one.name], group.labels
        if not one.controls and group.observed_labels is not labels:
            values, labels = values[group.observed.to(values.device)], group.observed_labels
        emit(values, labels, metric=one.name, block=place[0], pooling=place[1])


def _report_blocks(metrics: Sequence[Metric], emit: Emit, *patterns: UnitPattern) -> None:
    """Report metrics of the attention between units, block by block."""
    for first, several in by_computation(metrics):
        for block in first.blocks:
            values = first.function(*patterns, block)
            for one in several:
                # What is the same for every layer and head is one value of a sample.
                if one.per == "head" or 0 in emit.layers:
                    mine = values[one.key or one.name] if isinstance(values, dict) else values
                    emit.owned(mine, metric=one.name, block=block)


def batch_values(one: Metric, values: object, batch: Batch) -> Tensor:
    """Return what a metric gave for a batch, checked: (batch, head), or (batch, 1) of (batch,)."""
    if not isinstance(values, Tensor) or values.dim() not in (1, 2) or len(values) != len(batch):
        shape = tuple(values.shape) if isinstance(values, Tensor) else type(values).__name__
        raise DataError(
            f"the metric {one.name!r} gave {shape} for a batch of {len(batch)}; expected a tensor of (batch, head), or "
            "(batch,) for one value a sample"
        )
    return values if values.dim() == 2 else values[:, None]


def paired(batch: Batch) -> PairedBatch:
    """Return a batch that knows its versions, or refuse one that does not."""
    if not isinstance(batch, PairedBatch):
        raise DataError(f"got a {type(batch).__name__}; expected a PairedBatch made by paired_batches")
    return batch


@dataclass
class AnswerReader:
    """Computes metrics of the logits per sample, and hands the rows to `sink`."""

    sink: Sink
    metrics: Sequence[Metric]
    needs: frozenset[str] = frozenset({"logits"})

    def update(self, capture: OutputCapture) -> None:
        """Take one batch's logits."""
        rows = BatchRows(paired(capture.batch))
        emit = Emit(self.sink, rows, [-1])
        for one in self.metrics:
            values = batch_values(one, one.function(capture.logits, rows.batch.labels), rows.batch)
            emit.owned(values, metric=one.name)

    def result(self) -> None:
        """All is in the sink."""

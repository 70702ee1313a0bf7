"""A checkpoint's run on problems, batch by batch, as interventions see it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from xlprobe.checkpoints.checkpoint import Checkpoint
from xlprobe.encoders.answers import answer_logits
from xlprobe.encoders.products import fast_passes
from xlprobe.encoders.resume import keep_layers, resume_at
from xlprobe.interventions import HeadOutputs, record
from xlprobe.measuring.design import DEFAULT_INTERVENTIONS, Interventions
from xlprobe.memory import give_back_memory
from xlprobe.metrics import gold_margin
from xlprobe.metrics.base import Metric, by_computation
from xlprobe.samples import Batch, ParallelSample
from xlprobe.samples.encoding import Encoder

__all__ = ["BatchRun", "Run", "measure_answers", "measure_interventions"]


@dataclass(frozen=True)
class Run:
    """A checkpoint on problems, in pairs of languages, with the in-language reference where one is code-switched."""

    checkpoint: Checkpoint
    problems: Sequence[ParallelSample]
    pairs: Sequence[tuple[str, str]]
    base: str
    options: Interventions = DEFAULT_INTERVENTIONS
    batch_size: int = 32
    seed: int = 0
    with_reference: bool = True
    given_encoder: Encoder | None = field(default=None, repr=False)
    _means: dict[str, Tensor] = field(default_factory=dict, repr=False)

    @cached_property
    def encoder(self) -> Encoder:
        """The encoder of samples: one that knows their tokens already, or one of the checkpoint's."""
        return self.given_encoder or self.checkpoint.encoder()

    @cached_property
    def all_pairs(self) -> list[tuple[str, str]]:
        """The pairs, with the reference first where one is code-switched, if a reference is asked for."""
        reference = (self.base, self.base)
        if not self.with_reference or all(first == second for first, second in self.pairs):
            return list(self.pairs)
        return [reference, *(pair for pair in self.pairs if pair != reference)]

    def chunks(self, size: int | None = None) -> Iterator[list[ParallelSample]]:
        """Yield the problems in batches of similar length; the same for every pair."""
        ordered = sorted(self.problems, key=lambda problem: self.encoder.length(problem.pair(self.base, self.base)))
        step = size or self.batch_size
        for start in range(0, len(ordered), step):
            yield ordered[start : start + step]

    def batch(self, chunk: Sequence[ParallelSample], pair: tuple[str, str]) -> Batch:
        """Encode problems in one pair of languages, on the checkpoint's device."""
        return self.encoder.encode([problem.pair(*pair) for problem in chunk]).to(self.checkpoint.device)

    def batch_runs(self, size: int | None = None) -> Iterator[BatchRun]:
        """Yield every batch in every pair."""
        for chunk in self.chunks(size):
            reference: BatchRun | None = None
            for pair in self.all_pairs:
                one = BatchRun(self, chunk, pair, reference)
                reference = one if pair == (self.base, self.base) else reference
                yield one


@dataclass(frozen=True)
class BatchRun:
    """One batch in one pair of languages; `reference` is the run of the same problems in the base language."""

    run: Run
    chunk: Sequence[ParallelSample]
    pair: tuple[str, str]
    reference: BatchRun | None = None

    @cached_property
    def batch(self) -> Batch:
        """The encoded batch."""
        return self.run.batch(self.chunk, self.pair)

    @property
    def model(self) -> Any:
        """The checkpoint's model."""
        return self.run.checkpoint.model

    @property
    def layers(self) -> range:
        """The numbers of the model's layers."""
        return range(self.run.checkpoint.num_layers)

    @property
    def every_head(self) -> list[tuple[int, int]]:
        """All (layer, head) pairs."""
        return [(layer, head) for layer in self.layers for head in range(self.run.checkpoint.num_heads)]

    def logits(self) -> Float[Tensor, "batch label"]:
        """Run the model as it is at this moment."""
        with torch.no_grad():
            return answer_logits(self.model, self.batch, self.run.checkpoint.is_cross_query)

    def margins(self) -> Float[Tensor, " batch"]:
        """Run the model as it is at this moment, and return the gold margins."""
        return gold_margin(self.logits(), self.batch.labels)

    @property
    def clean(self) -> Float[Tensor, " batch"]:
        """The gold margins without an intervention."""
        return self._unchanged[0]

    @property
    def _layers(self) -> list[Any]:
        """What the layers return without an intervention."""
        return self._unchanged[1]

    @cached_property
    def _unchanged(self) -> tuple[Float[Tensor, " batch"], list[Any]]:
        with keep_layers(self.model) as layers:
            return self.margins(), layers

    @cached_property
    def outputs(self) -> HeadOutputs:
        """The outputs of all heads without an intervention."""
        return record(self.model, self.batch)

    def effect(self, intervention: AbstractContextManager[Any], first: int = 0) -> Float[Tensor, " batch"]:
        """Return what the gold margins change by under an intervention that edits no layer before `first`."""
        clean = self.clean  # before the intervention is there
        with resume_at(self.model, self._layers, first), intervention:
            return self.margins() - clean


@fast_passes()
def measure_interventions(
    metrics: Sequence[Metric],
    run: Run,
    writer: Any,
    columns: dict[str, Any],
    advance: Callable[[int], object] = lambda count: None,
) -> None:
    """Write the rows of metrics of interventions on one run; `columns` go into all of them.

    `advance` is told how many problems of a pair are done, of as many as there are pairs and problems.
    """
    for first, several in by_computation(metrics):
        wanted = {one.name: one for one in several}
        for one in run.batch_runs(1 if first.name == "head_importance" else None):
            labels = _labels(one)
            for more, values in first.function(one):
                name = more.get("metric", first.name)
                if name not in wanted:
                    continue
                _write(writer, wanted[name], values, labels, {"metric": name, **columns, **more})
            advance(len(one.chunk))


@fast_passes()
def measure_answers(metrics: Sequence[Metric], run: Run, writer: Any, columns: dict[str, Any]) -> None:
    """Write the rows of metrics of the logits on one run."""
    for one in run.batch_runs():
        logits, labels = one.logits(), _labels(one)
        for metric in metrics:
            values = metric.function(logits, one.batch.labels)
            _write(writer, metric, values, labels, {"metric": metric.name, **columns})
        give_back_memory()  # batches differ in length


def _write(writer: Any, metric: Metric, values: Any, labels: dict[str, Any], columns: dict[str, Any]) -> None:
    array = np.asarray(torch.as_tensor(values).cpu(), dtype=np.float64)
    absent = np.atleast_1d(np.isnan(array).reshape(len(array), -1).any(axis=1))
    why = columns.pop("reason", None) or metric.undefined or None
    reason = {"reason": [why if one else None for one in np.atleast_1d(absent)]} if absent.any() else {}
    writer.append(array, {**labels, **reason}, **columns)


def _labels(one: BatchRun) -> dict[str, Any]:
    reference = f"{one.run.base}-{one.run.base}" if one.pair[0] != one.pair[1] else None
    samples = one.batch.samples
    columns = {
        "dataset": [sample.dataset for sample in samples],
        "context_language": [one.pair[0]] * len(samples),
        "question_language": [one.pair[1]] * len(samples),
        "reference": [reference] * len(samples),
        "sample": [sample.key for sample in samples],
        "group": [sample.group for sample in samples],
        "depth": [sample.depth for sample in samples],
    }
    return {name: np.array(column, dtype=object) for name, column in columns.items()}

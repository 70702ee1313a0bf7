"""Measuring every attention metric against running the bare encoder on the same batches."""

from __future__ import annotations

import multiprocessing
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from itertools import product
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import torch

from benchmarks.encoders import crossed, plain, problems
from benchmarks.timing import Section, ratios
from xlprobe.checkpoints.checkpoint import Checkpoint
from xlprobe.encoders.products import fast_passes
from xlprobe.measuring.attention import AttentionReader, read_by
from xlprobe.measuring.forward import capture
from xlprobe.measuring.plan import PairedBatch, paired_batches, plan
from xlprobe.metrics import Metric, metrics_in, tensors
from xlprobe.results import ResultsWriter
from xlprobe.samples import Encoder

ALL, DEFAULT = 1.45, 1.25
"""How much of a bare pass all metrics and the default ones shall cost at most."""


def batches_of(checkpoint: Checkpoint, count: int, size: int, long: bool = False) -> list[PairedBatch]:
    """All versions that `measure` runs for en-* and *-en of four languages, with floor and chance."""
    found = problems(count, long=long)
    languages = [code for code in found[0].languages if code != "en"]
    pairs = [("en", code) for code in languages] + [(code, "en") for code in languages]
    plans = plan(found, pairs, forced=checkpoint.is_cross_query)
    return list(paired_batches(found, plans, Encoder(checkpoint.tokenizer), size))


def bare(checkpoint: Checkpoint, batches: Sequence[Any]) -> None:
    """Run the encoder and keep nothing."""
    with torch.inference_mode():
        for batch in batches:
            checkpoint.model(**batch.model_inputs(checkpoint.is_cross_query))


@fast_passes()
def bare_and_fast(checkpoint: Checkpoint, batches: Sequence[Any]) -> None:
    """Run the encoder as a capture runs it, and keep nothing."""
    bare(checkpoint, batches)


def measured(checkpoint: Checkpoint, batches: Sequence[PairedBatch], metrics: Sequence[Metric]) -> None:
    """Run the encoder, compute the metrics, and write the rows to a table."""
    with tempfile.TemporaryDirectory() as directory, ResultsWriter(directory, {}) as writer:
        sink = writer.append
        capture(checkpoint, batches, [AttentionReader(sink, metrics)])


def unwritten(checkpoint: Checkpoint, batches: Sequence[PairedBatch], metrics: Sequence[Metric]) -> None:
    """As `measured`, but the values are thrown away."""

    def sink(values: np.ndarray[Any, Any], labels: Any, **columns: Any) -> None:
        return None

    capture(checkpoint, batches, [AttentionReader(sink, metrics)])


def without_numba(work: Callable[..., None], *arguments: Any) -> None:
    """Do what is measured with the reference of what numba compiles."""
    compiled, tensors._compiled = tensors._compiled, lambda: None  # type: ignore[assignment]
    try:
        work(*arguments)
    finally:
        tensors._compiled = compiled


class Shares:
    """Processes of one thread each that measure equal shares of the same batches, as `--shard 1/2` and `2/2` do."""

    def __init__(self, kind: str, texts: tuple[int, int, bool], metrics: Sequence[str], processes: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.ends = []
        self.workers = []
        for share in range(processes):
            here, there = context.Pipe()
            arguments = (there, kind, texts, tuple(metrics), share, processes)
            self.workers.append(context.Process(target=_share, args=arguments, daemon=True))
            self.workers[-1].start()
            self.ends.append(here)
        for end in self.ends:
            end.recv()

    def __call__(self, which: str) -> None:
        """Measure a set of metrics, all shares at once."""
        for end in self.ends:
            end.send(which)
        for end in self.ends:
            end.recv()

    def close(self) -> None:
        """Let the processes end."""
        for worker in self.workers:
            worker.kill()


def _share(
    end: Connection, kind: str, texts: tuple[int, int, bool], sets: Sequence[str], share: int, processes: int
) -> None:
    torch.set_num_threads(1)
    checkpoint = ENCODERS[kind]()
    batches = batches_of(checkpoint, *texts)[share::processes]
    metrics = {name: read_by(metrics_in(name)) for name in sets}
    measured(checkpoint, batches[:1], metrics[sets[0]])
    end.send("ready")
    while True:
        measured(checkpoint, batches, metrics[end.recv()])
        end.send("done")


ENCODERS = {"plain": plain, "cross-query": crossed}


def run(quick: bool = False) -> Section:
    """Measure a plain and a cross-query encoder."""
    section = Section(
        "Capture",
        "All attention metrics (similarity, shape, mass, shares of the queries, norm-weighted) of every sample, layer "
        "and head, computed and written as a table, against the bare forward pass with fused attention of the same "
        "batches. *Default* leaves out the robustness set and the norm-weighted metrics. Where numba is installed it "
        "compiles the comparisons (*without numba*: their reference). *Two processes* of one thread each share the "
        "batches, as shards do; the bare pass beside them has all threads. A capture keeps freed memory for the next "
        "layer, and on AMD's processors multiplies by oneDNN instead of MKL (*by a capture's means*).",
    )
    every, chosen = read_by(metrics_in("all")), read_by(metrics_in("default"))
    threads, repeats = torch.get_num_threads(), 3 if quick else 5
    texts = {"short": (3 if quick else 12, 64, False), "long": (2 if quick else 6, 16, True)}
    for kind, length in product(ENCODERS, texts):
        checkpoint, prefix = ENCODERS[kind](), f"{kind}, {length} texts: "
        batches = batches_of(checkpoint, *texts[length])
        section.extra[f"{kind}_{length}_batches"] = [list(batch.input_ids.shape) for batch in batches]
        timed: dict[str, Callable[[], Any]] = {
            "bare forward": lambda c=checkpoint, b=batches: bare(c, b),
            "bare forward, by a capture's means": lambda c=checkpoint, b=batches: bare_and_fast(c, b),
            "all metrics": lambda c=checkpoint, b=batches: measured(c, b, every),
            "all metrics, nothing written": lambda c=checkpoint, b=batches: unwritten(c, b, every),
            "default metrics": lambda c=checkpoint, b=batches: measured(c, b, chosen),
        }
        if tensors._compiled() is not None:
            timed |= {
                f"{name} metrics, without numba": partial(without_numba, measured, checkpoint, batches, metrics)
                for name, metrics in (("all", every), ("default", chosen))
            }
        shares = Shares(kind, texts[length], ("all", "default"), threads) if threads > 1 else None
        if shares is not None:
            timed |= {f"{name} metrics, {threads} processes": partial(shares, name) for name in ("all", "default")}
        targets = {
            name: ALL if name.startswith("all") else DEFAULT
            for name in timed
            if name.split()[0] in ("all", "default") and "without" not in name and "written" not in name
        }
        section.rows += ratios(timed, targets=targets, prefix=prefix, repeats=repeats)
        if shares is not None:
            shares.close()
    return section

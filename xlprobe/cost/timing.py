"""What an encoder of given sizes costs on this machine: forward pass, training step and capture, measured."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

from xlprobe.cost.arithmetic import Mechanism, costs_of
from xlprobe.cost.shapes import EncoderShape

__all__ = ["Run", "fits", "run_costs", "runs_text"]

_SHARE = 0.5
_NUM_LABELS = 2


@dataclass(frozen=True)
class Run:
    """Seconds of one batch, the medians of a few runs, on the CPU in float32."""

    mechanism: Mechanism
    forward: float
    step: float
    capture: float


def available_bytes() -> int:
    """Return the memory that is free for a new process."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            fields = dict(line.split(":", 1) for line in file)
        return int(fields["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return int(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")) if hasattr(os, "sysconf") else 2**33


def fits(shape: EncoderShape, batch: int, length: int, available: int | None = None) -> str | None:
    """Return why an encoder cannot be run here, or None where it can: it may take half of the free memory."""
    if shape.model_type not in ("bert", "xlm-roberta", "roberta", "camembert"):
        return f"there is no Q_cross for {shape.model_type!r} models here; the counts hold for their sizes"
    room = available_bytes() if available is None else available
    # Two models at a time: the plain one is there while the other is made of it.
    needed = 2 * costs_of(shape, "cross-query", batch=batch, length=length).step_bytes
    if needed <= _SHARE * room:
        return None
    return f"it needs about {needed / 2**30:.1f} GiB, and half of the {room / 2**30:.1f} GiB that are free may be used"


def run_costs(shape: EncoderShape, batch: int, length: int, repeats: int = 3) -> list[Run]:
    """Run encoders with random weights, plain and with a Q_cross, on random tokens: two thirds context."""
    import torch

    plain = _plain_model(shape)
    runs = []
    for mechanism in ("plain", "cross-query"):
        model = plain
        if mechanism == "cross-query":
            from xlprobe.encoders.convert import to_cross_query

            model = to_cross_query(plain, num_labels=_NUM_LABELS, q_p_mask=0.7, cross_p_mask=0.7)
            # The plain model's weights are not needed any more.
            del plain
        synthetic = _batch(shape, batch, length)
        with torch.random.fork_rng():
            runs.append(_run(model, synthetic, mechanism, repeats))  # type: ignore[arg-type]
    return runs


def _plain_model(shape: EncoderShape) -> Any:
    import torch
    import transformers

    kind = "Bert" if shape.model_type == "bert" else "XLMRoberta"
    config = getattr(transformers, f"{kind}Config")(
        vocab_size=shape.vocabulary,
        hidden_size=shape.width,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        intermediate_size=shape.feed_forward,
        max_position_embeddings=shape.positions,
        type_vocab_size=shape.token_types,
        num_labels=_NUM_LABELS,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return getattr(transformers, f"{kind}ForSequenceClassification")(config)


def _batch(shape: EncoderShape, batch: int, length: int) -> Any:
    """Random tokens as code-switched problems of four units and a question; neighbours are compared."""
    import numpy as np
    import torch

    from xlprobe.languages import language_id
    from xlprobe.measuring.plan import Comparisons, PairedBatch, Version
    from xlprobe.samples.types import Sample

    length = max(8, min(length, shape.positions - 2))
    border = 2 * length // 3
    segments = (torch.arange(length) >= border).long().expand(batch, -1)
    units = (torch.arange(length) * 4 // border).clamp(max=4)
    special = torch.zeros(length, dtype=torch.bool)
    special[[0, border, length - 1]] = True
    languages = torch.where(segments == 0, language_id("en"), language_id("fr"))
    rows = torch.arange(batch)
    labels = [np.full(batch, name, dtype=object) for name in ("observed", "en-en", "")]
    comparisons = Comparisons(rows, rows.roll(1), torch.ones(batch, dtype=torch.bool), *labels)
    return PairedBatch(
        input_ids=torch.randint(5, shape.vocabulary, (batch, length), generator=torch.Generator().manual_seed(0)),
        attention_mask=torch.ones(batch, length, dtype=torch.long),
        token_type_ids=torch.zeros(batch, length, dtype=torch.long),
        language_ids=languages,
        segment_ids=segments,
        unit_ids=torch.where(special, -1, units).expand(batch, -1),
        special_mask=special.expand(batch, -1),
        labels=rows % 2,
        samples=tuple(Sample(str(n), str(n), "random", "en", "fr", ("",), "") for n in range(batch)),
        versions=tuple(Version(n, "en", "fr") for n in range(batch)),
        owned=rows,
        comparisons=comparisons,
    )


def _run(model: Any, batch: Any, mechanism: Mechanism, repeats: int) -> Run:
    import torch

    from xlprobe.checkpoints.checkpoint import Checkpoint
    from xlprobe.measuring.attention import AttentionReader, read_by
    from xlprobe.measuring.forward import capture
    from xlprobe.metrics import metrics_in
    from xlprobe.training.tuning import select

    crossed = mechanism == "cross-query"
    checkpoint = Checkpoint("random", "random", model.eval(), None)  # type: ignore[arg-type]
    inputs = batch.model_inputs(crossed)
    select(model, "bitfit", ("embeddings",))
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-5)

    def forward() -> None:
        with torch.inference_mode():
            model(**inputs)

    def step() -> None:
        model.train()
        optimizer.zero_grad()
        model(**inputs, labels=batch.labels).loss.backward()
        optimizer.step()
        model.eval()

    def captured() -> None:
        reducer: Any = AttentionReader(lambda values, labels, **columns: None, read_by(metrics_in("all")))
        capture(checkpoint, [batch], [reducer])

    return Run(mechanism, *(_seconds(call, repeats) for call in (forward, step, captured)))


def _seconds(call: Callable[[], None], repeats: int) -> float:
    call()
    durations = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        durations.append(time.perf_counter() - start)
    return median(durations)


def runs_text(runs: list[Run], batch: int, length: int) -> str:
    """Return a table of what was measured, plain first."""
    lines = [
        "",
        f"measured here: random weights, float32, {batch} x {length} tokens, s (capture: all attention metrics)",
        f"{'':28}{'plain':>12}{'Q_cross':>12}{'ratio':>8}",
    ]
    for name, label in (("forward", "forward"), ("step", "step, BitFit"), ("capture", "capture")):
        before, after = (getattr(run, name) for run in runs)
        lines.append(f"{label:28}{before:>12.3f}{after:>12.3f}{after / before:>8.2f}")
    return "\n".join(lines)

"""Peak memory of a capture: above the bare forward pass, by length, and by the number of samples."""

from __future__ import annotations

import sys
import tempfile
from contextlib import redirect_stdout
from typing import Any

import torch

from benchmarks.child import in_child, peak_mib
from benchmarks.timing import Row, Section
from xlprobe.checkpoints.checkpoint import Checkpoint
from xlprobe.cost.shapes import EncoderShape
from xlprobe.cost.timing import _batch, _plain_model
from xlprobe.encoders.convert import to_cross_query
from xlprobe.measuring.attention import AttentionReader, read_by
from xlprobe.measuring.forward import capture
from xlprobe.metrics import get_metric, metrics_in
from xlprobe.results import ResultsWriter

SMALL_VOCABULARY = EncoderShape("12 layers of 384", 12, 384, 12, 1536, 2000, 512, 2)
TINY = EncoderShape("tiny", 2, 32, 4, 64, 2000, 64, 2)
BATCH = 8
PATTERNS, REPORT = 3.0, 1500.0


def _checkpoint(shape: EncoderShape, crossed: bool) -> Checkpoint:
    model = _plain_model(shape)
    model = to_cross_query(model) if crossed else model
    return Checkpoint("random", "random", model.eval(), None)  # type: ignore[arg-type]


def one_batch(length: int, crossed: bool, captured: bool) -> dict[str, Any]:
    """Run one batch, bare or captured."""
    checkpoint = _checkpoint(SMALL_VOCABULARY, crossed)
    batch = _batch(SMALL_VOCABULARY, BATCH, length)
    reducer = AttentionReader(lambda values, labels, **columns: None, read_by(metrics_in("all")))
    # What is made once per process (buffers of the thread pool, of the matrix library) comes first, on a short batch.
    capture(checkpoint, [_batch(SMALL_VOCABULARY, 2, 16)], [reducer])
    with torch.inference_mode():
        checkpoint.model(**batch.model_inputs(crossed))
        before = peak_mib()
        if captured:
            capture(checkpoint, [batch], [reducer])
        else:
            checkpoint.model(**batch.model_inputs(crossed))
    return {"above": peak_mib() - before, "tokens": batch.input_ids.shape[1]}


def many_samples(samples: int) -> dict[str, Any]:
    """Capture synthetic samples with a tiny encoder and write the table; peaks on the way."""
    checkpoint = _checkpoint(TINY, False)
    curve: dict[str, float] = {}

    def batches() -> Any:
        batch = _batch(TINY, 250, 24)
        for done in range(0, samples + 1, 250):
            if done and done in (1000, 3000, 10_000, 30_000, 100_000):
                curve[str(done)] = peak_mib()
            if done < samples:
                yield batch

    with tempfile.TemporaryDirectory() as directory, ResultsWriter(directory, {}) as writer:
        capture(
            checkpoint,
            batches(),
            [AttentionReader(writer.append, [get_metric(name) for name in ("js_stability", "entropy", "mass_lift")])],
        )
    return {"curve": curve}


def report(limit: int) -> dict[str, Any]:
    """Make a report of the bundled checkpoints on some problems."""
    from xlprobe.cli import app
    from xlprobe.cli import run as run_command

    with tempfile.TemporaryDirectory() as directory, redirect_stdout(sys.stderr):
        status = run_command(app, ["report", "--limit", str(limit), "--out", directory])
    return {"status": status}


def run(quick: bool = False) -> Section:
    """Measure all three."""
    section = Section(
        "Memory of a capture",
        f"Peak resident memory, each in a fresh process. By length: what capturing all attention metrics needs above a "
        f"bare forward pass of the same {BATCH} samples, in patterns of one layer ({BATCH} x 12 heads x length x "
        "length, fp32). By samples: a tiny encoder on synthetic samples, table written, against 1,000 samples. The "
        "report measures three bundled checkpoints, one at a time, and draws; its peak does not depend on the number "
        "of problems.",
    )
    for limit in (4,) if quick else (4, 16):
        found = in_child("memory:report", limit=limit)
        note = "" if found["status"] == 0 else f"ended with {found['status']}"
        name = f"python -m xlprobe.report --limit {limit}"
        section.rows.append(Row(name, found["peak"], "MiB", target=REPORT, note=note))
    for length in (128, 512) if quick else (128, 256, 512):
        for crossed in (False, True):
            taken = in_child("memory:one_batch", length=length, crossed=crossed, captured=True)
            pattern = BATCH * 12 * taken["tokens"] ** 2 * 4 / 2**20
            kind = "cross-query" if crossed else "plain"
            note = f"{taken['above']:.0f} MiB; one pattern is {pattern:.1f} MiB"
            section.rows.append(
                Row(f"length {length}, {kind}", taken["above"] / pattern, "patterns", "bare forward",
                    target=PATTERNS, note=note)
            )  # fmt: skip
    curve = in_child("memory:many_samples", samples=10_000 if quick else 100_000)["curve"]
    section.extra["samples"] = curve
    first = curve["1000"]
    for count, peak in curve.items():
        if count != "1000":
            section.rows.append(
                Row(f"{int(count):,} samples", peak / first, "x", "1,000 samples", target=1.1, note=f"{peak:.0f} MiB")
            )
    return section

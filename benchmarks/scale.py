"""How time and memory grow with the number of samples, and what a thousand checkpoints would take."""

from __future__ import annotations

import tempfile
import time
from typing import Any

from benchmarks.child import in_child
from benchmarks.timing import Row, Section

PAIRS, LANGUAGES, CHECKPOINTS = 7, ("en", "fr", "ar", "zh"), 1000
LINEAR, FLAT = 1.05, 1.05


def measuring(samples: int) -> dict[str, Any]:
    """Measure a small encoder with the bundled tokenizer on generated problems, default metrics, table written."""
    import torch
    from transformers import BertConfig, BertModel

    from xlprobe import load, measure
    from xlprobe.checkpoints.checkpoint import Checkpoint
    from xlprobe.samples import generate

    bundled = load("bundled:encoder")
    torch.manual_seed(0)
    sizes = {"num_hidden_layers": 1, "hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 64}
    config = BertConfig(**{**bundled.model.config.to_dict(), **sizes, "vocab_size": len(bundled.tokenizer)})
    checkpoint = Checkpoint("small", "small", BertModel(config).eval(), bundled.tokenizer)
    del bundled
    some = list(generate(theories=50, questions=2, languages=LANGUAGES, seed=0))
    problems = [
        type(one)(**{**vars(one), "key": f"{turn}-{one.key}", "group": f"{turn}-{one.group}"})
        for turn in range(-(-samples // len(some)))
        for one in some
    ][:samples]
    start = time.perf_counter(), time.process_time()
    with tempfile.TemporaryDirectory() as directory:
        table = measure(
            checkpoint, problems, pairs="en-*, *-en", metrics="js_stability,cross_lingual_mass", batch_size=64,
            out=directory, show_progress=False,
        )  # fmt: skip
        rows = len(table)
    return {"seconds": time.perf_counter() - start[0], "cpu": time.process_time() - start[1], "rows": rows}


def run(quick: bool = False) -> Section:
    """Measure the curve, then reckon."""
    counts = (100, 300, 1000) if quick else (100, 1000, 10_000)
    section = Section(
        "Scale",
        f"An encoder of one layer and 2 heads with the bundled vocabulary, problems in four languages in all {PAIRS} "
        "pairs of English with each of them, floor and chance, two metrics, in one process, table written. Time for "
        "each sample and peak memory, against those of the middle count (the first has the start in it).",
    )
    found = {count: in_child("scale:measuring", samples=count) for count in counts}
    each = {count: one["cpu"] / count for count, one in found.items()}
    middle = counts[1]
    for count in counts:
        one = found[count]
        note = f"{one['seconds']:.1f} s, {one['rows']:,} rows, {1e3 * each[count]:.2f} ms of the processor a sample"
        last = count == counts[-1]
        section.rows += [
            Row(f"{count:,} samples: time each", each[count] / each[middle], "x", f"{middle:,} samples",
                target=LINEAR if last else None, note=note),
            Row(f"{count:,} samples: peak memory", one["peak"] / found[middle]["peak"], "x", f"{middle:,} samples",
                target=FLAT if last else None, note=f"{one['peak']:.0f} MiB"),
        ]  # fmt: skip
    section.rows.append(thousand())
    return section


def loading(count: int) -> dict[str, Any]:
    """Load the bundled encoder again and again, one at a time."""
    from xlprobe import load

    load("bundled:encoder")
    start = time.perf_counter()
    for _ in range(count):
        load("bundled:encoder")
    return {"each": (time.perf_counter() - start) / count}


def thousand() -> Row:
    """Return what 1,000 checkpoints of the bundled encoder's size take on this machine, from what was just measured."""
    from benchmarks.capture import batches_of, measured
    from benchmarks.encoders import plain
    from benchmarks.timing import seconds
    from xlprobe.measuring.attention import read_by
    from xlprobe.metrics import metrics_in

    batches, metrics = batches_of(plain(), 4, 64), read_by(metrics_in("default"))
    measured(plain(), batches, metrics)
    rate = sum(map(len, batches)) / seconds(lambda: measured(plain(), batches, metrics))
    load = in_child("scale:loading", count=3)["each"]
    hours = CHECKPOINTS * (load + 200 * PAIRS / rate) / 3600
    note = f"{rate:.1f} versions a second with the default metrics, {load:.2f} s to load; on n processes an n-th"
    return Row(f"{CHECKPOINTS:,} checkpoints x 200 problems x {PAIRS} pairs, reckoned", hours, "h", note=note)

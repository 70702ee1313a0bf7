"""Statistics and figures of a table with ten million rows."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.child import in_child
from benchmarks.timing import Row, Section

SECONDS, MIB = 30.0, 2048.0
LAYERS = HEADS = 12
PAIRS = (("en", "en"), ("en", "fr"), ("fr", "en"), ("en", "zh"))


def make(directory: str, rows: int) -> dict[str, Any]:
    """Write a table: two checkpoints, four pairs, all layers and heads, floor and chance."""
    from xlprobe.results import ResultsWriter

    conditions = ("observed", "floor", "chance")
    cells = 2 * LAYERS * HEADS * (len(PAIRS) + 2)
    samples = -(-rows // cells)
    rng = np.random.default_rng(0)
    keys = [f"t{n // 4}-q{n % 4}" for n in range(samples)]
    labels = {"sample": keys, "group": [key.split("-")[0] for key in keys]}
    with ResultsWriter(directory, {}) as writer:
        for checkpoint in ("baseline", "cross-query"):
            for layer in range(LAYERS):
                for context, question in PAIRS:
                    for condition in conditions if context == question else ("observed",):
                        values = rng.beta(8, 2, (samples, HEADS)) - 0.05 * (checkpoint == "baseline")
                        writer.append(
                            values, labels, checkpoint=checkpoint, dataset="made", context_language=context,
                            question_language=question, reference=f"{context}-{context}", layer=layer,
                            metric="js_stability", block="context->context", pooling="token", condition=condition,
                        )  # fmt: skip
    return {"samples": samples}


def use(directory: str) -> dict[str, Any]:
    """Contrast the checkpoints and draw stability by layer, as pdf, svg and png."""
    start = time.perf_counter()
    from xlprobe.plots import save, stability_by_layer
    from xlprobe.results import Results

    results = Results.load(directory)
    loaded = time.perf_counter()
    found = results.contrast("cross-query", "baseline", "js_stability", by=("layer", "head"))
    contrasted = time.perf_counter()
    save(stability_by_layer(results), "stability", Path(directory))
    return {
        "rows": len(results),
        "tests": len(found),
        "load": loaded - start,
        "contrast": contrasted - loaded,
        "draw": time.perf_counter() - contrasted,
        "cpu": time.process_time(),
    }


def query(directory: str) -> dict[str, Any]:
    """Average all rows, then some; contrast the checkpoints in one layer. No more is read than is asked for."""
    start = time.perf_counter()
    from xlprobe.results import Results

    results = Results.load(directory)
    means = results.means(["checkpoint", "layer", "condition"])
    averaged = time.perf_counter()
    some = results.select(layer=3, question_language="fr").means(["checkpoint", "head"])
    selected = time.perf_counter()
    found = results.select(layer=3).contrast("cross-query", "baseline", "js_stability", by=("head",))
    return {
        "answers": len(means) + len(some) + len(found),
        "means": averaged - start,
        "some": selected - averaged,
        "contrast": time.perf_counter() - selected,
    }


def run(quick: bool = False, full: bool = False) -> Section:
    """Measure time and memory in fresh processes, imports included; with `full` only queries, of 100 million rows."""
    rows = 100_000_000 if full else 1_000_000 if quick else 10_000_000
    with tempfile.TemporaryDirectory() as directory:
        in_child("tables:make", directory=directory, rows=rows)
        size = (Path(directory) / "results.parquet").stat().st_size / 2**20
        asked = in_child("tables:query", directory=directory)
        if full:
            return Section("Queries", f"A table of {rows:,} rows ({size:.0f} MiB as Parquet).", _queries(asked))
        found = in_child("tables:use", directory=directory)
    total = found["load"] + found["contrast"] + found["draw"]
    parts = f"load {found['load']:.1f}, contrast {found['contrast']:.1f}, draw {found['draw']:.1f} s"
    return Section(
        "Statistics and figures",
        f"A table of {found['rows']:,} rows ({size:.0f} MiB as Parquet): paired contrast of two checkpoints for "
        f"{found['tests']} heads with intervals and p values resampled by theory, and stability by layer as pdf, svg "
        "and png; a fresh process, imports included.",
        [
            Row("contrast and drawing", total, "s", target=SECONDS, note=parts),
            Row("the same, time of the processor", found["cpu"], "s", note="where other work makes clocks useless"),
            Row("peak memory", found["peak"], "MiB", target=MIB),
            *_queries(asked),
        ],
    )


def _queries(asked: dict[str, Any]) -> list[Row]:
    note = f"all rows {asked['means']:.1f}, a layer and a language {asked['some']:.1f}, one layer's contrast"
    return [
        Row("means of all rows, of some, contrast of a layer", asked["means"] + asked["some"] + asked["contrast"], "s",
            note=f"{note} {asked['contrast']:.1f} s"),
        Row("peak memory of these", asked["peak"], "MiB", target=MIB),
    ]  # fmt: skip

"""The same numbers by other tools: stability and mass of every layer and head, from 200 pairs of samples."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.child import in_child
from benchmarks.encoders import plain, problems
from benchmarks.timing import Row, Section
from xlprobe.checkpoints.checkpoint import Checkpoint
from xlprobe.encoders.lens import lens
from xlprobe.measuring.measurement import measure
from xlprobe.metrics import get_metric
from xlprobe.samples import Batch, Encoder, ParallelSample

AGREE, ROWS = 1e-5, 32
Numbers = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]
"""Stability of question->context over the context's units, and mass of question->context: (pair, layer, head)."""


def of_pattern(pattern: np.ndarray[Any, Any], batch: Batch, row: int) -> Numbers:
    """Return what the question attends to: shares (layer, head, unit) and mass (layer, head)."""
    text, segments, units = (
        ~batch.special_mask[row].numpy(),
        batch.segment_ids[row].numpy(),
        batch.unit_ids[row].numpy(),
    )
    asking, told = text & (segments == 1), text & (segments == 0)
    attended = pattern[:, :, asking].astype(np.float64).mean(axis=2)
    context = np.stack([attended[..., told & (units == n)].sum(-1) for n in range(units[told].max() + 1)], -1)
    total = context.sum(-1)
    return context / total[..., None], total / (total + attended[..., asking].sum(-1))


def compared(patterns: np.ndarray[Any, Any], batch: Batch) -> list[Numbers]:
    """Return stability and mass of every second row, against the row before it."""
    found = []
    for row in range(1, len(batch), 2):
        (p, _), (q, mass) = of_pattern(patterns[row - 1], batch, row - 1), of_pattern(patterns[row], batch, row)
        middle = (p + q) / 2
        with np.errstate(divide="ignore", invalid="ignore"):
            bits = [np.where(one > 0, one * np.log2(one / middle), 0).sum(-1) for one in (p, q)]
        found.append((1 - (bits[0] + bits[1]) / 2, mass))
    return found


def by_eager(checkpoint: Checkpoint, batches: Sequence[Batch]) -> list[Numbers]:
    """Hugging Face's attentions and numpy."""
    checkpoint.model.set_attn_implementation("eager")
    found = []
    for batch in batches:
        with torch.no_grad():
            layers = checkpoint.model(**batch.model_inputs(), output_attentions=True).attentions
        found += compared(np.stack([layer.numpy() for layer in layers], axis=1), batch)
    return found


def by_lens(checkpoint: Checkpoint, batches: Sequence[Batch]) -> list[Numbers]:
    """TransformerLens's cache and numpy."""
    bridge, found = lens(checkpoint), []
    for batch in batches:
        inputs = batch.model_inputs()
        with torch.no_grad():
            _, cache = bridge.run_with_cache(
                inputs.pop("input_ids"), names_filter=lambda name: name.endswith("attn.hook_pattern"), **inputs
            )
        layers = [cache[f"blocks.{layer}.attn.hook_pattern"].numpy() for layer in range(checkpoint.num_layers)]
        found += compared(np.stack(layers, axis=1), batch)
    return found


def by_nnsight(checkpoint: Checkpoint, batches: Sequence[Batch]) -> list[Numbers]:
    """A trace of nnsight that saves each layer's weights, and numpy."""
    from nnsight import NNsight  # type: ignore[import-not-found]

    checkpoint.model.set_attn_implementation("eager")
    traced, found = NNsight(checkpoint.model), []
    for batch in batches:
        saved = []
        with torch.no_grad(), traced.trace(**batch.model_inputs()):
            for layer in traced.encoder.layer:
                saved.append(layer.attention.self.output[1].save())
        found += compared(np.stack([layer.numpy() for layer in saved], axis=1), batch)
    return found


def by_xlprobe(checkpoint: Checkpoint, samples: Sequence[ParallelSample]) -> list[Numbers]:
    """One call that writes a table, and what is wanted of it."""
    block = ("question->context",)
    metrics = [
        replace(get_metric("js_stability"), blocks=block, poolings=("mass",)),
        replace(get_metric("cross_lingual_mass"), blocks=block),
    ]
    table = measure(
        checkpoint, samples, pairs="en-fr", controls=False, metrics=metrics, batch_size=ROWS, show_progress=False
    ).select(question_language="fr")
    keys, columns = [sample.key for sample in samples], ["sample", "layer", "head", "value"]
    arrays = []
    for metric in metrics:
        frame = table.select(metric=metric.name).to_frame(columns)
        wide = frame.pivot(index="sample", columns=["layer", "head"], values="value").sort_index(axis=1)
        arrays.append(wide.loc[keys].to_numpy().reshape(len(keys), checkpoint.num_layers, -1))
    return list(zip(*arrays, strict=True))


def one(tool: str, pairs: int, out: str) -> dict[str, Any]:
    """Get the numbers by one tool; keep them in a file."""
    checkpoint, samples = plain(), problems(pairs, ("en", "fr"))
    samples = sorted(samples, key=lambda sample: len(sample.context["en"]))
    start = time.perf_counter(), time.process_time()
    if tool == "xlprobe":
        found = by_xlprobe(checkpoint, samples)
    else:
        encoder = Encoder(checkpoint.tokenizer)
        rows = [sample.pair("en", code) for sample in samples for code in ("en", "fr")]
        batches = [encoder.encode(rows[at : at + ROWS]) for at in range(0, len(rows), ROWS)]
        found = TOOLS[tool][0](checkpoint, batches)
    took = time.perf_counter() - start[0], time.process_time() - start[1]
    np.save(out, np.stack([np.stack(numbers) for numbers in found]))
    return {"seconds": took[0], "cpu": took[1]}


TOOLS: dict[str, tuple[Callable[..., Any], ...]] = {
    "transformers, output_attentions": (by_eager, compared, of_pattern),
    "TransformerLens, run_with_cache": (by_lens, compared, of_pattern),
    **({"nnsight, trace": (by_nnsight, compared, of_pattern)} if importlib.util.find_spec("nnsight") else {}),
    "xlprobe": (by_xlprobe,),
}
"""By each tool: what gets the numbers, and what that calls."""


def lines_of(functions: Sequence[Callable[..., Any]]) -> int:
    """Return how many lines functions have without blank ones, comments and docstrings."""
    total = 0
    for function in functions:
        tree = ast.parse(inspect.getsource(function))
        body = tree.body[0]
        assert isinstance(body, ast.FunctionDef)
        body.body = body.body[1:]
        total += len(ast.unparse(tree).splitlines())
    return total


def run(quick: bool = False) -> Section:
    """Measure each tool in a process of its own, twice by turns, and compare their numbers."""
    pairs = 40 if quick else 200
    section = Section(
        "Peers",
        f"Stability and mass of the block question->context over the context's sentences, for every layer and head, "
        f"from {pairs} problems in English and with French questions, on the bundled encoder, in batches of {ROWS}: "
        "seconds and peak memory of a process of its own (libraries, model and tokenizer included in the memory, not "
        "in the time; the lesser of two turns), and statements as Python prints them. Largest difference from "
        "the first.",
    )
    with tempfile.TemporaryDirectory() as directory:
        files = {tool: str(Path(directory) / f"{number}.npy") for number, tool in enumerate(TOOLS)}
        turns = [
            {tool: in_child("peers:one", tool=tool, pairs=pairs, out=files[tool]) for tool in order}
            for order in (list(TOOLS), list(TOOLS)[::-1])
        ]
        first = np.load(next(iter(files.values())))
        for tool, functions in TOOLS.items():
            seconds, cpu, peak = (min(turn[tool][what] for turn in turns) for what in ("seconds", "cpu", "peak"))
            apart = float(np.abs(np.load(files[tool]) - first).max())
            note = f"{cpu:.1f} s of the processor, {peak:.0f} MiB, {lines_of(functions)} lines, apart {apart:.1e}"
            section.rows.append(Row(tool, seconds, "s", note=note))
            section.rows.append(Row(f"{tool}: largest difference", apart, "", "the first", target=AGREE))
    if by_nnsight not in [functions[0] for functions in TOOLS.values()]:
        section.text += " nnsight was not compared: it is not installed."
    return section

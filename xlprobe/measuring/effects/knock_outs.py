"""Effects of attention knock-out: what the answer loses when tokens of one role cannot look at those of another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import torch

from xlprobe.checkpoints.checkpoint import Checkpoint
from xlprobe.errors import DataError
from xlprobe.interventions import KnockOut
from xlprobe.measuring.effects.runs import Pairs, Run
from xlprobe.progress import progress
from xlprobe.results import Results
from xlprobe.samples import Batch, ParallelSample

__all__ = ["EDGES", "knock_out"]

EDGES: dict[str, tuple[str, str | tuple[str, ...]]] = {
    "question->context": ("question", "context"),
    "context->question": ("context", "question"),
    "cls->context": ("cls", "context"),
    "cls->question": ("cls", "question"),
    "cls->both": ("cls", ("context", "question")),
}
"""The sets of edges that can be cut, by name: (queries, keys)."""

Relays = Literal["open", "closed"]


def knock_out(
    checkpoint: Checkpoint,
    samples: Sequence[ParallelSample],
    *,
    pairs: Pairs = None,
    edges: Sequence[str] = ("question->context", "context->question", "cls->context", "cls->question"),
    relays: Sequence[Relays] = ("open",),
    window: int | None = None,
    control: bool = True,
    base: str = "en",
    batch_size: int = 32,
    seed: int = 0,
    show_progress: bool = False,
) -> Results:
    """Return the change of the gold margin when edges of attention are cut, per sample.

    Rows have the metric `knock_out_effect` and the edges as block ("question->context"; with relays closed, where the
    queries are also kept from special tokens, "question->context, relays closed"). Range (-inf, inf); 0: no effect,
    below 0: the answer needs these edges. `window` cuts in so many layers around each layer in turn (the row's layer is
    the middle one); None cuts in all layers at once (no layer). Conditions: "observed"; with `control` also "control",
    equally many edges at random, and "net", observed - control. The in-language reference is among the rows:
    `xlprobe.statistics.difference_in_differences` on "net" takes it off, which leaves what the language border does.
    In cross-query models both terms are cut. Special tokens are cut only where relays are closed; padding never takes
    part. NaN without a label. Source: Geva et al. 2023 (arXiv 2304.14767), section 5.
    """
    if unknown := sorted(set(edges) - set(EDGES)):
        raise DataError(f"got the edges {unknown}; expected some of {', '.join(EDGES)}")
    if not edges or not relays or set(relays) - {"open", "closed"}:
        raise DataError(f"got edges={list(edges)}, relays={list(relays)}; expected edges, and 'open', 'closed' or both")
    run = Run.of(checkpoint, samples, pairs, base=base, batch_size=batch_size)
    rows = run.rows()
    if run.reason:
        return rows.missing("knock_out_effect", run.reason)
    with progress(f"{checkpoint.name}: knock-out", len(samples), show=show_progress) as advance:
        for chunk in run.chunks():
            for pair in run.pairs:
                batch = run.batch(chunk, pair)
                clean = run.margins(batch)
                for name, kind, layer, layers in _cuts(edges, relays, window, checkpoint.num_layers):
                    block = name if kind == "open" else f"{name}, relays closed"
                    columns: dict[str, Any] = {"metric": "knock_out_effect", "block": block, "layer": layer}
                    queries, keys = EDGES[name]
                    cut = KnockOut(checkpoint.model, queries, keys, layers=layers, relays=kind)
                    effect = _effect(run, cut, batch, clean)
                    rows.add(effect, batch, condition="observed", **columns)
                    if control:
                        drawn = KnockOut(checkpoint.model, queries, keys, layers=layers, relays=kind, random_seed=seed)
                        chance = _effect(run, drawn, batch, clean)
                        rows.add(chance, batch, condition="control", **columns)
                        rows.add(effect - chance, batch, condition="net", **columns)
            advance(len(chunk))
    return rows.results(edges=list(edges), relays=list(relays), window=window, seed=seed)


def _cuts(
    edges: Sequence[str], relays: Sequence[Relays], window: int | None, num_layers: int
) -> Iterator[tuple[str, Relays, int | None, list[int]]]:
    """Yield what is cut in turn: edges, relays, the row's layer, and the layers."""
    if window is not None and window < 1:
        raise DataError(f"got window={window}; expected at least one layer, or None for all layers at once")
    for name in edges:
        for kind in relays:
            if window is None:
                yield name, kind, None, list(range(num_layers))
                continue
            for middle in range(num_layers):
                first = middle - (window - 1) // 2
                yield name, kind, middle, [layer for layer in range(first, first + window) if 0 <= layer < num_layers]


def _effect(run: Run, cut: KnockOut, batch: Batch, clean: torch.Tensor) -> torch.Tensor:
    with cut.on(batch):
        return run.margins(batch) - clean

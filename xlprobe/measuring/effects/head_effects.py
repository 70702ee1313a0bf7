"""Effects of single heads: importance by gradient, ablation, and recovery by patching."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor

from xlprobe.checkpoints.checkpoint import Checkpoint
from xlprobe.errors import DataError
from xlprobe.interventions import Ablate, HeadImportance, Patch, head_means, record
from xlprobe.measuring.effects.runs import Pairs, Run
from xlprobe.progress import progress
from xlprobe.results import Results
from xlprobe.samples import ParallelSample

__all__ = ["head_ablation", "head_importance", "patching_recovery"]


def head_importance(
    checkpoint: Checkpoint,
    samples: Sequence[ParallelSample],
    *,
    pairs: Pairs = None,
    base: str = "en",
    show_progress: bool = False,
) -> Results:
    """Return how much the loss depends on each head: |dL/dxi| at xi = 1, xi a factor on the head's output.

    One row per sample, layer and head, metric `head_importance`; average them for Michel et al. 2019 (arXiv
    1905.10650), section 4.1. Range [0, inf), 0: a small change of the head's strength does not move the loss. NaN
    without a label. Special tokens take part, padding does not.
    """
    run = Run.of(checkpoint, samples, pairs, base=base, batch_size=1)
    rows = run.rows()
    if run.reason:
        return rows.missing("head_importance", run.reason)
    with progress(f"{checkpoint.name}: head importance", len(samples), show=show_progress) as advance:
        for chunk in run.chunks():
            for pair in run.pairs:
                batch = run.batch(chunk, pair)
                values = torch.full((checkpoint.num_layers, checkpoint.num_heads), torch.nan, dtype=torch.float64)
                if int(batch.labels[0]) >= 0:
                    found = HeadImportance(checkpoint.model)
                    found.update(batch)
                    values = found.result().cpu()
                for layer, heads in enumerate(values):
                    for head, value in enumerate(heads):
                        rows.add(value[None], batch, metric="head_importance", layer=layer, head=head)
            advance(len(chunk))
    return rows.results()


def head_ablation(
    checkpoint: Checkpoint,
    samples: Sequence[ParallelSample],
    *,
    pairs: Pairs = None,
    kind: Literal["zero", "mean"] = "zero",
    heads: Sequence[tuple[int, int]] | None = None,
    base: str = "en",
    batch_size: int = 32,
    show_progress: bool = False,
) -> Results:
    """Return the change of the gold margin when one head at a time is replaced by zeros or by its mean output.

    One row per sample and head, metric `ablation_effect`, condition "zero" or "mean". Range (-inf, inf); 0: no effect,
    below 0: the answer needs the head. Means are over all tokens of the reference pair's samples. `heads` are
    (layer, head) pairs, by default all, which takes one forward pass for each. NaN without a label.
    Source: Michel et al. 2019 (arXiv 1905.10650), section 3.
    """
    run = Run.of(checkpoint, samples, pairs, base=base, batch_size=batch_size)
    rows = run.rows()
    if run.reason:
        return rows.missing("ablation_effect", run.reason)
    model = checkpoint.model
    means = None
    if kind == "mean":
        means = head_means(model, (run.batch(chunk, run.pairs[0]) for chunk in run.chunks()))
    chosen = _all_heads(checkpoint) if heads is None else list(heads)
    with progress(f"{checkpoint.name}: ablation", len(samples), show=show_progress) as advance:
        for chunk in run.chunks():
            for pair in run.pairs:
                batch = run.batch(chunk, pair)
                clean = run.margins(batch)
                for layer, head in chosen:
                    with Ablate(model, [(layer, head)], kind, means):
                        effect = run.margins(batch) - clean
                    rows.add(effect, batch, metric="ablation_effect", condition=kind, layer=layer, head=head)
            advance(len(chunk))
    return rows.results(kind=kind)


def patching_recovery(
    checkpoint: Checkpoint,
    samples: Sequence[ParallelSample],
    *,
    pairs: Pairs = None,
    by: Literal["layer", "head"] = "layer",
    at: Sequence[str] = ("cls", "context"),
    min_gap: float = 0.05,
    base: str = "en",
    batch_size: int = 32,
    show_progress: bool = False,
) -> Results:
    """Return how much of the in-language answer comes back when heads' outputs are put into the code-switched run.

    (patched - corrupt) / (clean - corrupt) of the gold margin, where clean is the in-language run (en-en), corrupt the
    code-switched one (en-X), and patched the latter with the outputs of the former at [CLS] and context positions, for
    all heads of one layer (`by="layer"`) or one head at a time. Metric `patching_recovery`; range (-inf, inf), 0:
    nothing recovered, 1: all. NaN where clean and corrupt differ by less than `min_gap` logits (there is nothing to
    recover), and without a label. Only pairs whose context is in the base language can be patched: others raise
    `DataError`. Source: Vig et al. 2020 (arXiv 2004.12265); Zhang and Nanda 2024 (arXiv 2309.16042).
    """
    run = Run.of(checkpoint, samples, f"{base}-*" if pairs is None else pairs, base=base, batch_size=batch_size)
    other = [pair for pair in run.pairs if pair[0] != base]
    if other or by not in ("layer", "head"):
        raise DataError(
            f"got the pairs {other} and by={by!r}; expected pairs whose context is in {base!r}, as the patched tokens "
            "must be the same, and by='layer' or 'head'"
        )
    run = replace(run, pairs=tuple(pair for pair in run.pairs if pair != (base, base)))
    if not run.pairs:
        raise DataError(f"got no code-switched pair; expected some such as {base}-fr")
    rows = run.rows()
    if run.reason:
        return rows.missing("patching_recovery", run.reason)
    layers = range(checkpoint.num_layers)
    sets: list[tuple[int, int | None, list[tuple[int, int]]]] = [
        (layer, None, [(layer, head) for head in range(checkpoint.num_heads)]) for layer in layers
    ]
    if by == "head":
        sets = [(layer, head, [(layer, head)]) for layer, head in _all_heads(checkpoint)]
    with progress(f"{checkpoint.name}: patching", len(samples), show=show_progress) as advance:
        for chunk in run.chunks():
            reference = run.batch(chunk, (base, base))
            clean, source = run.margins(reference), record(checkpoint.model, reference)
            for pair in run.pairs:
                batch = run.batch(chunk, pair)
                corrupt = run.margins(batch)
                gap = torch.where((clean - corrupt).abs() >= min_gap, clean - corrupt, torch.nan)
                reason = f"clean and corrupt differ by less than {min_gap}, or no label"
                for layer, head, heads in sets:
                    with Patch(checkpoint.model, source, heads, at).on(batch):
                        recovery: Tensor = (run.margins(batch) - corrupt) / gap
                    columns = {"metric": "patching_recovery", "layer": layer, "head": head}
                    rows.add(recovery, batch, reason=reason, **columns)
            advance(len(chunk))
    return rows.results(by=by, at=list(at), min_gap=min_gap)


def _all_heads(checkpoint: Checkpoint) -> list[tuple[int, int]]:
    return [(layer, head) for layer in range(checkpoint.num_layers) for head in range(checkpoint.num_heads)]

"""Effects of single heads: importance by gradient, ablation, and recovery by patching."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from xlprobe.errors import DataError
from xlprobe.interventions import Ablate, HeadImportance, Patch, head_means
from xlprobe.measuring.design import DEFAULT_INTERVENTIONS
from xlprobe.measuring.effects.batch_run import BatchRun, Run

__all__ = ["ablation_effect", "importance", "patching"]

Yielded = Iterator[tuple[dict[str, Any], Tensor]]


def importance(one: BatchRun) -> Yielded:
    """Yield |dL/dxi| at xi = 1, xi a factor on a head's output, for each layer and head; a batch has one sample.

    Range [0, inf); 0: a small change of the head's strength does not move the loss.
    """
    values = torch.full((len(one.layers), one.run.checkpoint.num_heads), torch.nan, dtype=torch.float64)
    if int(one.batch.labels[0]) >= 0:
        gradients = HeadImportance(one.model)
        gradients.update(one.batch)
        values = gradients.result().cpu()
    for layer, heads in enumerate(values):
        yield {"layer": layer}, heads[None]


def ablation_effect(one: BatchRun) -> Yielded:
    """Yield the change of the gold margin when one head at a time is replaced by zeros, or by its mean output.

    Range (-inf, inf); 0: no effect, below 0: the answer needs the head.
    """
    options = one.run.options
    means = _means(one.run) if options.kind == "mean" else None
    for layer, head in one.every_head if options.heads is None else options.heads:
        effect = one.effect(Ablate(one.model, [(layer, head)], options.kind, means), layer)
        yield {"condition": options.kind, "layer": layer, "head": head}, effect


def _means(run: Run) -> Tensor:
    """Mean outputs over all tokens of the first pair's batches, taken once for a run."""
    if "mean" not in run._means:
        batches = (run.batch(chunk, run.all_pairs[0]) for chunk in run.chunks())
        run._means["mean"] = head_means(run.checkpoint.model, batches)
    return run._means["mean"]


def patching(one: BatchRun) -> Yielded:
    """Yield what comes back of the in-language answer when heads' outputs are put into the code-switched run.

    With clean the gold margin of the in-language run, corrupt that of the code-switched one, and patched that of the
    latter with outputs of the former: *gap* clean - corrupt, once; *gain* patched - corrupt; and their ratio, the
    *recovery*, NaN where the gap is smaller than `least_gap`. Ranges (-inf, inf); recovery 0: nothing, 1: all. Take the
    ratio of means of gain and gap over problems, never the mean of ratios of small gaps. In a causal model the context
    is the same in both runs, as it cannot see the question: there outputs are patched at the last token, which answers,
    unless other places are asked for.
    """
    options, reference = one.run.options, one.reference
    if reference is None:
        return
    gap = reference.clean - one.clean
    yield {"metric": "patching_gap"}, gap
    wide = torch.where(gap.abs() >= options.least_gap, gap, torch.nan)
    sets: list[tuple[dict[str, int], list[tuple[int, int]]]] = [
        ({"layer": layer, "head": head}, [(layer, head)]) for layer, head in one.every_head
    ]
    if options.by == "layer":
        sets = [({"layer": layer}, [pair for pair in one.every_head if pair[0] == layer]) for layer in one.layers]
    for columns, heads in sets:
        gain = one.effect(Patch(one.model, reference.outputs, heads, _places(one)).on(one.batch), columns["layer"])
        yield columns | {"metric": "patching_gain"}, gain
        yield columns | {"metric": "patching_recovery"}, gain / wide


def _places(one: BatchRun) -> Sequence[str]:
    at = one.run.options.at
    return ("last",) if one.run.checkpoint.is_causal and at == DEFAULT_INTERVENTIONS.at else at


def checked_patching(run: Run) -> None:
    """Refuse pairs that cannot be patched, as the patched tokens would differ."""
    other = [pair for pair in run.pairs if pair[0] != run.base]
    if other or run.options.by not in ("layer", "head"):
        raise DataError(
            f"got the pairs {other} and by={run.options.by!r}; expected pairs whose context is in {run.base!r}, as the "
            "patched tokens must be the same, and by='layer' or 'head'"
        )
    if all(first == second for first, second in run.pairs):
        raise DataError(f"got no code-switched pair; expected some such as {run.base}-fr")

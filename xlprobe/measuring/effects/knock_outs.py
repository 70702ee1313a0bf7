"""Attention knock-out: what the answer loses when tokens of one role cannot look at those of another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from xlprobe.errors import DataError
from xlprobe.interventions import KnockOut
from xlprobe.measuring.design import Interventions
from xlprobe.measuring.effects.batch_run import BatchRun

__all__ = ["EDGES", "knock_out_effect"]

EDGES: dict[str, tuple[str, str | tuple[str, ...]]] = {
    "question->context": ("question", "context"),
    "context->question": ("context", "question"),
    "cls->context": ("cls", "context"),
    "cls->question": ("cls", "question"),
    "cls->both": ("cls", ("context", "question")),
    "last->context": ("last", "context"),
    "last->question": ("last", "question"),
    "last->both": ("last", ("context", "question")),
}
"""The sets of edges that can be cut, by name: (queries, keys)."""


def knock_out_effect(one: BatchRun) -> Iterator[tuple[dict[str, Any], Tensor]]:
    """Yield the change of the gold margin for each set of edges that is cut, and for as many random edges.

    Range (-inf, inf); 0: no effect, below 0: the answer needs these edges. In a causal model the first token and the
    context have no edges to cut, NaN; where the first token's are asked for, those of the last one, which answers, are
    cut too.
    """
    options = one.run.options
    closed = one.run.checkpoint.closed
    for edges in [edges for edges in options.edges if edges in closed]:
        yield (
            {"block": edges, "condition": "observed", "reason": closed[edges]},
            torch.full((len(one.batch),), torch.nan),
        )
    asked = options.edges
    if one.run.checkpoint.is_causal:
        asked = [edges.replace("cls", "last") if edges in closed else edges for edges in asked]
    options = replace(options, edges=[edges for edges in dict.fromkeys(asked) if edges not in closed])
    for block, (queries, keys), relays, window, layers in _cuts(options, len(one.layers)):
        columns = {"block": block, "layer": window}
        cut = {"queries": queries, "keys": keys, "layers": layers, "relays": relays}
        effect = one.effect(KnockOut(one.model, **cut).on(one.batch), layers[0])
        yield columns | {"condition": "observed"}, effect
        if options.control or (options.control is None and window is None):
            chance = one.effect(KnockOut(one.model, **cut, random_seed=one.run.seed).on(one.batch), layers[0])
            yield columns | {"condition": "control"}, chance
            yield columns | {"condition": "net"}, effect - chance


def checked_cuts(options: Interventions) -> None:
    """Refuse edges, relays and windows that there are not."""
    if unknown := sorted(set(options.edges) - set(EDGES)):
        raise DataError(f"got the edges {unknown}; expected some of {', '.join(EDGES)}")
    if not options.edges or not options.relays or set(options.relays) - {"open", "closed"}:
        raise DataError(
            f"got edges={list(options.edges)}, relays={list(options.relays)}; expected edges, and 'open', 'closed' or "
            "both"
        )
    for window in options.windows or ():
        if window is not None and window < 1:
            raise DataError(f"got window={window}; expected at least one layer, or None for all layers at once")


def _cuts(options: Interventions, num_layers: int) -> Iterator[tuple[str, Any, Any, int | None, list[int]]]:
    """Yield what is cut in turn: block, (queries, keys), relays, the row's layer, and the layers."""
    windows = options.windows if options.windows is not None else (None, 1 if num_layers < 6 else 3)
    for window in windows:
        for name in options.edges:
            for relays in options.relays:
                block = name if relays == "open" else f"{name}, relays closed"
                for middle in range(num_layers) if window is not None else (None,):
                    first = 0 if middle is None or window is None else middle - (window - 1) // 2
                    size = num_layers if window is None else window
                    layers = [layer for layer in range(first, first + size) if 0 <= layer < num_layers]
                    yield block, EDGES[name], relays, middle, layers

"""Language neutrality of sentence vectors, layer by layer, as rows of the table."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from xlprobe.measuring.sentences import SentenceVectors
from xlprobe.metrics import cka, language_eta_squared, language_mdl_bits, language_probe
from xlprobe.metrics.neutrality import RETRIEVALS, retrieval_items
from xlprobe.progress import progress
from xlprobe.results import ResultsWriter

__all__ = ["NEUTRALITY_METRICS", "measure_neutrality"]

_PROBE = ("language_probe_accuracy", "language_probe_control", "language_probe_selectivity")
NEUTRALITY_METRICS: tuple[str, ...] = (*RETRIEVALS, "cka", "language_eta_squared", *_PROBE, "language_mdl_bits")
"""Retrieval is per sentence and pair of languages, CKA per pair, the others per layer over all languages."""

MIN_SENTENCES = 8


def measure_neutrality(
    vectors: SentenceVectors,
    metrics: Sequence[str],
    writer: ResultsWriter,
    columns: dict[str, Any],
    *,
    seed: int = 0,
    show_progress: bool = True,
) -> None:
    """Write the rows of the chosen metrics.

    `columns` (checkpoint, dataset, ...) go into each of them; `block` says what the vectors are of: "sentence" or
    "problem".

    With fewer than eight of them the values are NaN, with the reason.
    """
    layers = len(next(iter(vectors.vectors.values())))
    if len(vectors.keys) < MIN_SENTENCES:
        reason = f"{len(vectors.keys)} distinct parallel texts; at least {MIN_SENTENCES} are needed"
        for name in metrics:
            writer.append(np.array([math.nan]), metric=name, reason=reason, **columns)
        return
    with progress(f"{columns['checkpoint']}: neutrality", layers, show=show_progress) as advance:
        for layer in range(layers):
            here = {code: np.asarray(parts[layer], dtype=np.float64) for code, parts in vectors.vectors.items()}
            _pairs(vectors, here, layer, metrics, writer, columns, seed)
            # The probes' matrices are small: threads only wait for each other, up to thirty times longer.
            with threadpool_limits(1):
                _languages(vectors, here, layer, metrics, writer, columns, seed)
            advance(1)


def _pairs(
    vectors: SentenceVectors,
    here: dict[str, Any],
    layer: int,
    metrics: Sequence[str],
    writer: ResultsWriter,
    columns: dict[str, Any],
    seed: int,
) -> None:
    labels = {"sample": vectors.keys, "group": vectors.groups}
    for one, other in combinations(here, 2):
        pair = {"context_language": one, "question_language": other, "layer": layer, **columns}
        if wanted := [name for name in RETRIEVALS if name in metrics]:
            found = retrieval_items(here[one], here[other], groups=vectors.groups, languages=here, seed=seed)
            for name in wanted:
                writer.append(found[name].numpy(), labels, metric=name, **pair)
        if "cka" in metrics:
            writer.append(np.array([cka(here[one], here[other])]), metric="cka", **pair)


def _languages(
    vectors: SentenceVectors,
    here: dict[str, Any],
    layer: int,
    metrics: Sequence[str],
    writer: ResultsWriter,
    columns: dict[str, Any],
    seed: int,
) -> None:
    found: dict[str, Callable[[], float]] = {
        "language_eta_squared": lambda: language_eta_squared(here),
        "language_mdl_bits": lambda: language_mdl_bits(here, vectors.groups, seed=seed)[0],
    }
    if any(name in metrics for name in _PROBE):
        probe = language_probe(here, vectors.groups, seed=seed)
        found |= {
            "language_probe_accuracy": lambda: probe.accuracy,
            "language_probe_control": lambda: probe.control,
            "language_probe_selectivity": lambda: probe.selectivity,
        }
    for name, compute in found.items():
        if name in metrics:
            writer.append(np.array([compute()]), metric=name, layer=layer, **columns)

"""Metrics of vectors of parallel texts, layer by layer, as rows of the table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from xlprobe.measuring.design import Checked
from xlprobe.measuring.sentences import SentenceVectors, evenly, sentences_of
from xlprobe.metrics import LanguageVectors
from xlprobe.metrics.base import Metric, by_computation
from xlprobe.progress import progress
from xlprobe.samples import ParallelSample

__all__ = ["measure_vectors", "text_sets"]

MIN_TEXTS = 8
MAP_TEXTS = 48
"""How many sentences a map shows at most."""
MAPS = ("map_x", "map_y")


def text_sets(checked: Checked) -> dict[str, list[ParallelSample]]:
    """Return the texts that vectors are taken of, by block: distinct sentences, and whole problems."""
    limit = checked.design.max_texts
    sets = {"sentence": sentences_of(checked.problems, checked.languages, limit)}
    base = checked.base
    if any(len({*one.context[base], one.question.get(base, "")} - {""}) > 1 for one in checked.problems):
        sets["problem"] = evenly(checked.problems, limit)
    return sets


def measure_vectors(checked: Checked, vectors: SentenceVectors, writer: Any, columns: dict[str, Any]) -> None:
    """Write the rows of the metrics of vectors; `columns` (checkpoint, dataset, block, ...) go into each of them.

    With fewer than eight texts the values are NaN, with the reason.
    """
    metrics = checked.of("vectors")
    layers = len(next(iter(vectors.vectors.values())))
    if columns["block"] != "sentence":
        metrics = tuple(one for one in metrics if one.name not in MAPS)
    if len(vectors.keys) < MIN_TEXTS:
        reason = f"{len(vectors.keys)} distinct parallel texts; at least {MIN_TEXTS} are needed"
        for one in metrics:
            writer.append(np.array([math.nan]), metric=one.name, reason=reason, **columns)
        return
    if wanted := [one for one in metrics if one.name in MAPS]:
        _map(wanted, vectors, layers - 1, writer, {**columns, "block": ""})
    metrics = tuple(one for one in metrics if one.name not in MAPS)
    label = f"{columns['checkpoint']}: {columns['block']} vectors"
    # Held out are whole problems with their theory, but single sentences: many theories say the same ones.
    apart = vectors.keys if columns["block"] == "sentence" else vectors.groups
    with progress(label, layers, show=checked.design.show_progress) as advance:
        for layer in range(layers if metrics else 0):
            here = {code: np.asarray(of_all[layer], dtype=np.float64) for code, of_all in vectors.vectors.items()}
            here_vectors = LanguageVectors(here, apart, checked.design.seed)
            _pairs(metrics, vectors, here_vectors, writer, {**columns, "layer": layer})
            # The probes' matrices are small: threads only wait for each other, up to thirty times longer.
            with threadpool_limits(1):
                _languages(metrics, here_vectors, writer, {**columns, "layer": layer})
            advance(1)


def _pairs(
    metrics: Sequence[Metric], texts: SentenceVectors, vectors: LanguageVectors, writer: Any, columns: dict[str, Any]
) -> None:
    labels = {"sample": texts.keys, "group": texts.groups}
    pairs = [one for one in metrics if one.takes == "pair"]
    for first, second in combinations(vectors.by_language, 2):
        pair = {"context_language": first, "question_language": second, **columns}
        for computed, several in by_computation(pairs):
            values = computed.function(vectors.by_language[first], vectors.by_language[second], vectors)
            for one in several:
                array = np.atleast_1d(np.asarray(_mine(one, values), dtype=np.float64))
                writer.append(array, labels if len(array) == len(texts.keys) else None, metric=one.name, **pair)


def _languages(metrics: Sequence[Metric], vectors: LanguageVectors, writer: Any, columns: dict[str, Any]) -> None:
    for computed, several in by_computation([one for one in metrics if one.takes == "languages"]):
        values = computed.function(vectors)
        for one in several:
            writer.append(np.array([float(_mine(one, values))]), metric=one.name, **columns)


def _mine(one: Metric, values: Any) -> Any:
    return values[one.name] if isinstance(values, Mapping) else values


def _map(metrics: Sequence[Metric], texts: SentenceVectors, layer: int, writer: Any, columns: dict[str, Any]) -> None:
    """Write where sentences lie on the last layer's principal axes, raw and with each language's mean taken off."""
    step = max(1, -(-len(texts.keys) // MAP_TEXTS))
    labels = {"sample": texts.keys[::step], "group": texts.groups[::step]}
    last = {code: of_all[layer][::step] for code, of_all in texts.vectors.items()}
    for condition in ("raw", "centred"):
        places = metrics[0].function(last, centred=condition == "centred")
        for one in metrics:
            for code, by_axis in places.items():
                writer.append(
                    by_axis[:, MAPS.index(one.name)], labels, metric=one.name, layer=layer, condition=condition,
                    **{**columns, "context_language": code, "question_language": code},
                )  # fmt: skip

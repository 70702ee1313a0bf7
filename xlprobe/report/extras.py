"""What the report measures beyond `measure`: rows for maps and confounds, all pairs' accuracy, and causal effects."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from xlprobe.errors import DataError
from xlprobe.results import Results, ResultsWriter

if TYPE_CHECKING:
    from xlprobe.checkpoints.checkpoint import Checkpoint
    from xlprobe.measuring.patterns import KeptPattern
    from xlprobe.samples.types import ParallelSample

__all__ = ["EFFECT_PROBLEMS", "complete", "effect_rows", "language_rows", "map_rows", "remaining_accuracy"]

EFFECT_PROBLEMS = 8
"""On how many problems the report measures causal effects: enough for a first look within its time, not for a claim."""
EFFECT_LANGUAGES = 2
"""How many languages besides the base take part in it."""
MAP_SENTENCES = 48


def complete(
    results: Results,
    checkpoints: Sequence[Checkpoint],
    samples: Sequence[ParallelSample],
    kept: Sequence[KeptPattern],
    *,
    languages: Sequence[str],
    out: Path,
    batch_size: int = 64,
    seed: int = 0,
) -> Results:
    """Add to a measured table in `out` what the report's further figures need, and return the whole."""
    from xlprobe.plots import attention_rows

    parts = [attention_rows(kept)] if kept else []
    facts: dict[str, Any] = parts[0].manifest.copy() if parts else {}
    for checkpoint in checkpoints:
        parts += map_rows(checkpoint, samples, languages, batch_size)
        parts += language_rows(checkpoint, samples, languages)
        parts += remaining_accuracy(checkpoint, samples, results, languages, batch_size)
        for part in effect_rows(checkpoint, samples, languages, batch_size, seed):
            facts.setdefault("effects", {})[checkpoint.name] = {"problems": min(EFFECT_PROBLEMS, len(samples))}
            parts.append(part)
    return _joined(results, parts, {**results.manifest, **facts}, out)


def _joined(results: Results, parts: Sequence[Results], manifest: Mapping[str, Any], out: Path) -> Results:
    with ResultsWriter(out, manifest) as writer:
        for part in [results, *parts]:
            for table in part.tables():
                writer.append_table(table)
    return Results.load(out)


def map_rows(
    checkpoint: Checkpoint, samples: Sequence[ParallelSample], languages: Sequence[str], batch_size: int = 64
) -> Iterator[Results]:
    """Yield where sentences lie on the first two principal axes of the last layer, raw and language-centred.

    Metrics `map_x` and `map_y` per sentence (`sample`) and language; condition "raw" or "centred". The sign of an axis
    is such that its largest weight is positive. Nothing with fewer than eight sentences.
    """
    import pandas as pd

    from xlprobe.measuring.sentences import sentence_vectors, sentences_of

    sentences = sentences_of(samples, languages, MAP_SENTENCES)
    if len(sentences) < 8:
        return
    vectors = sentence_vectors(checkpoint, sentences, batch_size=batch_size, show_progress=False)
    last = {code: np.asarray(part[-1], dtype=np.float64) for code, part in vectors.vectors.items()}
    frames = []
    for kind in ("raw", "centred"):
        sides = [part - part.mean(axis=0) if kind == "centred" else part for part in last.values()]
        places = _principal(np.concatenate(sides))
        for axis, metric in enumerate(("map_x", "map_y")):
            frames.append(
                pd.DataFrame(
                    {
                        "checkpoint": checkpoint.name,
                        "dataset": sentences[0].dataset,
                        "context_language": np.repeat(list(last), len(sentences)),
                        "question_language": np.repeat(list(last), len(sentences)),
                        "sample": list(vectors.keys) * len(last),
                        "group": list(vectors.groups) * len(last),
                        "layer": checkpoint.num_layers,
                        "metric": metric,
                        "condition": kind,
                        "value": places[:, axis],
                    }
                )
            )
    yield Results(pd.concat(frames, ignore_index=True))


def _principal(points: np.ndarray) -> np.ndarray:
    centred = points - points.mean(axis=0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    axes = axes[:2]
    axes = axes * np.sign(axes[np.arange(2), np.abs(axes).argmax(axis=1)])[:, None]
    return np.asarray(centred @ axes.T)


def language_rows(
    checkpoint: Checkpoint, samples: Sequence[ParallelSample], languages: Sequence[str]
) -> Iterator[Results]:
    """Yield tokens per word of every language, and its typological distance to the base where URIEL+ is installed."""
    import pandas as pd

    from xlprobe.factors import tokens_per_word, typological_distances

    base = languages[0]
    kinds = {"tokens_per_word": tokens_per_word(checkpoint.tokenizer, samples, languages, base)}
    if importlib.util.find_spec("urielplus") is not None:
        kinds["typological_distance"] = typological_distances(languages, base)
    for metric, values in kinds.items():
        columns = {"checkpoint": checkpoint.name, "dataset": samples[0].dataset, "context_language": base}
        block = "syntactic" if metric == "typological_distance" else ""
        rows = {"question_language": list(values), "value": list(values.values()), "metric": metric, "block": block}
        yield Results(pd.DataFrame(rows).assign(**columns))


def _answers(checkpoint: Checkpoint, samples: Sequence[ParallelSample]) -> bool:
    """Whether the checkpoint can be right or wrong about these problems."""
    if checkpoint.head != "classification" or any(sample.label is None for sample in samples):
        return False
    try:
        checkpoint.check_labels(samples)
    except DataError:
        return False
    return True


def remaining_accuracy(
    checkpoint: Checkpoint,
    samples: Sequence[ParallelSample],
    results: Results,
    languages: Sequence[str],
    batch_size: int = 64,
) -> Iterator[Results]:
    """Yield the answers on those pairs of languages that were not measured, so that the transfer matrix is whole."""
    from xlprobe.plots.facts import pairs
    from xlprobe.training import evaluate

    if not _answers(checkpoint, samples):
        return
    there = set(pairs(results.select(metric="correct", checkpoint=checkpoint.name)))
    absent = [f"{one}-{other}" for one in languages for other in languages if (one, other) not in there]
    if absent:
        yield evaluate(checkpoint, samples, pairs=absent, batch_size=batch_size, seed=checkpoint.provenance.get("seed"))


def effect_rows(
    checkpoint: Checkpoint,
    samples: Sequence[ParallelSample],
    languages: Sequence[str],
    batch_size: int = 64,
    seed: int = 0,
) -> Iterator[Results]:
    """Yield knock-out, head importance and patching on a few short problems, one per theory where possible."""
    from xlprobe import effects
    from xlprobe.progress import progress

    if not _answers(checkpoint, samples) or len(languages) < 2:
        return
    few = _few(samples, languages[0])
    pairs = [f"{languages[0]}-{code}" for code in languages[1 : 1 + EFFECT_LANGUAGES]]
    common: dict[str, Any] = {"pairs": pairs, "base": languages[0]}
    cut: dict[str, Any] = {
        "edges": ("question->context", "cls->context", "cls->question"),
        "batch_size": batch_size,
        "seed": seed,
    }
    window = 1 if checkpoint.num_layers < 6 else 3
    with progress(f"{checkpoint.name}: effects", 4) as advance:
        for part in (
            lambda: effects.knock_out(checkpoint, few, **common, **cut),
            lambda: effects.knock_out(checkpoint, few, **common, **cut, window=window, control=False),
            lambda: effects.patching_recovery(checkpoint, few, **common, batch_size=batch_size),
            lambda: effects.head_importance(checkpoint, few, **common),
        ):
            yield part()
            advance(1)


def _few(samples: Sequence[ParallelSample], base: str) -> list[ParallelSample]:
    """Return the shortest problems, of as many theories as there are."""
    ordered = sorted(samples, key=lambda sample: (sum(map(len, sample.context[base])), sample.key))
    first = list({sample.group: sample for sample in reversed(ordered)}.values())[::-1]
    rest = [sample for sample in ordered if sample not in first]
    return [*first, *rest][:EFFECT_PROBLEMS]

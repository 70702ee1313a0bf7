"""Accuracy on every pair of context and question language, of classifiers and of causal language models."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import torch

from xlprobe.checkpoints.checkpoint import Checkpoint
from xlprobe.checkpoints.loading import load
from xlprobe.encoders.answers import answer_logits
from xlprobe.encoders.products import fast_passes
from xlprobe.errors import DataError, TrainingError
from xlprobe.languages import expand_pairs
from xlprobe.measuring.inputs import problems_of
from xlprobe.measuring.job_array import staged_run
from xlprobe.measuring.shards import SHARD_BATCHES, Shards
from xlprobe.metrics import correct, gold_margin
from xlprobe.progress import progress
from xlprobe.results import Results
from xlprobe.results.blocks import RowBuffer
from xlprobe.samples import Encoder, ParallelSample, Sample
from xlprobe.statistics import summarise

__all__ = ["accuracy_table", "evaluate"]


def evaluate(
    checkpoint: Checkpoint | str,
    samples: Sequence[ParallelSample],
    *,
    pairs: str | Sequence[str] = "*-*",
    batch_size: int = 64,
    seed: int | None = None,
    show_progress: bool = False,
    out: str | Path | None = None,
    labels: Sequence[str] = (),
    shard: str | None = None,
) -> Results:
    """Return, per problem and language pair, whether the model is right and by which margin.

    Rows of the metrics `correct` (0 or 1) and `gold_margin` (the gold class's logit minus the highest other one's, up
    = surer). A causal language model answers by the words that its prompts allow (see `PromptEncoder`), whose logits
    take the classes' place. Labels are matched with the classes by name; `labels` names the classes in the model's
    order where its configuration does not. `pairs` as `expand_pairs` reads them; "*-*" is every cell. Problems that
    lack a language have no row in its cells. Where several processes share the run (see `xlprobe.measuring.shards`),
    their shards are kept in `out` until all are done; the first process returns all rows, the others their own.
    `shard`: "3/64" does the third of 64 parts only, "merge" puts parts together. Raises `TrainingError` for a
    checkpoint that gives no answers, `DataError` for labels that it lacks.
    """
    checkpoint = checkpoint if isinstance(checkpoint, Checkpoint) else load(checkpoint)
    checkpoint = replace(checkpoint, labels=tuple(labels)) if labels else checkpoint
    samples = problems_of(samples)
    _check(checkpoint, samples)
    cells = _cells(pairs, samples)
    about = {"routine": "evaluate", "checkpoint": checkpoint.spec, "data_hash": _data_hash(samples)}
    options = {"sha256": checkpoint.hash, "cells": list(cells), "batch_size": batch_size}
    options |= {"encoding": dict(checkpoint.encoding), "labels": checkpoint.labels}
    with staged_run(out, shard, "an evaluation that writes") as place:
        directory = None if out is None else place.path
        shards = Shards.of_run(directory, {**about, **options}, say=show_progress, shard=shard)
        table = _answered(checkpoint, samples, cells, batch_size, shards, seed=seed, show=show_progress)
        own = shards.close()
    return own if own is not None else Results(table, about)


@fast_passes()
def _answered(
    checkpoint: Checkpoint,
    samples: Sequence[ParallelSample],
    cells: Mapping[tuple[str, str], int],
    size: int,
    shards: Shards,
    *,
    seed: int | None,
    show: bool,
) -> pa.Table:
    """Answer the problems of all cells, `size` at a time, and return the rows of the shards that are collected here."""
    encoder, rows = checkpoint.encoder(), RowBuffer()
    pieces = list(_pieces(cells, samples, encoder, size * SHARD_BATCHES))

    def work(piece: tuple[tuple[str, str], list[Sample]], target: Any) -> dict[str, Any]:
        for frame in _cell(checkpoint, encoder, piece[1], size):
            target.append_frame(frame.assign(checkpoint=checkpoint.name, seed=seed))
            advance(len(frame) // 2)
        return {}

    with progress(f"evaluate {checkpoint.name}", sum(cells.values()), show=show and shards.is_first) as advance:
        for _ in shards.states(f"evaluate-{checkpoint.name}", pieces, work, rows):
            pass
    return rows.table()


def _check(checkpoint: Checkpoint, samples: Sequence[ParallelSample]) -> None:
    """Raise an error unless the checkpoint can answer all problems, and all have labels that it knows."""
    if not checkpoint.can_answer:
        raise TrainingError(
            f"{checkpoint.name} has the head {checkpoint.head!r}; expected a classifier or a causal language model. "
            "Fine-tune it first"
        )
    if not samples:
        raise DataError("got no samples to evaluate on; expected at least one")
    if any(sample.label is None for sample in samples):
        raise DataError("got samples without a label; expected one for each, of the task of the classifier")
    checkpoint.check_labels(samples)


def _cells(pairs: str | Sequence[str], samples: Sequence[ParallelSample]) -> dict[tuple[str, str], int]:
    """Return the pairs of languages that were asked for, each with its number of problems; none may be empty."""
    languages = list(dict.fromkeys(code for sample in samples for code in sample.languages))
    cells = expand_pairs(pairs if isinstance(pairs, str) else list(pairs), languages)
    counts = {pair: sum(set(pair) <= set(sample.languages) for sample in samples) for pair in cells}
    if empty := ["-".join(pair) for pair, count in counts.items() if not count]:
        raise DataError(f"no sample exists in {', '.join(empty)}; expected at least one per pair")
    return counts


def _pieces(
    cells: Iterable[tuple[str, str]], samples: Sequence[ParallelSample], encoder: Encoder, size: int
) -> Iterator[tuple[tuple[str, str], list[Sample]]]:
    """Cut every cell into pieces of similar lengths."""
    for pair in cells:
        chosen = [sample.pair(*pair) for sample in samples if set(pair) <= set(sample.languages)]
        chosen.sort(key=encoder.length)
        for start in range(0, len(chosen), size):
            yield pair, chosen[start : start + size]


def _cell(checkpoint: Checkpoint, encoder: Encoder, samples: Sequence[Any], size: int) -> Iterable[pd.DataFrame]:
    samples = sorted(samples, key=encoder.length)
    device = checkpoint.device
    for start in range(0, len(samples), size):
        batch = encoder.encode(samples[start : start + size]).to(device)
        with torch.no_grad():
            logits = answer_logits(checkpoint.model, batch, checkpoint.is_cross_query).float().cpu()
        labels = batch.labels.cpu()
        answers = {"correct": correct(logits, labels).numpy(), "gold_margin": gold_margin(logits, labels).numpy()}
        columns = {
            "dataset": [sample.dataset for sample in batch.samples],
            "context_language": [sample.context_language for sample in batch.samples],
            "question_language": [sample.question_language for sample in batch.samples],
            "sample": list(batch.keys),
            "group": [sample.group for sample in batch.samples],
            "depth": [sample.depth for sample in batch.samples],
        }
        frames = [pd.DataFrame({**columns, "metric": name, "value": values}) for name, values in answers.items()]
        yield pd.concat(frames, ignore_index=True)


def _data_hash(samples: Sequence[ParallelSample]) -> str:
    digest = hashlib.sha256()
    for sample in samples:
        digest.update(
            repr((sample.key, sorted(sample.context.items()), sorted(sample.question.items()), sample.label)).encode()
        )
    return digest.hexdigest()


def accuracy_table(
    results: Results,
    *,
    by_depth: bool = False,
    trained_on: Iterable[str] = (),
    labels: dict[str, int] | None = None,
) -> pd.DataFrame:
    """Return accuracy per checkpoint and language pair (and depth), with intervals and baselines.

    Columns: `n` problems, `theories`, `accuracy`, `low` and `high` (95 %, a proportion's interval over theories; NaN
    below six, see `xlprobe.statistics.summarise`), `n_seeds`, `chance` (1 / classes), `majority` (always the commonest
    label, where `labels` gives each key's), `zero_shot` (the pair is not in `trained_on`).
    """
    rows = results.select(metric="correct").to_frame()
    if rows.empty:
        raise DataError("the table has no 'correct' rows; make it with evaluate")
    seen = set(trained_on)
    keys = ["checkpoint", "context_language", "question_language", *(["depth"] if by_depth else [])]
    summary = summarise(rows, keys).rename(columns={"n_groups": "theories", "mean": "accuracy"})
    cells = rows.groupby(keys, observed=True, dropna=False, sort=True)["sample"]
    return summary[[*keys, "n", "theories", "accuracy", "low", "high", "n_seeds"]].assign(
        chance=1 / _classes(labels),
        majority=[_majority(cell, labels) for _, cell in cells],
        zero_shot=[
            f"{context}-{question}" not in seen
            for context, question in zip(summary["context_language"], summary["question_language"], strict=True)
        ],
    )


def _classes(labels: dict[str, int] | None) -> int:
    return max(2, len(set(labels.values()))) if labels else 2


def _majority(keys: pd.Series, labels: dict[str, int] | None) -> float:
    if labels is None:
        return float("nan")
    counts = pd.Series([labels[str(key)] for key in keys]).value_counts()
    return float(counts.iloc[0] / counts.sum())

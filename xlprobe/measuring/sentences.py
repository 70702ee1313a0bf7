"""Sentence vectors after every layer, in every language: what language-neutrality probes look at."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from xlprobe.checkpoints.checkpoint import Checkpoint
from xlprobe.errors import DataError
from xlprobe.measuring.forward import HiddenCapture, capture
from xlprobe.progress import progress
from xlprobe.samples.encoding import Encoder, batches
from xlprobe.samples.types import ParallelSample

__all__ = ["SentenceReader", "SentenceVectors", "evenly", "sentence_vectors", "sentences_of"]

_BYTES_IN_MEMORY = 256 * 2**20


@dataclass(frozen=True)
class SentenceVectors:
    """Mean-pooled hidden states of parallel sentences or problems: row i of every language says the same thing.

    `layer` 0 is the embeddings. Special tokens are left out of the mean. Large sets live in a temporary file.
    """

    keys: tuple[str, ...]
    groups: tuple[str, ...]
    texts: tuple[str, ...]
    vectors: dict[str, Float[np.ndarray, "layer sentence width"]]  # type: ignore[type-arg]

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages, in order."""
        return tuple(self.vectors)


@dataclass
class SentenceReader:
    """Averages each sentence's hidden states over its text tokens, layer by layer, into `vectors`."""

    rows: dict[tuple[str, str], int]
    vectors: dict[str, Float[np.ndarray, "layer sentence width"]]  # type: ignore[type-arg]
    needs: frozenset[str] = frozenset({"hidden"})

    def update(self, capture: HiddenCapture) -> None:
        """Take one layer of one batch."""
        batch = capture.batch
        weights = (~batch.special_mask).to(torch.float32)
        weights = weights / weights.sum(dim=1, keepdim=True)
        means = torch.einsum("bp,bpw->bw", weights, capture.hidden.float()).cpu().numpy()
        for sample, mean in zip(batch.samples, means, strict=True):
            row = self.rows[sample.key, sample.context_language]
            self.vectors[sample.context_language][capture.layer, row] = mean

    def result(self) -> dict[str, Float[np.ndarray, "layer sentence width"]]:  # type: ignore[type-arg]
        """Return the vectors by language."""
        return self.vectors


def sentences_of(problems: Sequence[ParallelSample], languages: Sequence[str], limit: int) -> list[ParallelSample]:
    """Return the distinct sentences of parallel problems as parallel samples of their own, at most `limit`.

    Two problems often share facts; a sentence counts once, with the theory that says it first (its group), so that
    sentences of one theory are not taken as independent. Where there are more than `limit`, they are taken evenly over
    the problems.
    """
    by_texts: dict[tuple[str, ...], ParallelSample] = {}
    for problem in problems:
        columns = [[*problem.context[code], *filter(None, [problem.question.get(code)])] for code in languages]
        for texts in zip(*columns, strict=True):
            if texts not in by_texts:
                key = f"sentence-{len(by_texts)}"
                context = {code: (text,) for code, text in zip(languages, texts, strict=True)}
                by_texts[texts] = ParallelSample(key, problem.group, problem.dataset, context)
    # A sentence that two others share in one language cannot be told apart there; keep the first of each.
    seen: set[tuple[str, str]] = set()
    distinct = []
    for sample in by_texts.values():
        texts_here = {(code, units[0]) for code, units in sample.context.items()}
        if not texts_here & seen:
            distinct.append(sample)
            seen |= texts_here
    return evenly(distinct, limit)


def evenly(samples: Sequence[ParallelSample], limit: int) -> list[ParallelSample]:
    """Return at most `limit` samples, taken evenly over all."""
    return list(samples[:: max(1, -(-len(samples) // limit))])


def sentence_vectors(
    checkpoint: Checkpoint,
    sentences: Sequence[ParallelSample],
    *,
    languages: Sequence[str] | None = None,
    encoder: Encoder | None = None,
    batch_size: int = 64,
    show_progress: bool = True,
) -> SentenceVectors:
    """Run parallel sentences, or whole problems in one language each, and return their vectors after every layer.

    A problem's vector is the mean over the text tokens of its context and its question. `languages` limits them.
    Vectors of more than 256 MiB in all are kept in an unnamed temporary file instead of memory.
    """
    if not sentences:
        raise DataError("got no sentences; expected at least one parallel sentence")
    languages = sentences[0].languages if languages is None else tuple(languages)
    encoder = encoder or checkpoint.encoder()
    shape = (checkpoint.num_layers + 1, len(sentences), int(checkpoint.model.config.hidden_size))
    vectors = {code: _space(shape, len(languages)) for code in languages}
    rows = {(sample.key, code): row for row, sample in enumerate(sentences) for code in languages}
    plain = [sentence.pair(code, code) for sentence in sentences for code in languages]
    reader = SentenceReader(rows, vectors)
    with progress(f"{checkpoint.name}: sentences", len(plain), show=show_progress) as advance:

        def counted() -> Any:
            for batch in batches(plain, encoder, batch_size):
                yield batch
                advance(len(batch))

        capture(checkpoint, counted(), [reader])
    texts = tuple(sentence.context[languages[0]][0] for sentence in sentences)
    return SentenceVectors(tuple(s.key for s in sentences), tuple(s.group for s in sentences), texts, vectors)


def _space(shape: tuple[int, int, int], languages: int) -> Any:
    if 4 * int(np.prod(shape)) * languages <= _BYTES_IN_MEMORY:
        return np.zeros(shape, dtype=np.float32)
    with tempfile.TemporaryFile() as file:
        file.truncate(4 * int(np.prod(shape)))
        return np.memmap(file, dtype=np.float32, mode="r+", shape=shape)

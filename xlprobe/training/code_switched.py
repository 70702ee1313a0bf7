"""Parallel texts as code-switched pairs, made when they are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

from xlprobe.errors import DataError
from xlprobe.languages import joined
from xlprobe.samples import ParallelSample, Sample
from xlprobe.training.stream import uniform

__all__ = ["CodeSwitched", "Order"]

Order = Literal["en-x", "x-en", "x-x"]


class CodeSwitched(Sequence[Sample]):
    """Code-switched pairs of a parallel corpus, made when they are asked for: one per text and language pair.

    `pairs` are unordered ("en-fr"). `order`: "en-x" puts the pair's first language first, "x-en" the second, "x-x"
    either, at random per sample (arXiv 2310.15258, section 4). Samples that switch inside a
    sentence are taken as they are.
    """

    def __init__(
        self, corpus: Sequence[ParallelSample | Sample], pairs: Sequence[str], order: Order = "x-x", seed: int = 0
    ) -> None:
        if len(corpus) == 0:
            raise DataError("got an empty corpus; expected at least one text")
        if order not in ("en-x", "x-en", "x-x"):
            raise DataError(f"got order={order!r}; expected 'en-x', 'x-en' or 'x-x'")
        self.corpus, self.order, self.seed = corpus, order, seed
        self.pairs = [tuple(pair.split("-")) for pair in pairs]
        first = corpus[0]
        if isinstance(first, ParallelSample):
            _check_corpus(first, self.pairs)

    def __len__(self) -> int:
        return len(self.corpus) * (len(self.pairs) if isinstance(self.corpus[0], ParallelSample) else 1)

    def __getitem__(self, place: Any) -> Any:
        if not 0 <= place < len(self):
            raise IndexError(place)
        if not isinstance(self.corpus[0], ParallelSample):
            return self.corpus[place]
        text, number = divmod(place, len(self.pairs))
        first, second = self.pairs[number]
        turned = self.order == "x-en" or (self.order == "x-x" and uniform(self.seed, "order", place) < 0.5)
        sample = self.corpus[text]
        if not isinstance(sample, ParallelSample):
            raise DataError(f"text {text} of the corpus is in one language; expected parallel texts throughout")
        return _as_pair(sample, second, first) if turned else _as_pair(sample, first, second)


def _as_pair(sample: ParallelSample, first: str, second: str) -> Sample:
    if sample.question:
        return sample.pair(first, second)
    for language in (first, second):
        if language not in sample.context:
            raise DataError(f"text {sample.key!r} has no {language!r}; it exists in {' '.join(sample.languages)}")
    return replace(sample.pair(first, second), question=joined(sample.context[second], second))


def _check_corpus(first: ParallelSample, pairs: Sequence[tuple[str, ...]]) -> None:
    if not pairs:
        raise DataError("got no language pairs; expected at least one, such as 'en-fr'")
    if len(first.languages) < 2:
        raise DataError(
            f"got a corpus in {' '.join(first.languages)} only; expected at least two parallel languages (columns)"
        )
    for pair in pairs:
        if len(pair) != 2 or pair[0] == pair[1]:
            raise DataError(
                f"got the language pair {'-'.join(pair)!r}; expected two different languages, such as 'en-fr'"
            )
        for language in pair:
            if language not in first.languages:
                raise DataError(
                    f"the pair {'-'.join(pair)} asks for {language!r}, which the corpus does not have; it has "
                    f"{' '.join(first.languages)}"
                )

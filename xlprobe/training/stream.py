"""Which example comes at which place of a training run: a pure function of the seed, so that a run can be resumed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from xlprobe.errors import DataError
from xlprobe.languages import expand_pairs
from xlprobe.samples import ParallelSample, Sample

__all__ = ["Mix", "Stream", "uniform"]

T = TypeVar("T")
_WINDOW = 16
"""Batches that are sorted by length together."""


def uniform(*keys: object) -> float:
    """Return a number in [0, 1) that depends on nothing but the arguments."""
    digest = hashlib.blake2b("\x1f".join(map(str, keys)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


@dataclass(frozen=True)
class Mix:
    """Shares of language pairs in the training data, such as `{"en-en": 0.5, "en-fr": 0.5}`.

    Each example is given to one pair, at random and once for all epochs (arXiv 2310.15258, section 4: a monolingual
    and a code-switched set). Shares are normalised. Several pairs under one share: `{"en-en": 1, "en-fr en-de": 1}`.
    """

    shares: Mapping[str, float]

    def __post_init__(self) -> None:
        if not self.shares:
            raise DataError('got an empty mix; expected shares of language pairs, such as {"en-en": 0.5, "en-fr": 0.5}')
        for name, share in self.shares.items():
            if not share > 0:
                raise DataError(f"got the share {share} for {name!r}; expected a number above 0, or leave the pair out")

    def pairs(self, languages: Sequence[str]) -> list[tuple[tuple[str, str], float]]:
        """Return every (context, question) pair with its share; raises `DataError` for a language without data."""
        total = sum(self.shares.values())
        pairs = []
        for name, share in self.shares.items():
            expanded = expand_pairs(name, list(languages))
            pairs += [(pair, share / total / len(expanded)) for pair in expanded]
        return pairs

    def languages(self) -> set[str]:
        """Return the languages that the mix names (a `*` names none)."""
        codes = {code for name in self.shares for pair in name.replace(",", " ").split() for code in pair.split("-")}
        return codes - {"*"}

    def assign(self, sample: ParallelSample, seed: int) -> Sample:
        """Return the sample in the pair that the seed gives it to."""
        number = uniform(seed, sample.dataset, sample.key)
        pairs = self.pairs(sample.languages)
        for pair, share in pairs:
            number -= share
            if number < 0:
                return sample.pair(*pair)
        return sample.pair(*pairs[-1][0])


class Stream(torch.utils.data.Dataset[tuple[int, T]], Generic[T]):
    """The examples of a whole run in order: item i is (i, the i-th example that is trained on).

    Every epoch is a new permutation; within windows of 16 batches examples are sorted by length, and the
    batches shuffled, so that little is padded. Nothing is kept but one permutation: `examples` may read from disk.
    """

    def __init__(
        self, examples: Sequence[T], *, batch_size: int, steps: int, seed: int, length: Callable[[T], int] | None = None
    ) -> None:
        if len(examples) == 0:
            raise DataError("got no examples to train on; expected at least one")
        self.examples, self.batch_size, self.seed, self.length = examples, batch_size, seed, length
        self.total = steps * batch_size
        self._epoch = lru_cache(maxsize=2)(self._permutation)
        self._window = lru_cache(maxsize=2)(self._ordered)

    def __len__(self) -> int:
        return self.total

    def __getitem__(self, place: int) -> tuple[int, T]:
        size = _WINDOW * self.batch_size
        return place, self.examples[self._window(place // size)[place % size]]

    def _permutation(self, epoch: int) -> Tensor:
        generator = torch.Generator().manual_seed(seed_of(self.seed, "epoch", epoch))
        return torch.randperm(len(self.examples), generator=generator)

    def _ordered(self, window: int) -> list[int]:
        count, size = len(self.examples), _WINDOW * self.batch_size
        places = range(window * size, min((window + 1) * size, self.total))
        chosen = [int(self._epoch(place // count)[place % count]) for place in places]
        if self.length is None:
            return chosen
        lengths = {index: self.length(self.examples[index]) for index in set(chosen)}
        chosen.sort(key=lambda index: (lengths[index], index))
        batches = [chosen[start : start + self.batch_size] for start in range(0, len(chosen), self.batch_size)]
        generator = torch.Generator().manual_seed(seed_of(self.seed, "window", window))
        order = torch.randperm(len(batches), generator=generator).tolist()
        return [index for batch in order for index in batches[batch]]


def seed_of(*keys: Any) -> int:
    """Return a 63-bit seed that depends on nothing but the arguments."""
    return int(uniform(*keys) * 2**63)

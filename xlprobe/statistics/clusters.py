"""Sums and counts by cluster: all that resampling needs to know of the samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from xlprobe.errors import ResultsError

__all__ = ["Clusters"]


@dataclass(frozen=True)
class Clusters:
    """Values of many tests, summed within clusters of samples that are drawn together.

    A cell is one group (theory) under one training seed; without seeds cells are groups. `sums` and `counts` are over
    the values that are numbers; `n_nan` counts the others.
    """

    sums: Float[ndarray, "cell test"]
    counts: Float[ndarray, "cell test"]
    group: Int[ndarray, " cell"]
    seed: Int[ndarray, " cell"]
    n_nan: Int[ndarray, " test"]

    @property
    def num_groups(self) -> int:
        """The number of groups, over all seeds."""
        return int(self.group.max()) + 1

    @property
    def num_seeds(self) -> int:
        """The number of training seeds."""
        return int(self.seed.max()) + 1

    @property
    def estimate(self) -> Float[ndarray, " test"]:
        """Mean over samples; NaN for a test without numbers."""
        return divide(self.sums.sum(axis=0), self.counts.sum(axis=0))

    def only(self, tests: Any) -> Clusters:
        """Return the same with some of the tests: a slice, numbers or a mask."""
        return Clusters(self.sums[:, tests], self.counts[:, tests], self.group, self.seed, self.n_nan[tests])

    def by_group(self) -> Clusters:
        """Return the same with seeds put together, so that a group's values move as one."""
        if len(np.unique(self.group)) == len(self.group):
            return Clusters(self.sums, self.counts, self.group, np.zeros_like(self.group), self.n_nan)
        sums, counts = (np.zeros((self.num_groups, part.shape[1])) for part in (self.sums, self.counts))
        np.add.at(sums, self.group, self.sums)
        np.add.at(counts, self.group, self.counts)
        return Clusters(sums, counts, np.arange(len(sums)), np.zeros(len(sums), dtype=np.int64), self.n_nan)

    @classmethod
    def from_long(
        cls,
        values: Float[ndarray, " row"],
        test: Int[ndarray, " row"],
        group: Int[ndarray, " row"],
        seed: Int[ndarray, " row"] | None = None,
        num_tests: int | None = None,
        weight: Float[ndarray, " row"] | None = None,
    ) -> Clusters:
        """Sum a long table: one value per row with the numbers (from 0) of its test, group and seed.

        `weight` says of how many values a row is the mean; without it each is one.
        """
        if len(values) == 0:
            raise ResultsError("got no values to compare; expected at least one row")
        tests = int(test.max()) + 1 if num_tests is None else num_tests
        seeds = np.zeros_like(group) if seed is None else seed
        cells, cell = np.unique(seeds.astype(np.int64) * (int(group.max()) + 1) + group, return_inverse=True)
        known = ~np.isnan(values)
        place = cell * tests + test
        size = len(cells) * tests
        weights = np.ones(len(values)) if weight is None else weight
        sums = np.bincount(place[known], (weights * values)[known], size).reshape(len(cells), tests)
        counts = np.bincount(place[known], weights[known], size).reshape(len(cells), tests)
        n_nan = np.bincount(test[~known], minlength=tests)
        width = int(group.max()) + 1
        return cls(sums, counts, cells % width, cells // width, n_nan)

    @classmethod
    def from_array(cls, values: Any, groups: Any = None, seeds: Any = None) -> Clusters:
        """Sum an array (sample, test) or (sample,) by the samples' groups; without groups each sample is its own.

        Groups and seeds may be any labels.
        """
        array = np.asarray(values, dtype=np.float64)
        array = array[:, None] if array.ndim == 1 else array
        if array.ndim != 2 or len(array) == 0:
            raise ResultsError(f"got values of shape {array.shape}; expected (sample, test) with at least one sample")
        samples, tests = array.shape
        labels = []
        for name, given in (("groups", groups), ("seeds", seeds)):
            if given is not None and len(given) != samples:
                raise ResultsError(f"got {len(given)} {name} for {samples} samples; expected one for each")
            default = np.arange(samples) if name == "groups" else np.zeros(samples, dtype=np.int64)
            labels.append(default if given is None else np.unique(np.asarray(given), return_inverse=True)[1])
        rows = [np.repeat(label, tests) for label in labels]
        return cls.from_long(array.reshape(-1), np.tile(np.arange(tests), samples), rows[0], rows[1], tests)


def divide(top: Float[ndarray, ...], bottom: Float[ndarray, ...]) -> Float[ndarray, ...]:
    """Divide, giving NaN where the divisor is 0, without a warning."""
    top, bottom = np.broadcast_arrays(np.asarray(top, dtype=np.float64), np.asarray(bottom, dtype=np.float64))
    return np.divide(top, bottom, out=np.full(top.shape, np.nan), where=bottom != 0)

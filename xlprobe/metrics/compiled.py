"""Rows of attention taken and compared in one pass over memory, compiled by numba, on all threads.

What `xlprobe.metrics.pooled` and `comparison` do, which are the reference, and call this where numba is installed
(`pip install xlprobe[fast]`).
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from threading import Lock
from types import FunctionType
from typing import Any

import numpy as np
import torch
from numba import config, njit, prange, set_num_threads

from xlprobe.metrics.stability import LEAST_VARIANCE

__all__ = ["PROCESS", "compare_rows", "row_entropies", "run", "take_rows"]

Array = np.ndarray[Any, Any]
Functions = tuple[Callable[..., None], Callable[..., None]]

_LOG = (1.0, -0.49999988, 0.33334184, -0.25002155, 0.19956978, -0.16560696, 0.14949095, -0.1437733, 0.08743946)
"""Polynomial of log(1 + x) / x for 1 + x from sqrt(1/2) to sqrt(2), fitted at Chebyshev's points: off by 1e-8."""
_P0, _P1, _P2, _P3, _P4, _P5, _P6, _P7, _P8 = (np.float32(one) for one in _LOG)
_LOG_2, _HALF, _ONE, _ZERO = (np.float32(one) for one in (math.log(2), 0.5, 1, 0))
_ROOT = np.float32(math.sqrt(0.5)).view(np.int32)
_MANTISSA, _SHIFT, _SMALLEST = np.int32(0x007FFFFF), np.int32(23), np.int32(0x00800000)
_ENTROPY, _SQUARES, _LARGEST, _WEIGHT = range(4)

PROCESS = os.getpid()
"""A process that was forked from this one cannot use its threads."""
_ONE_AT_A_TIME = Lock()
"""Where numba has neither OpenMP nor TBB its threads take one task at a time, and end the program at a second."""


def run(function: Functions, *arguments: Any) -> None:
    """Call one of the functions below with tensors, on as many threads as torch uses."""
    arrays = [one.contiguous().numpy() if isinstance(one, torch.Tensor) else one for one in arguments]
    threads = min(torch.get_num_threads(), config.NUMBA_NUM_THREADS)  # type: ignore[attr-defined]
    if threads == 1:
        # Not by one of OpenMP's threads: the others would turn round, which other processes on the same cores pay for.
        function[0](*arrays)
        return
    with _ONE_AT_A_TIME:
        set_num_threads(threads)
        function[1](*arrays)


def _compiled(function: Callable[..., Any], parallel: bool = False) -> Any:
    """Compile a function when it is first called, and keep it for other processes where a directory can be written.

    Sums may be taken in another order, so that several numbers go at once; NaN stays NaN. The interpreter's lock is
    let go of.
    """
    sums = {"reassoc", "nsz"}
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": sums, "parallel": parallel}
    try:
        return njit(cache=True, **options)(function)
    except RuntimeError:  # no directory for it
        return njit(**options)(function)


def _on_threads(function: Callable[..., Any]) -> Functions:
    """Return a function whose first loop one thread does, and one for several."""
    alone = FunctionType(function.__code__, function.__globals__, function.__name__)
    alone.__qualname__ += "_alone"  # by which numba keeps what it compiled
    return _compiled(alone), _compiled(function, parallel=True)


@_compiled
def _value_logs(values: Array, out: Array) -> None:
    """Write v log v of non-negative numbers, 0 of 0; loops that a processor does for several numbers at a time."""
    bits, out_bits = values.view(np.int32), out.view(np.int32)
    for i in range(len(values)):
        out_bits[i] = ((max(bits[i], _SMALLEST) - _ROOT) & _MANTISSA) + _ROOT
    for i in range(len(values)):
        exponent = (max(bits[i], _SMALLEST) - _ROOT) >> _SHIFT
        x = out[i] - _ONE
        y = (((_P8 * x + _P7) * x + _P6) * x + _P5) * x + _P4
        y = (((y * x + _P3) * x + _P2) * x + _P1) * x + _P0
        out[i] = values[i] * (np.float32(exponent) * _LOG_2 + x * y)


@_compiled
def _sum(values: Array) -> Any:
    total = _ZERO
    for i in range(len(values)):
        total += values[i]
    return total


@_on_threads
def row_entropies(values: Array, entropies: Array) -> None:
    """Write the entropy of each row, in nats: `values` (row, cell) and `entropies` (row,) in float32."""
    for i in prange(len(values)):
        logs = np.empty(values.shape[1], np.float32)
        _value_logs(values[i], logs)
        entropies[i] = -_sum(logs)


@_compiled
def _largest_bits(values: Array) -> Any:
    """Return the bits of the largest of non-negative numbers, whose order is that of their bits; NaN comes last."""
    bits = values.view(np.int32)
    largest = np.int32(0)
    for i in range(len(bits)):
        largest = max(largest, bits[i])
    return largest


@_compiled
def _cut(values: Array, picked: Array, cells: Array, scale: Array, rows: Array, known: Array) -> None:
    """Write rows of one sample, cut to some cells, scaled and renormalised, and what is known of them.

    `cells` are in ascending order.
    """
    largest = known[_LARGEST].view(np.int32)
    for i in range(len(rows)):
        row, whole = rows[i], values[picked[i]]
        if len(cells) and cells[-1] - cells[0] == len(cells) - 1:  # a slice, which is faster
            row[:] = whole[cells[0] : cells[0] + len(cells)]
        else:
            for j in range(len(cells)):
                row[j] = whole[cells[j]]
        share = _ZERO
        for j in range(len(row)):
            row[j] *= scale[j]
            share += row[j]
        factor = _ZERO if share == 0 else _ONE / share
        squares = _ZERO
        for j in range(len(row)):
            row[j] *= factor
            squares += row[j] * row[j]
        largest[i] = _largest_bits(row)
        known[_SQUARES, i], known[_WEIGHT, i] = squares, share
    logs = np.empty(rows.shape, np.float32)
    _value_logs(rows.reshape(-1), logs.reshape(-1))
    for i in range(len(rows)):
        known[_ENTROPY, i] = -_sum(logs[i])


@_on_threads
def take_rows(pattern: Array, rows: Array, cells: Array, scale: Array, values: Array, known: Array) -> None:
    """Write the `values` of a profile of tokens, renormalised, and what is known of its rows.

    `pattern`: (sample, head, query, key) in float32; `rows`, `cells`: positions, (sample, row) and (sample, cell);
    `scale`: what the columns are multiplied by, (sample, 1 or head, cell); `values`: (sample, head, row, cell);
    `known`: (4, sample, head, row), see `compare_rows`, with the sum before renormalising as the last.
    """
    for sample in prange(len(pattern)):
        for head in range(pattern.shape[1]):
            factors = scale[sample, head if scale.shape[1] > 1 else 0]
            into = values[sample, head], known[:, sample, head]
            _cut(pattern[sample, head], rows[sample], cells[sample], factors, into[0], into[1])


@_compiled
def _add_robust(p: Array, q: Array, squares_p: Any, squares_q: Any, count: int, weight: Any, sums: Array) -> None:
    """Add what one row's total variation, cosine, Hellinger distance and Pearson correlation are, times its weight."""
    apart, product, roots = _ZERO, _ZERO, _ZERO
    for j in range(len(p)):
        apart += abs(p[j] - q[j])
        product += p[j] * q[j]
        step = math.sqrt(p[j]) - math.sqrt(q[j])
        roots += step * step
    sums[1] += weight * _HALF * apart
    sums[2] += weight * product / math.sqrt(squares_p * squares_q)
    sums[3] += weight * math.sqrt(roots * _HALF)
    variance_p, variance_q = squares_p - 1.0 / count, squares_q - 1.0 / count
    if variance_p <= LEAST_VARIANCE * squares_p or variance_q <= LEAST_VARIANCE * squares_q:
        sums[4] = math.nan
    else:
        correlation = (product - 1.0 / count) / math.sqrt(variance_p * variance_q)
        sums[4] += weight * min(max(correlation, -1.0), 1.0)


@_compiled
def _compare(p: Array, q: Array, known_p: Array, known_q: Array, count: int, every: bool, means: Array) -> None:
    """Compare the rows of two versions, and write the means over rows by weight."""
    mixed, logs = np.empty(p.shape, np.float32), np.empty(p.shape, np.float32)
    tops = np.empty(1, np.float32)
    for i in range(len(p)):
        for j in range(p.shape[1]):
            mixed[i, j] = (p[i, j] + q[i, j]) * _HALF
    _value_logs(mixed.reshape(-1), logs.reshape(-1))
    sums, total = np.zeros(6), 0.0
    for i in range(len(p)):
        one, other = known_p[_WEIGHT, i], known_q[_WEIGHT, i]
        weight = one if one < other or one != one else other
        if weight == 0:
            continue
        total += weight
        nats = -_sum(logs[i]) - (known_p[_ENTROPY, i] + known_q[_ENTROPY, i]) * _HALF
        sums[0] += weight * (1.0 - min(max(nats / math.log(2), 0.0), 1.0))
        if every:
            _add_robust(p[i], q[i], known_p[_SQUARES, i], known_q[_SQUARES, i], count, weight, sums)
            tops.view(np.int32)[0] = _largest_bits(mixed[i])
            # The largest sum reaches the sum of the largest exactly when one cell is largest in both.
            if (tops[0] + tops[0]) == known_p[_LARGEST, i] + known_q[_LARGEST, i]:
                sums[5] += weight
    for number in range(len(means)):
        means[number] = sums[number] / total if count >= 2 else math.nan


@_on_threads
def compare_rows(
    values: Array,
    known: Array,
    rows: Array,
    cells: Array,
    left: Array,
    right: Array,
    alike: bool,
    means: Array,
) -> None:
    """Compare samples with each other, and write `means`: (1 or 6, pair, head), in float64.

    `values`: (sample, head, row, cell) in float32; `known`: entropy, sum of squares, largest value and weight of each
    row, (4, sample, head, row); `rows`, `cells`: which exist, (sample, row) and (sample, cell). The comparisons are
    those of `xlprobe.metrics.comparison.SIMILARITIES`, in this order; `alike`: both sides of a pair have the same rows
    and cells, else they are cut to what both have.
    """
    every = len(means) > 1
    all_rows, ones = np.arange(values.shape[2]), np.ones(values.shape[3], np.float32)
    for pair in prange(len(left)):
        one, other = left[pair], right[pair]
        there = np.flatnonzero(cells[one] & cells[other])
        both = rows[one] & rows[other]
        p = np.empty((len(both), len(there)), np.float32)
        q = np.empty_like(p)
        known_p, known_q = np.empty((4, len(both)), np.float32), np.empty((4, len(both)), np.float32)
        for head in range(values.shape[1]):
            into = means[:, pair, head]
            if alike:
                sides = known[:, one, head], known[:, other, head]
                _compare(values[one, head], values[other, head], sides[0], sides[1], len(there), every, into)
                continue
            _cut(values[one, head], all_rows, there, ones, p, known_p)
            _cut(values[other, head], all_rows, there, ones, q, known_q)
            for i in range(len(p)):
                known_p[_WEIGHT, i] = known[_WEIGHT, one, head, i] * known_p[_WEIGHT, i] if both[i] else _ZERO
                known_q[_WEIGHT, i] = known[_WEIGHT, other, head, i] * known_q[_WEIGHT, i]
            _compare(p, q, known_p, known_q, len(there), every, into)

"""Compiled comparisons give what their reference gives, also for what has no answer, and give way to it."""

import math
import multiprocessing
import os

import numpy as np
import pytest
import torch

from xlprobe.metrics import SIMILARITIES, PooledPattern, Profile, Roles, compare_pairs, get_metric, tensors

compiled = pytest.importorskip("xlprobe.metrics.compiled", reason="numba is not installed", exc_type=ImportError)

METRICS = [get_metric(name) for name in SIMILARITIES]
LEFT, RIGHT = torch.tensor([0, 0, 0, 1, 2, 3]), torch.tensor([0, 1, 2, 3, 4, 4])


@pytest.fixture
def reference(monkeypatch):
    """What is called without compiled code."""

    def call(function, *arguments, **options):
        with monkeypatch.context() as patch:
            patch.setattr(tensors, "_compiled", lambda: None)
            return function(*arguments, **options)

    return call


def made_up(sizes, seed=0, heads=3, peaked=2.0):
    """Profiles of so many rows and cells each; the second is nearly the first, some rows are absent."""
    generator = torch.Generator().manual_seed(seed)
    rows, cells = max(size[0] for size in sizes), max(size[1] for size in sizes)
    scores = peaked * torch.randn(len(sizes), heads, rows, cells, generator=generator)
    scores[1] = scores[0] + 1e-3 * torch.randn(heads, rows, cells, generator=generator)
    there = [torch.tensor([[place < size[side] for place in range(width)] for size in sizes])
             for side, width in ((0, rows), (1, cells))]  # fmt: skip
    values = scores.softmax(dim=-1) * there[1][:, None, None, :]
    values = tensors.safe_divide(values, values.sum(dim=-1, keepdim=True))
    weights = torch.rand(values.shape[:3], generator=generator) * there[0][:, None]
    return Profile(values, weights, torch.zeros_like(weights), *there)


SIZES = {
    "alike": [(20, 33)] * 5,
    "of other lengths": [(20, 33), (20, 33), (7, 9), (12, 40), (1, 2)],
    "one cell": [(5, 4), (5, 4), (5, 1), (5, 4), (5, 2)],
    "nothing in common": [(4, 5), (4, 5), (0, 5), (4, 0), (4, 5)],
    "a single row": [(1, 81)] * 5,
}


@pytest.mark.parametrize("alike", [True, False])
@pytest.mark.parametrize("sizes", SIZES.values(), ids=list(SIZES))
def test_comparisons_are_those_of_the_reference(sizes, alike, reference):
    if alike and len(set(sizes)) > 1:
        sizes = [sizes[0]] * 5
    profile = made_up(sizes)
    for metrics in (METRICS, METRICS[:1], METRICS[::-2]):
        fast = compare_pairs(profile, LEFT, RIGHT, metrics, alike=alike)
        slow = reference(compare_pairs, profile, LEFT, RIGHT, metrics, alike=alike)
        assert sorted(fast) == sorted(slow)
        for name, values in slow.items():
            torch.testing.assert_close(fast[name], values, rtol=0, atol=3e-6, equal_nan=True, msg=name)


@pytest.mark.parametrize("alike", [True, False])
def test_rows_are_exactly_as_stable_as_can_be_with_themselves(alike):
    same = torch.tensor([0, 1, 2, 3])
    for width in range(2, 71, 4):
        profile = made_up([(5, width)] * 4 if alike else [(5, width), (4, width), (5, width - 1), (3, 2)])
        means = compare_pairs(profile, same, same, METRICS, alike=alike)
        for name in ("js_stability", "argmax_agreement"):
            assert means[name][~means[name].isnan()].eq(1).all(), width
        assert means["total_variation"].nan_to_num().eq(0).all()


def test_one_thread_gives_what_several_give_and_starts_no_other(monkeypatch):
    profile = made_up([(20, 33)] * 5)
    together = compare_pairs(profile, LEFT, RIGHT, METRICS, alike=True)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    monkeypatch.setattr(compiled, "set_num_threads", None)
    alone = compare_pairs(profile, LEFT, RIGHT, METRICS, alike=True)
    for name in SIMILARITIES:
        assert torch.equal(alone[name], together[name]), name
    for serial, parallel in (compiled.compare_rows, compiled.take_rows, compiled.row_entropies):
        assert not serial.targetoptions["parallel"]
        assert parallel.targetoptions["parallel"]
        # Kept under names of their own, or one would be loaded for the other.
        assert serial.py_func.__qualname__ != parallel.py_func.__qualname__


def test_they_are_as_near_to_double_precision_as_the_reference(reference):
    profile = made_up([(30, 60)] * 5, seed=1)
    exact = Profile(
        tensors.safe_divide(profile.values.double(), profile.values.double().sum(-1, keepdim=True)),
        profile.weights.double(), profile.sink, profile.rows, profile.cells,
    )  # fmt: skip
    truth = compare_pairs(exact, LEFT, RIGHT, METRICS, alike=True)
    fast = compare_pairs(profile, LEFT, RIGHT, METRICS, alike=True)
    slow = reference(compare_pairs, profile, LEFT, RIGHT, METRICS, alike=True)
    for name in SIMILARITIES:
        off, allowed = (fast[name] - truth[name]).abs().max(), (slow[name] - truth[name]).abs().max()
        assert off <= 3 * allowed + 1e-7, name


@pytest.mark.parametrize(("bad", "alike"), [(math.nan, True), (math.inf, True), (math.nan, False)])
def test_what_is_no_number_stays_none(bad, alike, reference):
    profile = made_up([(6, 8)] * 5 if alike else [(6, 8), (5, 8), (6, 7), (4, 8), (6, 6)])
    profile.values[1, 0, 2, 3] = bad
    profile.values[4, 1] = profile.weights[4, 1] = 0
    fast = compare_pairs(profile, LEFT, RIGHT, METRICS, alike=alike)
    slow = reference(compare_pairs, profile, LEFT, RIGHT, METRICS, alike=alike)
    assert slow["js_stability"].isnan().any()
    for name, values in slow.items():
        torch.testing.assert_close(fast[name], values, rtol=0, atol=3e-6, equal_nan=True, msg=name)


@pytest.mark.parametrize("norms", [False, True])
@pytest.mark.parametrize("block", ["context->context", "", "question->context"])
def test_rows_are_taken_as_by_the_reference(make_batch, block, norms, reference):
    batch = make_batch(((2, 3), 2), ((1, 1, 2), 3), ((4,), 1), ((9, 9), 5))
    pattern = batch.pattern(dtype=torch.float32)
    pattern[0, 1, 3] = 0  # a row without attention
    weights = torch.rand(pattern.shape[:2] + pattern.shape[3:]) if norms else None
    pooled = PooledPattern(pattern, Roles.from_ids(*batch.ids), weights)
    fast, slow = pooled.profile(block), reference(pooled.profile, block)
    torch.testing.assert_close(fast.values, slow.values)
    for name in ("entropy", "squares", "largest"):
        found = reference(getattr, slow, name)
        torch.testing.assert_close(getattr(fast, name), found, rtol=1e-5, atol=1e-6)


def test_the_logarithm_is_that_of_numpy():
    values = np.concatenate([
        np.geomspace(1e-37, 1, 4001), np.linspace(0, 1, 4001), np.nextafter(1, 0, dtype=np.float32) * np.ones(3),
        np.sqrt([0.5, 0.25, 0.125]),
    ]).astype(np.float32)  # fmt: skip
    logs = np.empty_like(values)
    compiled._value_logs(values, logs)
    exact = values.astype(np.float64)
    exact *= np.log(np.where(exact > 0, exact, 1))
    np.testing.assert_allclose(logs, exact, rtol=3e-7, atol=1e-9)


def test_doubles_gradients_and_the_setting_leave_it_to_the_reference(monkeypatch):
    values = torch.rand(2, 3)
    assert tensors.compiled_for(values) is compiled
    assert tensors.compiled_for(values.double()) is None
    assert tensors.compiled_for(values.requires_grad_()) is None
    monkeypatch.setenv("XLPROBE_COMPILED", "off")
    tensors._compiled.cache_clear()
    assert tensors.compiled_for(torch.rand(2)) is None
    monkeypatch.undo()
    tensors._compiled.cache_clear()


def _compare_in_fork(end, profile):
    torch.set_num_threads(1)  # torch's own threads are not there either
    values = compare_pairs(profile, LEFT, RIGHT, METRICS, alike=True)
    end.send((tensors.compiled_for(profile.values) is None, {name: one.numpy() for name, one in values.items()}))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork processes")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_goes_on_with_the_reference():
    profile = made_up([(6, 8)] * 5)
    here = compare_pairs(profile, LEFT, RIGHT, METRICS, alike=True)
    context = multiprocessing.get_context("fork")
    end, there = context.Pipe()
    process = context.Process(target=_compare_in_fork, args=(there, profile))
    process.start()
    try:
        assert end.poll(60)
        by_reference, values = end.recv()
    finally:
        process.kill()
    assert by_reference
    for name in SIMILARITIES:
        torch.testing.assert_close(torch.from_numpy(values[name]), here[name], rtol=0, atol=3e-6)

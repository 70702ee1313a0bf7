"""Known answers of entropy and attention distance."""

import math

import numpy as np
import pytest
import torch

from xlprobe.metrics import (
    PooledPattern,
    Roles,
    attention_distance,
    normalised_entropy,
    pattern_distance,
    profile_entropy,
)


def test_entropy():
    assert normalised_entropy(np.array([0.5, 0.3, 0.2])).item() == pytest.approx(0.937231, abs=1e-6)
    assert normalised_entropy(np.array([0.5, 0.3, 0.2, 0, 0]), 3).item() == pytest.approx(0.937231, abs=1e-6)
    assert normalised_entropy(np.full(4, 0.25)).item() == pytest.approx(1)
    assert normalised_entropy(np.array([0.0, 1.0])).item() == 0
    assert math.isnan(normalised_entropy(np.array([1.0])).item())
    assert math.isnan(normalised_entropy(np.zeros(3)).item())


def test_distance():
    pattern = np.array([[1, 0, 0], [0.5, 0.5, 0], [0.2, 0.3, 0.5]])
    rows = attention_distance(pattern)
    assert rows.tolist() == pytest.approx([0, 0.5, 0.7])
    assert rows.mean().item() == pytest.approx(0.4)
    assert attention_distance(pattern, normalise=True).mean().item() == pytest.approx(0.4 / 3)


def test_distance_renormalises_over_kept_tokens_and_keeps_positions():
    pattern = torch.tensor([[0.5, 0.25, 0.0, 0.25]]).expand(4, 4)
    rows = attention_distance(pattern, torch.tensor([False, True, False, True]))
    assert rows[1].item() == pytest.approx(1.0)
    assert math.isnan(rows[0].item())


def test_batched_values_equal_the_functions_on_one_sample(make_batch):
    batch = make_batch(((2, 3), 2), ((1, 1, 2), 3))
    pattern = batch.pattern()
    pooled = PooledPattern(pattern, Roles.from_ids(*batch.ids))
    distance, entropy = pattern_distance(pooled), profile_entropy(pooled.profile("context->context"))
    for sample in range(2):
        text = batch.unit_ids[sample] >= 0
        context = text & (batch.segment_ids[sample] == 0)
        for head in range(3):
            cut = pattern[sample, head][text][:, text]
            steps = attention_distance(pattern[sample, head], text, normalise=True)[text]
            assert distance[sample, head].item() == pytest.approx((steps * cut.sum(1)).sum().item() / cut.sum().item())
            cut = pattern[sample, head][context][:, context]
            values = normalised_entropy(cut / cut.sum(1, keepdim=True))
            expected = (values * cut.sum(1)).sum() / cut.sum()
            assert entropy[sample, head].item() == pytest.approx(expected.item())

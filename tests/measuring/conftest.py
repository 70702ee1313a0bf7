"""Shards so small that a few problems make several."""

from __future__ import annotations

import pytest


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xlprobe.measuring.checkpoint_run.SHARD_BATCHES", 1)
    monkeypatch.setattr("xlprobe.training.evaluation.SHARD_BATCHES", 1)

"""Small made-up batches for the metric tests."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor


@dataclass(frozen=True)
class FakeBatch:
    """The ids of a batch of [CLS] context [SEP] question [SEP], padded on the right."""

    segment_ids: Tensor
    unit_ids: Tensor
    special_mask: Tensor

    @property
    def ids(self) -> tuple[Tensor, Tensor, Tensor]:
        return self.segment_ids, self.unit_ids, self.special_mask

    def pattern(self, heads: int = 3, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
        """Random attention: rows sum to 1, nothing on padding."""
        generator = torch.Generator().manual_seed(seed)
        batch, position = self.unit_ids.shape
        scores = 2 * torch.randn(batch, heads, position, position, generator=generator, dtype=torch.float64)
        closed = (self.segment_ids < 0)[:, None, None, :]
        return scores.masked_fill(closed, -torch.inf).softmax(dim=-1).to(dtype)


def build(*samples: tuple[tuple[int, ...], int]) -> FakeBatch:
    """Each sample: the token counts of its context units, and of its question."""
    rows = []
    for units, question in samples:
        context = [number for number, size in enumerate(units) for _ in range(size)]
        ids = [-1, *context, -1, *([len(units)] * question), -1]
        segments = [0] * (len(context) + 2) + [1] * (question + 1)
        rows.append((segments, ids))
    width = max(len(ids) for _, ids in rows)
    segments = torch.tensor([s + [-1] * (width - len(s)) for s, _ in rows])
    units = torch.tensor([u + [-1] * (width - len(u)) for _, u in rows])
    return FakeBatch(segments, units, units < 0)


@pytest.fixture
def make_batch():
    return build

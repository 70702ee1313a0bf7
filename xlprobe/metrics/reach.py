"""Which keys a query can see under a causal mask, and what uniform attention over them would be."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from xlprobe.metrics.pooling import pool_keys
from xlprobe.metrics.roles import Roles, Span

__all__ = ["Reach"]

_QUERIES_AT_ONCE = 512
"""Of long texts; what is made of their rows is small."""


@dataclass(frozen=True)
class Reach:
    """The open keys of every query of a batch whose tokens attend to themselves and to earlier ones only.

    A later token sees more keys, so what uniform attention would give a block depends on where its queries stand:
    expectations are the pooled values of `uniform`. `opened`: True where a query may look.
    """

    opened: Bool[Tensor, "batch query key"]
    roles: Roles

    @classmethod
    def causal(cls, valid: Bool[Tensor, "batch position"], roles: Roles, window: int | None = None) -> Reach:
        """Return the reach of tokens that see themselves and earlier ones, `window` positions back (None: all).

        `valid` is True on all tokens but padding.
        """
        positions = torch.arange(valid.shape[1], device=valid.device)
        near = positions <= positions[:, None]
        if window is not None:
            near &= positions >= positions[:, None] - window
        return cls(near & valid.bool()[:, None, :], roles)

    @cached_property
    def uniform(self) -> Float[Tensor, "batch 1 row cell"]:
        """Uniform attention over the open keys, special ones included, pooled as `UnitPattern.pooled` is."""
        pooled = []
        for opened in self.opened.split(_QUERIES_AT_ONCE, dim=1):
            even = opened.double()
            even = even / even.sum(dim=-1, keepdim=True).clamp_min(1.0)
            pooled.append(pool_keys(even[:, None], self.roles.cells))
        by_cell = torch.cat(pooled, dim=2)
        return self.roles.row_means.transpose(1, 2).double().unsqueeze(1) @ by_cell

    def open_units(self, rows: slice, cells: slice) -> Float[Tensor, "batch 1 row"]:
        """Return how many of some cells each of some pooled rows can see a token of."""
        return (self.uniform[..., rows, cells] > 0).sum(dim=-1).double()

    def open_tokens(self, rows: Span, cells: Span) -> Float[Tensor, "batch 1 row"]:
        """Return how many keys of a span each query of another span can see."""
        counts = (self.opened & _positions(cells, self.opened)[:, None]).sum(dim=-1)
        return counts.gather(1, rows.index)[:, None].double()

    def open_to_any(self, row: int, cells: Span) -> Float[Tensor, "batch 1 1"]:
        """Return how many keys of a span at least one query of a pooled row can see."""
        seen = (self.opened & (self.roles.rows[..., row] > 0)[..., None]).any(dim=1)
        return (seen & _positions(cells, self.opened)).sum(dim=-1)[:, None, None].double()


def _positions(span: Span, opened: Tensor) -> Bool[Tensor, "batch key"]:
    """Return the positions of a span."""
    count = torch.zeros(opened.shape[0], opened.shape[2], dtype=torch.long, device=opened.device)
    return count.scatter_add(1, span.index, span.mask.long()) > 0

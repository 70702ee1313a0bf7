"""Profiles: an attention pattern cut to a block and free of sinks, ready to be compared with another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from xlprobe.metrics.tensors import row_entropy, safe_divide, weighted_mean

__all__ = ["Profile", "align", "same_or_each", "sink_mass"]


@dataclass(frozen=True)
class Profile:
    """Rows of attention over the cells of one block, sink-free.

    `values`: each row sums to 1 over the block's cells; zeros where a row is absent or has no mass in the block.
    `weights`: the row's attention mass in the block before renormalising (the residual), 0 for absent rows.
    `sink`: the row's attention mass on special tokens. `rows`, `cells`: which exist in each sample.
    """

    values: Float[Tensor, "batch head row cell"]
    weights: Float[Tensor, "batch head row"]
    sink: Float[Tensor, "batch head row"]
    rows: Bool[Tensor, "batch row"]
    cells: Bool[Tensor, "batch cell"]
    open_cells: Float[Tensor, "batch head row"] | None = None
    """How many cells each row can see, where a causal mask closes some (one head for all that see the same)."""
    origin: tuple[Profile, Int[Tensor, " batch"]] | None = field(default=None, repr=False)
    """The profile whose samples these are, and which: what is known of its rows is not computed again."""

    @cached_property
    def entropy(self) -> Float[Tensor, "batch head row"]:
        """Entropy of each row in nats."""
        return row_entropy(self.values) if self.origin is None else _picked(self.origin[0].entropy, self.origin[1])

    @cached_property
    def squares(self) -> Float[Tensor, "batch head row"]:
        """Sum of the squared values of each row."""
        if self.origin is not None:
            return _picked(self.origin[0].squares, self.origin[1])
        return torch.linalg.vector_norm(self.values, dim=-1).square()

    @cached_property
    def largest(self) -> Float[Tensor, "batch head row"]:
        """Largest value of each row."""
        return self.values.amax(dim=-1) if self.origin is None else _picked(self.origin[0].largest, self.origin[1])

    @cached_property
    def num_cells(self) -> Float[Tensor, " batch"]:
        """Number of existing cells of each sample."""
        if self.origin is not None:
            return _picked(self.origin[0].num_cells, self.origin[1])
        return self.cells.sum(dim=-1).double()

    @property
    def row_cells(self) -> Float[Tensor, "batch head row"]:
        """Number of cells that each row can see; (batch, 1, 1) where those are all."""
        return self.num_cells[:, None, None] if self.open_cells is None else self.open_cells

    @property
    def free_weights(self) -> Float[Tensor, "batch head row"]:
        """The weights, 0 for rows that a mask leaves fewer than two cells: they have no choice."""
        if self.open_cells is None:
            return self.weights
        return self.weights * (self.open_cells >= 2).to(self.weights.dtype)

    @property
    def sink_mass(self) -> Float[Tensor, "batch head"]:
        """Mean over the block's rows of the attention mass on special tokens, in [0, 1]; NaN without rows."""
        return weighted_mean(self.sink, self.rows[:, None].expand_as(self.sink))

    def select(self, samples: Int[Tensor, " picked"] | Sequence[int]) -> Profile:
        """Return the profile of some samples of the batch, in the order asked for."""
        samples = torch.as_tensor(samples, device=self.values.device)
        arrays = (self.values, self.weights, self.sink, self.rows, self.cells)
        values, weights, sink, rows, cells = (_picked(array, samples) for array in arrays)
        counts = None if self.open_cells is None else _picked(self.open_cells, samples)
        return Profile(values, weights, sink, rows, cells, counts, (self, samples))

    @classmethod
    def side_by_side(cls, profiles: Sequence[Profile]) -> Profile:
        """Return one profile with the heads of several, of the same samples and block, one after the other."""
        first = profiles[0]
        counts = same_or_each([one.open_cells for one in profiles if one.open_cells is not None], first.values.shape[1])
        joined = [torch.cat([getattr(one, name) for one in profiles], dim=1) for name in ("values", "weights", "sink")]
        return cls(joined[0], joined[1], joined[2], first.rows, first.cells, counts)


def same_or_each(layers: Sequence[Tensor], heads: int) -> Tensor | None:
    """Join what is known of several layers, (batch, 1, ...) each, head by head; one stands for all. None of nothing."""
    if not layers:
        return None
    if all(layer is layers[0] for layer in layers):
        return layers[0]
    return torch.cat([layer.expand(-1, heads, *layer.shape[2:]) for layer in layers], dim=1)


def _picked(array: Tensor, samples: Int[Tensor, " picked"]) -> Tensor:
    """Return some samples of an array; of a single one a view."""
    # index_select is four times as fast as indexing.
    return array.narrow(0, int(samples[0]), 1) if len(samples) == 1 else array.index_select(0, samples)


def sink_mass(profile: Profile) -> Float[Tensor, "batch head"]:
    """Mean over a block's rows of the attention mass on special tokens; range [0, 1], NaN without rows."""
    return profile.sink_mass


def align(p: Profile, q: Profile) -> tuple[Profile, Profile]:
    """Cut two profiles to the rows and cells that both have, by number, and renormalise.

    For controls whose contexts differ in length: what only one of them has cannot be compared. Weights shrink by the
    mass that is cut away.
    """
    rows, cells = min(p.rows.shape[1], q.rows.shape[1]), min(p.cells.shape[1], q.cells.shape[1])
    both_rows = _trimmed(p.rows[:, :rows] & q.rows[:, :rows])
    both_cells = _trimmed(p.cells[:, :cells] & q.cells[:, :cells])
    rows, cells = both_rows.shape[1], both_cells.shape[1]
    holes = None if bool(both_cells.all()) else both_cells[:, None, None, :].to(p.values.dtype)

    def cut(side: Profile) -> Profile:
        values = side.values[:, :, :rows, :cells]
        values = values if holes is None else values * holes
        share = values.sum(dim=-1)
        weights = side.weights[:, :, :rows] * share * both_rows[:, None].to(share.dtype)
        values = values * safe_divide(torch.ones_like(share), share)[..., None]
        # Of what a mask leaves a row, less is left by the cut; the cells are numbered from the first.
        counts = None if side.open_cells is None else side.open_cells[..., :rows].clamp_max(cells)
        return Profile(values, weights, side.sink[:, :, :rows], both_rows, both_cells, counts)

    return cut(p), cut(q)


def _trimmed(mask: Bool[Tensor, "batch place"]) -> Bool[Tensor, "batch place"]:
    """Drop the places at the end that no sample has; one is left in any case."""
    there = torch.nonzero(mask.any(dim=0))
    return mask[:, : int(there[-1]) + 1 if len(there) else 1]

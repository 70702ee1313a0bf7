"""Profiles: an attention pattern cut to a block and free of sinks, ready to be compared with another."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from xlprobe.errors import DataError
from xlprobe.metrics.pooling import pool_keys
from xlprobe.metrics.roles import BLOCKS, Roles, Span
from xlprobe.metrics.tensors import CHUNK_ELEMENTS, as_float, row_entropy, safe_divide, weighted_mean

__all__ = ["Memory", "PooledPattern", "Profile", "align", "profile"]

ProfilePooling = Literal["token", "mass", "density"]


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

    @cached_property
    def entropy(self) -> Float[Tensor, "batch head row"]:
        """Entropy of each row in nats."""
        return row_entropy(self.values)

    @cached_property
    def squares(self) -> Float[Tensor, "batch head row"]:
        """Sum of the squared values of each row."""
        return torch.linalg.vector_norm(self.values, dim=-1).square()

    @cached_property
    def largest(self) -> Float[Tensor, "batch head row"]:
        """Largest value of each row."""
        return self.values.amax(dim=-1)

    @cached_property
    def num_cells(self) -> Float[Tensor, " batch"]:
        """Number of existing cells of each sample."""
        return self.cells.sum(dim=-1).double()

    @property
    def sink_mass(self) -> Float[Tensor, "batch head"]:
        """Mean over the block's rows of the attention mass on special tokens, in [0, 1]; NaN without rows."""
        return weighted_mean(self.sink, self.rows[:, None].expand_as(self.sink))

    def select(self, samples: Int[Tensor, " picked"] | Sequence[int]) -> Profile:
        """Return the profile of some samples of the batch, in the order asked for, with what is known of their rows."""
        samples = torch.as_tensor(samples, device=self.values.device)
        # index_select is four times as fast as indexing.
        picked = Profile(*(getattr(self, field.name).index_select(0, samples) for field in fields(self)))
        for name in ("entropy", "squares", "largest", "num_cells"):
            if name in self.__dict__:
                picked.__dict__[name] = self.__dict__[name].index_select(0, samples)
        return picked


@dataclass
class Memory:
    """Memory that is used again: fresh pages cost more than the arithmetic on them."""

    flat: Tensor | None = None

    def of(self, shape: tuple[int, ...], like: Tensor) -> Tensor:
        """Return an uninitialised array of this shape, and of the dtype and device of another."""
        count = math.prod(shape)
        if (
            self.flat is None
            or len(self.flat) < count
            or (self.flat.dtype, self.flat.device) != (like.dtype, like.device)
        ):
            self.flat = like.new_empty(count)
        return self.flat[:count].view(shape)


@dataclass(frozen=True)
class PooledPattern:
    """One layer's pattern of a batch with what all its profiles share, each part computed once, when asked for.

    With `norms` (see `xlprobe.metrics.value_norms`) everything is as for `norm_weighted(pattern, norms)`, without
    holding that second pattern.
    """

    pattern: Float[Tensor, "batch head query key"]
    roles: Roles
    norms: Float[Tensor, "batch head key"] | None = None

    @cached_property
    def by_cell(self) -> Float[Tensor, "batch head query cell"]:
        """Attention of every query token to each unit, to the question, and to the special tokens (last)."""
        if self.norms is None:
            return pool_keys(self.pattern, self.roles.cells)
        # One more column, of ones, gives each row's total. Heads go where the samples were: each has its own norms.
        cells = torch.nn.functional.pad(self.roles.cells, (0, 1), value=1.0)[:, None] * self.norms[..., None]
        summed = pool_keys(self.pattern[:, :, None], cells)[:, :, 0]
        return safe_divide(summed[..., :-1], summed[..., -1:])

    @cached_property
    def pooled(self) -> Float[Tensor, "batch head row cell"]:
        """Attention mass from units, question, first token and whole context to units, question and specials.

        In float64; see `Roles.rows` and `Roles.cells` for the order.
        """
        return self.roles.row_means.transpose(1, 2).double().unsqueeze(1) @ self.by_cell.double()

    def profile(
        self, block: str = "context->context", pooling: ProfilePooling = "token", memory: Memory | None = None
    ) -> Profile:
        """Return one block of the pattern as a `Profile`.

        `block` is a key of `BLOCKS`. With `pooling="token"` the cells are tokens; the rows are tokens too where
        context or text asks, while the question is averaged to a single row, because its tokens differ between
        languages. With "mass" and "density" rows and cells are units (`xlprobe.metrics.unit_pool`). `memory` is where
        the values of tokens go: a later profile with the same one overwrites them.
        """
        if block not in BLOCKS:
            raise DataError(f"got block={block!r}; expected one of {', '.join(map(repr, BLOCKS))}")
        queries, keys = BLOCKS[block]
        if pooling == "token":
            return self._token_profile(queries, keys, memory or Memory())
        if pooling not in ("mass", "density"):
            raise DataError(f"got pooling={pooling!r}; expected 'token', 'mass' or 'density'")
        return self._unit_profile(queries, keys, pooling)

    def _token_profile(self, queries: str, keys: str, memory: Memory) -> Profile:
        cells = self.roles.spans[keys]
        if queries in ("context", "text"):
            span = self.roles.spans[queries]
            source, rows = self.pattern, span.mask
            by_cell = _take(self.by_cell, span, 2)
        else:
            span, number = None, self.roles.row_numbers[queries]
            rows = self.roles.rows_exist[:, number : number + 1]
            by_cell = self.pooled[:, :, number : number + 1].to(self.pattern.dtype)
            source = self._mean_row(number)
        scale = self._cell_scale(cells)
        values = memory.of((*source.shape[:2], rows.shape[1], cells.width), source)
        # A few samples at a time, so that what is read thrice comes from the processor's cache.
        size = max(1, CHUNK_ELEMENTS // max(values[0].numel(), 1))
        for start in range(0, len(values), size):
            some = slice(start, start + size)
            part = source[some] if span is None else _take(source[some], span.select(some), 2)
            part = _take(part, cells.select(some), 3)
            part = part if scale is None else part * scale[some]
            total = part.sum(dim=-1, keepdim=True)
            torch.mul(part, safe_divide(torch.ones_like(total), total), out=values[some])
        share = by_cell[..., self.roles.cell_parts[keys]].sum(dim=-1)
        weights = share * rows[:, None].to(share.dtype)
        return Profile(values, weights, by_cell[..., -1], rows, cells.mask)

    def _mean_row(self, number: int) -> Float[Tensor, "batch head 1 key"]:
        """Mean of a pooled row's queries, over tokens; up to the norms, which `_cell_scale` brings in."""
        if number == self.roles.row_numbers["cls"] and self.norms is None:
            return self.pattern[:, :, :1]
        means = self.roles.row_means[:, None, :, number].to(self.pattern.dtype)
        if self.norms is not None:
            # Rows are normalised before the mean is taken.
            totals = (self.pattern @ self.norms[..., None])[..., 0]
            means = means * safe_divide(torch.ones_like(totals), totals)
        return means[:, :, None, :] @ self.pattern

    def _cell_scale(self, cells: Span) -> Float[Tensor, "batch head 1 cell"] | None:
        """What the block's columns are multiplied by: norms, and 0 for absent cells; None for nothing."""
        if self.norms is None:
            return cells.mask[:, None, None, :].to(self.pattern.dtype) if cells.ragged else None
        scale = _take(self.norms[:, :, None, :], cells, 3)
        return scale * cells.mask[:, None, None, :].to(scale.dtype)

    def _unit_profile(self, queries: str, keys: str, pooling: str) -> Profile:
        parts = self.roles.cell_parts
        number = self.roles.row_numbers["cls"]
        picked_rows = slice(number, number + 1) if queries == "cls" else parts[queries]
        picked = self.pooled[:, :, picked_rows]
        rows = self.roles.rows_exist[:, picked_rows]
        sizes = self.roles.unit_sizes[:, parts[keys]]
        values = picked[..., parts[keys]]
        weights = values.sum(dim=-1)
        if pooling == "density":
            values = safe_divide(values, sizes[:, None, None, :])
        values = safe_divide(values, values.sum(dim=-1, keepdim=True))
        return Profile(values, weights, picked[..., -1], rows, sizes > 0)


def profile(
    pattern: Float[Tensor, "batch head query key"],
    segment_ids: Int[Tensor, "batch position"],
    unit_ids: Int[Tensor, "batch position"],
    special_mask: Bool[Tensor, "batch position"],
    block: str = "context->context",
    pooling: ProfilePooling = "token",
) -> Profile:
    """Return one block of a pattern as a `Profile`; `PooledPattern` shares the work when several are wanted."""
    roles = Roles.from_ids(segment_ids, unit_ids, special_mask)
    return PooledPattern(as_float(pattern), roles).profile(block, pooling)


def align(p: Profile, q: Profile) -> tuple[Profile, Profile]:
    """Cut two profiles to the rows and cells that both have, by number, and renormalise.

    For controls whose contexts differ in length: what only one of them has cannot be compared. Weights shrink by the
    mass that is cut away.
    """
    rows, cells = min(p.rows.shape[1], q.rows.shape[1]), min(p.cells.shape[1], q.cells.shape[1])
    both_rows = p.rows[:, :rows] & q.rows[:, :rows]
    both_cells = p.cells[:, :cells] & q.cells[:, :cells]

    def cut(side: Profile) -> Profile:
        values = side.values[:, :, :rows, :cells] * both_cells[:, None, None, :].to(side.values.dtype)
        share = values.sum(dim=-1)
        weights = side.weights[:, :, :rows] * share * both_rows[:, None].to(share.dtype)
        values = safe_divide(values, share[..., None])
        return Profile(values, weights, side.sink[:, :, :rows], both_rows, both_cells)

    return cut(p), cut(q)


def _take(values: Tensor, span: Span, dim: int) -> Tensor:
    """Pick a span's positions along the query (2) or the key (3) dimension; a view where a slice does."""
    if span.start is not None:
        return values.narrow(dim, span.start, span.width)
    index = span.index[:, None, :, None] if dim == 2 else span.index[:, None, None, :]
    shape = list(values.shape)
    shape[dim] = span.width
    return values.gather(dim, index.expand(shape))

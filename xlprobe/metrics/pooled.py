"""One layer's pattern of a batch, and what all its profiles share: attention from tokens and units to units."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from xlprobe.errors import DataError
from xlprobe.metrics.blocks import BLOCKS
from xlprobe.metrics.pooling import pool_keys
from xlprobe.metrics.profiles import Profile, same_or_each
from xlprobe.metrics.reach import Reach
from xlprobe.metrics.roles import Roles, Span
from xlprobe.metrics.tensors import as_float, at_once, compiled_for, safe_divide

__all__ = ["Memory", "PooledPattern", "UnitPattern", "profile"]

ProfilePooling = Literal["token", "mass", "density"]


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
class UnitPattern:
    """A batch's attention between units: all that profiles by unit and attention mass are computed from.

    `pooled` is the attention mass from units, question, first token and whole context to units, question and specials,
    in float64; see `Roles.rows` and `Roles.cells` for the order.
    """

    pooled: Float[Tensor, "batch head row cell"]
    roles: Roles
    reaches: tuple[Reach, ...] = ()
    """Under a causal mask, what the queries can see: one for all heads, or one for each of several layers."""

    @classmethod
    def side_by_side(cls, patterns: Sequence[UnitPattern]) -> UnitPattern:
        """Return one pattern with the heads of several of the same batch, such as those of all layers."""
        reaches = tuple(reach for one in patterns for reach in one.reaches)
        alike = len({id(reach) for reach in reaches}) == 1
        joined = torch.cat([one.pooled for one in patterns], dim=1)
        return cls(joined, patterns[0].roles, reaches[:1] if alike else reaches)

    @cached_property
    def uniform(self) -> Float[Tensor, "batch head row cell"] | None:
        """What uniform attention over the keys that a causal mask leaves open would be; None without one.

        One head stands for all where all see the same.
        """
        heads = self.pooled.shape[1] // max(len(self.reaches), 1)
        return same_or_each([reach.uniform for reach in self.reaches], heads)

    def profile(self, block: str = "context->context", pooling: ProfilePooling = "mass") -> Profile:
        """Return one block, rows and cells being units; pooling as in `xlprobe.metrics.unit_pool`."""
        queries, keys = _roles_of(block)
        if pooling not in ("mass", "density"):
            raise DataError(f"got pooling={pooling!r}; expected 'token', 'mass' or 'density'")
        cell_ranges = self.roles.cell_ranges
        number = self.roles.row_numbers["cls"]
        picked_rows = slice(number, number + 1) if queries == "cls" else cell_ranges[queries]
        picked = self.pooled[:, :, picked_rows]
        rows = self.roles.rows_exist[:, picked_rows]
        sizes = self.roles.unit_sizes[:, cell_ranges[keys]]
        values = picked[..., cell_ranges[keys]]
        weights = values.sum(dim=-1)
        # Of a unit of which a causal mask closes a part, so much counts as uniform attention would give it.
        expected = (
            sizes[:, None, None, :] if self.uniform is None else self.uniform[:, :, picked_rows, cell_ranges[keys]]
        )
        if pooling == "density":
            values = safe_divide(values, expected)
        values = safe_divide(values, values.sum(dim=-1, keepdim=True))
        heads = self.pooled.shape[1] // max(len(self.reaches), 1)
        counts = same_or_each([one.open_units(picked_rows, cell_ranges[keys]) for one in self.reaches], heads)
        return Profile(values, weights, picked[..., -1], rows, sizes > 0, counts)


@dataclass(frozen=True)
class PooledPattern:
    """One layer's pattern of a batch with what all its profiles share, each part computed once, when asked for.

    With `norms` (see `xlprobe.metrics.value_norms`) everything is as for `norm_weighted(pattern, norms)`, without
    holding that second pattern. A pattern of a half type is measured in float32.
    """

    pattern: Float[Tensor, "batch head query key"]
    roles: Roles
    norms: Float[Tensor, "batch head key"] | None = None
    reach: Reach | None = None
    """Under a causal mask, what the queries can see."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "pattern", as_float(self.pattern))

    @classmethod
    def of_rows(
        cls, parts: Sequence[Float[Tensor, "batch head query cell"]], roles: Roles, reach: Reach | None = None
    ) -> PooledPattern:
        """Return what is known of a pattern of which only the attention of its queries to each cell is left.

        `parts` are `pool_keys(pattern, roles.cells)` of some queries after the other. It has `units`, and no rows of
        tokens.
        """
        by_cell = torch.cat(list(parts), dim=2)
        pooled = cls(by_cell[..., :0], roles, reach=reach)
        pooled.__dict__["by_cell"] = by_cell
        return pooled

    @cached_property
    def _sums(self) -> Float[Tensor, "batch head query cell"]:
        """Norm-weighted attention of every query token to each cell, and (last) to everything."""
        assert self.norms is not None
        # Heads go where the samples were: each has its own norms.
        cells = torch.nn.functional.pad(self.roles.cells, (0, 1), value=1.0)[:, None] * self.norms[..., None]
        return pool_keys(self.pattern[:, :, None], cells)[:, :, 0]

    @cached_property
    def by_cell(self) -> Float[Tensor, "batch head query cell"]:
        """Attention of every query token to each unit, to the question, and to the special tokens (last)."""
        if self.norms is None:
            return pool_keys(self.pattern, self.roles.cells)
        return safe_divide(self._sums[..., :-1], self._sums[..., -1:])

    @cached_property
    def units(self) -> UnitPattern:
        """The attention between units."""
        means = self.roles.row_means.transpose(1, 2).double().unsqueeze(1)
        reaches = () if self.reach is None else (self.reach,)
        return UnitPattern(means @ self.by_cell.double(), self.roles, reaches)

    @property
    def pooled(self) -> Float[Tensor, "batch head row cell"]:
        """The array of `units`."""
        return self.units.pooled

    def profile(
        self, block: str = "context->context", pooling: ProfilePooling = "token", memory: Memory | None = None
    ) -> Profile:
        """Return one block of the pattern as a `Profile`.

        `block` is a key of `BLOCKS`. With `pooling="token"` the cells are tokens; the rows are tokens too where
        context or text asks, while the question is averaged to a single row, because its tokens differ between
        languages. With "mass" and "density" rows and cells are units (`xlprobe.metrics.unit_pool`). `memory` is where
        the values of tokens go: a later profile with the same one overwrites them.
        """
        queries, keys = _roles_of(block)
        return self._token_profile(queries, keys, memory) if pooling == "token" else self.units.profile(block, pooling)

    def _token_profile(self, queries: str, keys: str, memory: Memory | None) -> Profile:
        cells, cell_range = self.roles.spans[keys], self.roles.cell_ranges[keys]
        known: dict[str, Tensor] = {}
        if queries not in ("context", "text"):
            number = self.roles.row_numbers[queries]
            rows = self.roles.rows_exist[:, number : number + 1]
            by_cell = self.pooled[:, :, number : number + 1].to(self.pattern.dtype)
            scale = self._cell_scale(cells)
            values = _take(self._mean_row(number), cells, 3)
            values = values if scale is None else values * scale
            values = safe_divide(values, values.sum(dim=-1, keepdim=True))
            open_cells = None if self.reach is None else self.reach.open_to_any(number, cells)
        else:
            span = self.roles.spans[queries]
            rows, by_cell = span.mask, _take(self.by_cell, span, 2)
            values, known = self._rows(span, cells, memory or Memory())
            open_cells = None if self.reach is None else self.reach.open_tokens(span, cells)
        weights = by_cell[..., cell_range].sum(dim=-1) * rows[:, None].to(by_cell.dtype)
        profile = Profile(values, weights, by_cell[..., -1], rows, cells.mask, open_cells)
        vars(profile).update(known)
        return profile

    def _rows(self, span: Span, cells: Span, memory: Memory) -> tuple[Tensor, dict[str, Tensor]]:
        """Rows of tokens, renormalised over a block's cells, and what was found out of them on the way."""
        scale = self._cell_scale(cells)
        values = memory.of((*self.pattern.shape[:2], span.width, cells.width), self.pattern)
        if (code := compiled_for(self.pattern)) is not None:
            factors = self.pattern.new_ones(len(values), 1, cells.width) if scale is None else scale[:, :, 0]
            known = self.pattern.new_empty(4, *values.shape[:3])
            code.run(code.take_rows, self.pattern, span.index, cells.index, factors, values, known)
            return values, dict(zip(("entropy", "squares", "largest"), known[:3], strict=True))
        # A few samples at a time, so that what is read again comes from the processor's cache.
        size = at_once(values[0].numel())
        for start in range(0, len(values), size):
            some = slice(start, start + size)
            block = _take(_take(self.pattern[some], span.select(some), 2), cells.select(some), 3)
            if scale is not None:
                block = torch.mul(block, scale[some], out=values[some])
            total = block.sum(dim=-1, keepdim=True)
            torch.mul(block, safe_divide(torch.ones_like(total), total), out=values[some])
        return values, {}

    def _mean_row(self, number: int) -> Float[Tensor, "batch head 1 key"]:
        """Mean of a pooled row's queries, over tokens; up to a factor and the norms, which `_cell_scale` brings in."""
        if number == self.roles.row_numbers["cls"]:
            return self.pattern[:, :, :1]
        means = self.roles.row_means[:, None, :, number].to(self.pattern.dtype)
        if self.norms is not None:
            # Rows are normalised before the mean is taken.
            means = safe_divide(means, self._sums[..., -1])
        return means[:, :, None, :] @ self.pattern

    def _cell_scale(self, cells: Span) -> Float[Tensor, "batch head 1 cell"] | None:
        """What the block's columns are multiplied by: norms, and 0 for absent cells; None for nothing."""
        if self.norms is None:
            return cells.mask[:, None, None, :].to(self.pattern.dtype) if cells.ragged else None
        scale = _take(self.norms[:, :, None, :], cells, 3)
        return scale * cells.mask[:, None, None, :].to(scale.dtype)


def _roles_of(block: str) -> tuple[str, str]:
    if block not in BLOCKS:
        raise DataError(f"got block={block!r}; expected one of {', '.join(map(repr, BLOCKS))}")
    return BLOCKS[block]


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
    return PooledPattern(pattern, roles).profile(block, pooling)


def _take(values: Tensor, span: Span, dim: int) -> Tensor:
    """Pick a span's positions along the query (2) or the key (3) dimension; a view where a slice does."""
    if span.start is not None:
        return values.narrow(dim, span.start, span.width)
    index = span.index[:, None, :, None] if dim == 2 else span.index[:, None, None, :]
    shape = list(values.shape)
    shape[dim] = span.width
    return values.gather(dim, index.expand(shape))

"""Which token plays which part: context, question, first token, separators; made once per batch, used by all layers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from xlprobe.errors import DataError
from xlprobe.metrics.pooling import mean_weights, unit_matrix

__all__ = ["Roles", "Span"]


@dataclass(frozen=True)
class Span:
    """The positions of one role, left-aligned: `index` (batch, width), and which of them exist."""

    index: Int[Tensor, "batch width"]
    mask: Bool[Tensor, "batch width"]
    start: int | None
    """First position when it is the same for the whole batch (then a slice does), else None."""
    ragged: bool
    """Whether some sample has fewer positions than the widest, or holes."""

    @property
    def width(self) -> int:
        """The number of positions of the widest sample."""
        return self.index.shape[1]

    def select(self, samples: slice) -> Span:
        """Return the span of some samples."""
        return replace(self, index=self.index[samples], mask=self.mask[samples])


@dataclass(frozen=True)
class Roles:
    """The roles that the tokens of a batch play.

    Text tokens are those of a unit: not [CLS], separators, padding, or a prompt's prefix. `rows` averages queries
    and `cells` sums keys; `cells` has the context's units, then the question, then the special tokens (the sink);
    `rows` has the context's units, the question, the first token, and the whole context.
    """

    context: Bool[Tensor, "batch position"]
    question: Bool[Tensor, "batch position"]
    special: Bool[Tensor, "batch position"]
    rows: Float[Tensor, "batch position row"]
    cells: Float[Tensor, "batch position cell"]
    num_units: int
    spans: dict[str, Span]

    @classmethod
    def from_ids(
        cls,
        segment_ids: Int[Tensor, "batch position"],
        unit_ids: Int[Tensor, "batch position"],
        special_mask: Bool[Tensor, "batch position"],
        *,
        num_units: int | None = None,
    ) -> Roles:
        """Read the roles from a batch's ids (see `xlprobe.samples.batch.Batch`).

        `num_units` is the number of context units to make room for; by default what the batch needs.
        """
        segments, units = torch.as_tensor(segment_ids), torch.as_tensor(unit_ids)
        special_tokens = torch.as_tensor(special_mask, dtype=torch.bool)
        if not segments.shape == units.shape == special_tokens.shape or segments.dim() != 2:
            raise DataError(
                f"got segment_ids {tuple(segments.shape)}, unit_ids {tuple(units.shape)} and special_mask "
                f"{tuple(special_tokens.shape)}; expected all three as (batch, position)"
            )
        text = (units >= 0) & ~special_tokens
        context, question = text & (segments == 0), text & (segments == 1)
        special = special_tokens & (segments >= 0)
        needed = int(torch.where(context, units, -1).max()) + 1
        count = needed if num_units is None else num_units
        if count < needed:
            raise DataError(f"got num_units={count}, but a sample has {needed} context units; expected at least that")
        context_units = unit_matrix(torch.where(context, units, -1), count)
        first = torch.zeros_like(context)
        first[:, 0] = True
        columns = [question, special]
        cells = torch.cat([context_units, *(mask.float()[..., None] for mask in columns)], dim=-1)
        columns = [question, first, context]
        rows = torch.cat([context_units, *(mask.float()[..., None] for mask in columns)], dim=-1)
        masks = {"context": context, "question": question, "text": text, "cls": first}
        spans = {name: _span(mask) for name, mask in masks.items()}
        return cls(context, question, special, rows, cells, count, spans)

    @cached_property
    def row_means(self) -> Float[Tensor, "batch position row"]:
        """`rows` scaled so that multiplying by it takes means."""
        return mean_weights(self.rows)

    @cached_property
    def rows_exist(self) -> Bool[Tensor, "batch row"]:
        """Which of the pooled rows a sample has."""
        return self.rows.any(dim=1)

    @property
    def row_numbers(self) -> dict[str, int]:
        """Where the pooled rows of the question, the first token and the whole context are in `rows`."""
        return {"question": self.num_units, "cls": self.num_units + 1, "context": self.num_units + 2}

    @property
    def cell_ranges(self) -> dict[str, slice]:
        """Where the cells of context, question and both (text) are in `cells`."""
        units = self.num_units
        return {"context": slice(0, units), "question": slice(units, units + 1), "text": slice(0, units + 1)}

    @cached_property
    def unit_sizes(self) -> Float[Tensor, "batch unit"]:
        """The number of tokens of each context unit and, last, of the question."""
        return self.cells.sum(dim=1)[:, : self.num_units + 1].double()

    @cached_property
    def sizes(self) -> dict[str, Float[Tensor, " batch"]]:
        """The number of context and of question tokens of each sample."""
        return {"context": self.context.sum(dim=1).double(), "question": self.question.sum(dim=1).double()}

    def to(self, device: torch.device | str) -> Roles:
        """Return the same on a device."""
        spans = {
            name: Span(span.index.to(device), span.mask.to(device), span.start, span.ragged)
            for name, span in self.spans.items()
        }
        masks = [mask.to(device) for mask in (self.context, self.question, self.special)]
        return Roles(masks[0], masks[1], masks[2], self.rows.to(device), self.cells.to(device), self.num_units, spans)


def _span(mask: Bool[Tensor, "batch position"]) -> Span:
    """Find the positions of a role; one position of no one where nobody plays it."""
    length = mask.shape[1]
    positions = torch.arange(length, device=mask.device)
    start = torch.where(mask, positions, length).amin(dim=1)
    stop = torch.where(mask, positions, -1).amax(dim=1) + 1
    present = stop > 0
    start = torch.where(present, start, 0)
    width = max(int((stop - start).max()), 1)
    index = start[:, None] + torch.arange(width, device=mask.device)
    inside = index < length
    index = index.clamp_max(length - 1)
    exists = mask.gather(1, index) & inside
    starts = start[present].unique()
    begin = int(starts[0]) if len(starts) == 1 else (0 if len(starts) == 0 else None)
    if begin is not None and begin + width > length:
        begin = None
    if begin is not None:
        index = (begin + torch.arange(width, device=mask.device)).expand(mask.shape[0], width)
        exists = mask[:, begin : begin + width]
    return Span(index, exists, begin, not bool(exists.all()))

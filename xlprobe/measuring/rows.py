"""Rows of the table: what all layers share of one batch, and the way of values into the sink."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from xlprobe.measuring.plan import Comparisons, PairedBatch
from xlprobe.metrics import Profile, Roles
from xlprobe.metrics.reach import Reach
from xlprobe.metrics.tensors import at_once

__all__ = ["BatchRows", "Emit", "Labels", "PairGroup", "Sink"]

Labels = Mapping[str, np.ndarray[Any, Any]]


@dataclass(frozen=True)
class PairGroup:
    """Comparisons, and whether all have the same cells on both sides; `observed` picks those that are no controls."""

    left: Tensor
    right: Tensor
    alike: bool
    labels: Labels
    observed: Tensor
    observed_labels: Labels


@dataclass(frozen=True)
class BatchRows:
    """What all layers share of one batch: the roles of its tokens, its rows' labels, and what is compared."""

    batch: PairedBatch
    _groups: dict[tuple[str, str], list[PairGroup]] = field(default_factory=dict)
    _reaches: dict[int | None, Reach] = field(default_factory=dict)

    @cached_property
    def roles(self) -> Roles:
        """The roles that the tokens play."""
        return Roles.from_ids(self.batch.segment_ids, self.batch.unit_ids, self.batch.special_mask)

    def reach(self, capture: Any) -> Reach | None:
        """What the queries of a causal layer can see; None where every token sees every other."""
        if not capture.causal:
            return None
        if capture.window not in self._reaches:
            self._reaches[capture.window] = Reach.causal(self.batch.attention_mask, self.roles, capture.window)
        return self._reaches[capture.window]

    @cached_property
    def labels(self) -> Labels:
        """The columns of the table that tell the rows apart."""
        names = ("dataset", "context_language", "question_language", "sample", "group", "depth")
        columns = [
            (s.dataset, s.context_language, s.question_language, s.key, s.group, s.depth) for s in self.batch.samples
        ]
        labels = {
            name: np.array(column, dtype=object) for name, column in zip(names, zip(*columns, strict=True), strict=True)
        }
        routed = np.array([version.routed_as is not None for version in self.batch.versions])
        return {**labels, "condition": np.where(routed, "forced", "observed").astype(object)}

    @cached_property
    def owned_labels(self) -> Labels:
        """The labels of the rows that are reported."""
        return {name: column[self.batch.owned.cpu().numpy()] for name, column in self.labels.items()}

    def pair_groups(self, profile: Profile, block: str, pooling: str) -> list[PairGroup]:
        """Return the comparisons that a pooling allows: all at once where they are few, else in up to four kinds.

        The kinds are observed ones and controls, for which less is computed, each by whether both sides have the same
        cells; else they are cut to what both have, which costs a copy. The texts alone decide, so the first layer's
        profile settles it.
        """
        if (block, pooling) not in self._groups:
            every = self.batch.comparisons
            every = every[every.by_token] if pooling == "token" else every
            rows, cells = profile.rows.cpu(), profile.cells.cpu()
            alike = (rows[every.left] == rows[every.right]).all(dim=1)
            alike &= (cells[every.left] == cells[every.right]).all(dim=1)
            kinds = [(every, bool(alike.all()))]
            if len(every) > at_once(profile.values[0].numel()):
                observed = every.is_observed
                kinds = [
                    (every[(observed == kind) & (alike == same)], same)
                    for kind in (True, False)
                    for same in (True, False)
                ]
            self._groups[block, pooling] = [self._group(these, same) for these, same in kinds if len(these)]
        return self._groups[block, pooling]

    def _group(self, these: Comparisons, alike: bool) -> PairGroup:
        labels = {name: column[these.left.numpy()] for name, column in self.labels.items()}
        labels |= {"condition": these.condition, "reference": these.reference}
        # A against B is B against A: rows of chance count as one observation, under the name of one theory.
        labels |= {"group": np.where(these.group != "", these.group, labels["group"]).astype(object)}
        sides = these.left.to(self.batch.input_ids.device), these.right.to(self.batch.input_ids.device)
        observed = torch.nonzero(these.is_observed)[:, 0]
        if len(observed) == len(these):
            return PairGroup(*sides, alike, labels, observed, labels)
        return PairGroup(
            *sides, alike, labels, observed, {name: column[observed.numpy()] for name, column in labels.items()}
        )


class Sink(Protocol):
    """Takes rows of the table: `values` (row, head), `labels` with one entry per row, and columns that all share."""

    def __call__(self, values: np.ndarray[Any, Any], labels: Mapping[str, Any], **columns: Any) -> None:
        """Take these rows."""


@dataclass(frozen=True)
class Emit:
    """Hands values to the sink with what is known of the batch and the layers.

    `layers` are those whose heads stand side by side in the values; one value per row belongs to the first alone.
    """

    sink: Sink
    rows: BatchRows
    layers: Sequence[int]

    def __call__(self, values: Tensor, labels: Labels, **columns: Any) -> None:
        """Report one value per row and head, or per row."""
        array = values.float().cpu().numpy()
        heads = max(array.shape[1] // len(self.layers), 1)
        for number, layer in enumerate(self.layers[: array.shape[1]]):
            self.sink(array[:, number * heads : (number + 1) * heads], labels, layer=layer, **columns)

    def owned(self, values: Tensor, **columns: Any) -> None:
        """Report values of the rows that are owned."""
        self(values[self.rows.batch.owned.to(values.device)], self.rows.owned_labels, **columns)

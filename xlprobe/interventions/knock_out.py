"""Attention knock-out: chosen edges from query tokens to key tokens are cut before the softmax."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Bool
from torch import Tensor, nn

from xlprobe.encoders.hooks import hook_points, observe
from xlprobe.encoders.layout import layout_of
from xlprobe.encoders.modules import looks_across
from xlprobe.errors import CaptureError
from xlprobe.interventions.roles import Tokens, role_mask
from xlprobe.interventions.selection import checked_heads, checked_layers
from xlprobe.samples import Batch

__all__ = ["KnockOut"]

Branch = Literal["both", "mono", "cross"]


@dataclass(frozen=True)
class KnockOut:
    """Keeps some tokens from attending to others (Geva et al. 2023), in a window of layers.

    `queries` and `keys` are roles ("question", "context", "cls", "sep", "special", "all"), languages ("fr"), several
    of them, or boolean (batch, position) tensors. `layers` and `heads` default to all. In cross-query models `branch`
    says in which term the edges are cut: "both", only Q's ("mono"), or only Q_cross's ("cross").
    `relays="closed"` also keeps the query tokens from looking at special tokens, through which what the keys hold could
    reach them a layer later. Of a causal model only edges to earlier tokens count. In cross attention the decoder looks
    in the place of "cls". A token's edge to itself, or the decoder's to the last token, is never cut, so no row is ever
    emptied, however knock-outs are nested. `random_seed` cuts, in place of the edges, equally many drawn at random in
    each sample: the control.

    Empty `queries`, `keys`, `layers` or `heads` change nothing, to the bit. Named tokens that no sample of the batch
    has raise `CaptureError`, as the intervention would have no effect; so does a branch that the model lacks.
    """

    model: nn.Module
    queries: Tokens
    keys: Tokens
    layers: Iterable[int] | None = None
    heads: Iterable[int] | None = None
    branch: Branch = "both"
    relays: Literal["open", "closed"] = "open"
    random_seed: int | None = None

    def __post_init__(self) -> None:
        if self.branch not in ("both", "mono", "cross"):
            raise CaptureError(f"got branch={self.branch!r}; expected 'both', 'mono' or 'cross'")
        if self.relays not in ("open", "closed"):
            raise CaptureError(f"got relays={self.relays!r}; expected 'open' or 'closed'")
        object.__setattr__(self, "layers", checked_layers(self.model, self.layers))
        object.__setattr__(self, "heads", checked_heads(self.model, self.heads))
        for name in ("queries", "keys"):
            tokens = getattr(self, name)
            if not isinstance(tokens, (str, Tensor)):
                object.__setattr__(self, name, tuple(tokens))

    def edges(self, batch: Batch) -> Bool[Tensor, "batch query key"]:
        """Return the edges that are cut in each sample."""
        queries, keys = role_mask(batch, self.queries), role_mask(batch, self.keys)
        if self.relays == "closed" and bool(keys.any()):
            keys = keys | role_mask(batch, "special")
        cut = queries[:, :, None] & keys[:, None, :]
        if looks_across(self.model):
            return self._across(cut, batch)
        cut &= ~torch.eye(cut.shape[1], dtype=torch.bool, device=cut.device)
        causal = layout_of(self.model).causal
        if causal:
            cut = cut.tril()
        return cut if self.random_seed is None else _random_edges(cut, batch, self.random_seed, causal)

    def _across(self, cut: Tensor, batch: Batch) -> Tensor:
        """Return the edges from the decoder's place to the encoder's tokens; that to the last of them is never cut."""
        cut[:, 1:] = False
        cut[torch.arange(len(batch), device=cut.device), 0, batch.lengths - 1] = False
        if self.random_seed is None:
            return cut
        drawn = torch.zeros_like(cut)
        for row, places in enumerate(map(torch.nonzero, batch.attention_mask)):
            order = torch.randperm(len(places) - 1, generator=_generator(batch, row, self.random_seed))
            drawn[row, 0, places.flatten().cpu()[order[: int(cut[row].sum())]].to(cut.device)] = True
        return drawn

    @contextmanager
    def on(self, batch: Batch) -> Iterator[KnockOut]:
        """Cut the edges for the length of a `with` block in which the model is run on this batch."""
        if self._is_empty():
            yield self
            return
        cut = self.edges(batch)
        if not bool(cut.any()):
            raise CaptureError(
                f"no token of this batch is both asked for as query ({_text(self.queries)}) and has a key "
                f"({_text(self.keys)}) to be kept from, so nothing would change; expected at least one such edge"
            )
        # All positions of a decoder look in the place of the first token.
        with observe(self.model, self._hooks(cut[:, :1] if looks_across(self.model) else cut)):
            yield self

    def _is_empty(self) -> bool:
        sets = (self.layers, self.heads, self.queries, self.keys)
        return any(isinstance(chosen, tuple) and not chosen for chosen in sets)

    def _hooks(self, cut: Tensor) -> list[tuple[str, Callable[..., Tensor]]]:
        known = hook_points(self.model)
        wanted = {"both": ("", "_cross"), "mono": ("",), "cross": ("_cross",)}[self.branch]
        names = [f"blocks.{layer}.attn.hook_attn_scores{end}" for layer in self.layers or () for end in wanted]
        if self.branch == "cross" and not any(name in known for name in names):
            raise CaptureError("got branch='cross'; expected a cross-query model with a Q_cross in these layers")
        hook = _cutting(cut, self.heads)  # type: ignore[arg-type]
        return [(name, hook) for name in names if name in known]


def _cutting(cut: Tensor, heads: tuple[int, ...] | None) -> Callable[..., Tensor]:
    def hook(scores: Tensor, hook: Any) -> Tensor:
        if scores.shape[0] != cut.shape[0] or scores.shape[-1] != cut.shape[-1]:
            raise CaptureError(
                f"the model was run on {tuple(scores.shape[::3])} (samples, tokens), the intervention is on a batch of "
                f"{tuple(cut.shape[:2])}; run it on the batch that was given to .on()"
            )
        closed = cut[:, None].to(scores.device)
        if heads is not None:
            chosen = torch.zeros(scores.shape[1], dtype=torch.bool, device=scores.device)
            chosen[list(heads)] = True
            closed = closed & chosen[None, :, None, None]
        return scores.masked_fill(closed, float("-inf"))

    return hook


def _random_edges(cut: Tensor, batch: Batch, seed: int, causal: bool) -> Tensor:
    """Draw as many edges as are cut, among all that a sample's tokens have; by the sample's key, not its place."""
    drawn = torch.zeros_like(cut)
    for row in range(len(batch)):
        places = torch.nonzero(batch.attention_mask[row]).flatten().cpu()
        others = len(places) - 1
        order = torch.randperm(len(places) * others, generator=_generator(batch, row, seed))
        if causal:
            order = order[order % max(others, 1) < order // max(others, 1)]
        chosen = order[: int(cut[row].sum())]
        query, key = chosen // max(others, 1), chosen % max(others, 1)
        query, key = places[query], places[key + (key >= query)]  # the token itself is left out
        drawn[row, query.to(cut.device), key.to(cut.device)] = True
    return drawn


def _generator(batch: Batch, row: int, seed: int) -> torch.Generator:
    sample = batch.samples[row]
    name = f"{seed} {sample.key} {sample.context_language} {sample.question_language}"
    number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little") >> 1
    return torch.Generator().manual_seed(number)


def _text(tokens: Tokens) -> str:
    return "a tensor" if isinstance(tokens, Tensor) else tokens if isinstance(tokens, str) else ", ".join(tokens)

"""Interventions on heads' outputs: ablation, patching, and importance by gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from xlprobe.encoders.answers import answer_logits, run_bare
from xlprobe.encoders.cross_query import is_cross_query
from xlprobe.encoders.hooks import attention_modules, observe
from xlprobe.encoders.modules import looks_across
from xlprobe.errors import CaptureError
from xlprobe.interventions.roles import Tokens, role_mask
from xlprobe.interventions.selection import checked_layers, heads_by_layer
from xlprobe.samples import Batch

__all__ = ["Ablate", "HeadImportance", "HeadOutputs", "Patch", "head_means", "record"]

HeadSet = Iterable[tuple[int, int]]
"""(layer, head) pairs, counted from 0."""

Places = tuple[Tensor, Tensor, Tensor]
"""Rows of a batch, positions in it, and positions in the source."""


class Ablate:
    """Replaces heads' outputs by zeros or by their means; a context manager that needs no batch.

    `heads` are (layer, head) pairs; none of them changes nothing, to the bit. `kind="mean"` needs `means`, as
    `head_means` computes them over a set of samples.
    """

    def __init__(
        self,
        model: nn.Module,
        heads: HeadSet,
        kind: Literal["zero", "mean"] = "zero",
        means: Float[Tensor, "layer head d"] | None = None,
    ) -> None:
        if kind not in ("zero", "mean"):
            raise CaptureError(f"got kind={kind!r}; expected 'zero' or 'mean'")
        if (kind == "mean") != (means is not None):
            raise CaptureError("kind='mean' needs means, and no other kind takes them; compute them with head_means")
        self._model, self._heads, self._means = model, heads_by_layer(model, heads), means
        self._open: list[AbstractContextManager[Any]] = []

    def __enter__(self) -> Ablate:
        hooks = {_point(layer): self._hook(layer, chosen) for layer, chosen in self._heads.items()}
        self._open.append(observe(self._model, hooks))
        self._open[-1].__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.pop().__exit__(kind, error, trace)

    def _hook(self, layer: int, chosen: list[int]) -> Callable[..., Tensor]:
        def hook(z: Tensor, hook: Any) -> Tensor:
            edited = z.clone()
            edited[:, :, chosen] = 0.0 if self._means is None else self._means[layer, chosen].to(z)
            return edited

        return hook


@dataclass(frozen=True)
class HeadOutputs:
    """Heads' outputs of one run: for each layer (batch, position, head, d), and the batch that was run."""

    batch: Batch
    outputs: Mapping[int, Tensor]


def record(model: nn.Module, batch: Batch, layers: Iterable[int] | None = None) -> HeadOutputs:
    """Run a batch and keep the outputs of the heads in the given layers (default: all), to patch them elsewhere."""
    kept: dict[int, Tensor] = {}

    def keep(z: Tensor, hook: Any) -> None:
        kept[int(hook.name.split(".")[1])] = z.detach().clone()

    with torch.no_grad(), observe(model, {_point(layer): keep for layer in checked_layers(model, layers)}):
        run_bare(model, batch, is_cross_query(model))
    return HeadOutputs(batch, kept)


@dataclass(frozen=True)
class Patch:
    """Puts heads' outputs of one run into another, at chosen tokens: activation patching.

    `source` comes from `record`, on the same samples in another condition (such as the context and the question in
    one language). `heads` are (layer, head) pairs (None: all heads of the recorded layers). `at` names the tokens by
    role or language; their ids must agree in both batches, or `CaptureError` is raised, as it is where no token is
    named. "last" is where a causal model answers: the outputs at the last token of the one go to the last of the other,
    wherever these stand and whatever they are. In cross attention the decoder's position that answers is where outputs
    are put, whatever `at` says. An empty `heads` changes nothing, to the bit.
    """

    model: nn.Module
    source: HeadOutputs
    heads: HeadSet | None = None
    at: Tokens = ("cls", "context")

    def __post_init__(self) -> None:
        if self.heads is not None:
            object.__setattr__(self, "heads", tuple(self.heads))
        if not isinstance(self.at, (str, Tensor)):
            object.__setattr__(self, "at", tuple(self.at))

    @contextmanager
    def on(self, batch: Batch) -> Iterator[Patch]:
        """Patch for the length of a `with` block in which the model is run on this batch."""
        everything = [(layer, head) for layer, z in self.source.outputs.items() for head in range(z.shape[2])]
        grouped = heads_by_layer(self.model, everything if self.heads is None else self.heads)
        if not grouped:
            yield self
            return
        absent = sorted(grouped.keys() - self.source.outputs.keys())
        if absent:
            raise CaptureError(f"the source has no outputs of the layers {absent}; record them too")
        places = self._places(batch)
        hooks = {_point(layer): self._hook(layer, heads, batch, places) for layer, heads in grouped.items()}
        with observe(self.model, hooks):
            yield self

    def _places(self, batch: Batch) -> Places:
        """Return where outputs go, (row, position), and the positions that they come from."""
        theirs = self.source.batch
        if len(theirs) != len(batch):
            raise CaptureError(
                f"the source has {len(theirs)} samples and the batch {len(batch)}; expected the same ones"
            )
        if looks_across(self.model):
            steps = batch.answer_steps
            return torch.arange(len(batch), device=steps.device), steps, theirs.answer_steps.to(steps.device)
        names = (self.at,) if isinstance(self.at, str) else self.at
        others = names if isinstance(names, Tensor) else tuple(name for name in names if name != "last")
        row = position = origin = batch.lengths[:0]
        if isinstance(others, Tensor) or others or not names:
            row, position = torch.nonzero(self._same(batch, others), as_tuple=True)
            origin = position
        if not isinstance(names, Tensor) and "last" in names:
            ends = (torch.arange(len(batch), device=row.device), batch.lengths - 1, theirs.lengths.to(row.device) - 1)
            row, position, origin = (torch.cat(pair) for pair in zip((row, position, origin), ends, strict=True))
        return row, position, origin

    def _same(self, batch: Batch, at: Tokens) -> Tensor:
        """Return the places of tokens that are the same in source and batch."""
        places = role_mask(batch, at)
        theirs = self.source.batch
        if not bool(places.any()):
            raise CaptureError("no token of this batch is to be patched, so nothing would change; name others in `at`")
        shared = min(places.shape[1], theirs.input_ids.shape[1])
        same = batch.input_ids[:, :shared] == theirs.input_ids[:, :shared].to(batch.input_ids.device)
        if bool(places[:, shared:].any()) or bool((places[:, :shared] & ~same).any()):
            raise CaptureError(
                "the tokens to patch differ between source and batch; expected the same samples with the same tokens "
                "there, such as the context in one language"
            )
        return places

    def _hook(self, layer: int, heads: list[int], batch: Batch, places: Places) -> Callable[..., Tensor]:
        source = self.source.outputs[layer]

        def hook(z: Tensor, hook: Any) -> Tensor:
            if z.shape[:2] != _query_mask(self.model, batch).shape:
                raise CaptureError(f"the model was run on {tuple(z.shape[:2])}; expected the batch given to .on()")
            edited = z.clone()
            row, position, origin = (one.to(z.device) for one in places)
            for head in heads:
                edited[row, position, head] = source.to(z)[row, origin, head]
            return edited

        return hook


def head_means(model: nn.Module, batches: Iterable[Batch]) -> Float[Tensor, "layer head d"]:
    """Return each head's mean output over all tokens but padding, for `Ablate(kind="mean")`."""
    layers = range(len(attention_modules(model)))
    sums: dict[int, Tensor] = {}
    count = 0
    for batch in batches:
        valid = _query_mask(model, batch)
        count += int(valid.sum())
        for layer, z in record(model, batch, layers).outputs.items():
            total = z[valid.to(z.device)].double().sum(dim=0)
            sums[layer] = sums[layer] + total if layer in sums else total
    if count == 0:
        raise CaptureError("got no batches to take means over; expected at least one")
    return torch.stack([sums[layer] / count for layer in layers])


def _query_mask(model: nn.Module, batch: Batch) -> Tensor:
    """Return which positions have a query: those of the batch's tokens, in cross attention those of the decoder."""
    if looks_across(model) and batch.decoder_ids is not None:
        return batch.decoder_ids >= 0
    return batch.attention_mask.bool()


@dataclass
class HeadImportance:
    """Importance of heads by gradients, summed up batch by batch: mean over samples of |dL/dxi| at xi = 1.

    xi is a number that multiplies a head's output, L a sample's loss (Michel et al. 2019, section 4.1). Range from 0
    up; 0 means that a small change of the head's strength does not move the loss. Hidden states need gradients, so
    give it a model that is not under `torch.no_grad`; weights are left without gradients.
    """

    model: nn.Module
    loss: Callable[[Any, Batch], Float[Tensor, " batch"]] | None = None
    _sums: Tensor | None = field(default=None, repr=False)
    _count: int = 0

    def update(self, batch: Batch) -> None:
        """Add a batch. Without a `loss` of its own it needs labels (the loss is the cross-entropy)."""
        kept: dict[int, Tensor] = {}

        def keep(z: Tensor, hook: Any) -> Tensor:
            # A point of its own in the graph, so that gradients flow though the weights may all be frozen.
            leaf = z if z.requires_grad else z.detach().requires_grad_()
            kept[int(hook.name.split(".")[1])] = leaf
            return leaf

        layers = range(len(attention_modules(self.model)))
        with torch.enable_grad(), observe(self.model, {_point(layer): keep for layer in layers}):
            losses = self._losses(batch)
            gradients = torch.autograd.grad(losses.sum(), [kept[layer] for layer in layers])
        per_sample = torch.stack(
            [
                (kept[layer].detach() * gradient).double().sum(dim=(1, 3)).abs().sum(dim=0)
                for layer, gradient in zip(layers, gradients, strict=True)
            ]
        )
        self._sums = per_sample if self._sums is None else self._sums + per_sample
        self._count += len(losses)

    def _losses(self, batch: Batch) -> Float[Tensor, " batch"]:
        crossed = is_cross_query(self.model)
        if self.loss is not None:
            return self.loss(self.model(**batch.model_inputs(crossed)), batch)
        logits = answer_logits(self.model, batch, crossed)
        return _cross_entropy(logits, batch)

    def result(self) -> Float[Tensor, "layer head"]:
        """Return the importances so far."""
        if self._sums is None:
            raise CaptureError("got no batch yet; call update with at least one")
        return self._sums / self._count


def _cross_entropy(logits: Tensor | None, batch: Batch) -> Tensor:
    labels = batch.labels
    if logits is None or logits.dim() != 2 or labels is None or bool((labels < 0).any()):
        raise CaptureError("expected a classifier and a batch in which every sample has a label, or a loss of your own")
    return nn.functional.cross_entropy(logits, labels.to(logits.device), reduction="none")


def _point(layer: int) -> str:
    return f"blocks.{layer}.attn.hook_z"

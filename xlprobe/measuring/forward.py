"""One forward pass over the data that feeds every reader, layer by layer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from xlprobe.checkpoints.pages import return_pages, untouched
from xlprobe.encoders.answers import answer_logits, run_bare
from xlprobe.encoders.hooks import attention_modules, hook_points, observe, observe_hidden
from xlprobe.encoders.layout import layout_of, output_weight
from xlprobe.encoders.modules import looks_across
from xlprobe.encoders.points import ByRows, taking_rows
from xlprobe.encoders.products import fast_passes
from xlprobe.errors import CaptureError
from xlprobe.memory import give_back_memory

if TYPE_CHECKING:
    from transformer_lens.hook_points import HookPoint

    from xlprobe.checkpoints.checkpoint import Checkpoint
    from xlprobe.samples.batch import Batch

__all__ = ["AttentionCapture", "HiddenCapture", "OutputCapture", "Reader", "capture"]


@dataclass(frozen=True)
class AttentionCapture:
    """What the attention of one layer did with one batch.

    `pattern` is the whole attention, rows sum to 1; of cross attention, whose one query is the decoder's position that
    answers, its row stands first and the others are zero. `causal`: no token attends to a later one, and `window` is
    then how far back it looks (None: to the first). `mono` and `cross` are the two terms of a cross-query model
    (`mono + cross = pattern`; arXiv 2310.15258, section 3), None for a plain encoder. `values` are the value vectors
    and `output_weight` the projection after the heads, both only where a reader needs "values".
    """

    layer: int
    batch: Batch
    pattern: Float[Tensor, "batch head query key"] | None
    cross: Float[Tensor, "batch head query key"] | None = None
    values: Float[Tensor, "batch position head d_head"] | None = None
    output_weight: Float[Tensor, "width width"] | None = None
    causal: bool = False
    window: int | None = None
    rows: tuple[Float[Tensor, "batch head query cell"], ...] = ()
    """What was made of the pattern, some queries at a time, where it is never whole (`pattern` is None then)."""

    @property
    def mono(self) -> Float[Tensor, "batch head query key"] | None:
        """The term of Q, what Q_cross leaves of the pattern."""
        return None if self.cross is None or self.pattern is None else self.pattern - self.cross


@dataclass(frozen=True)
class HiddenCapture:
    """The hidden states of one batch: `layer` 0 is the embeddings, `l` the output of the l-th layer."""

    layer: int
    batch: Batch
    hidden: Float[Tensor, "batch position width"]


@dataclass(frozen=True)
class OutputCapture:
    """The logits of the labels of one batch: a classifier's, or those of a prompt's answers."""

    batch: Batch
    logits: Float[Tensor, "batch label"]


@runtime_checkable
class Reader(Protocol):
    """Takes captures as they come, and keeps only what it needs of them.

    `needs` names what it wants: "pattern", "queries" (`mono` and `cross`), "values", "hidden", "logits". `update` gets
    every capture of these kinds; `result` is asked for when all batches were run.
    """

    needs: frozenset[str]

    def update(self, capture: Any) -> None:
        """Take what one batch gave."""

    def result(self) -> Any:
        """Return what was made of all that was seen."""


WORTH_RETURNING = 2**24
"""Bytes of an embedding whose pages are returned after each batch, where it is mapped; of less it is not asked."""

_ATTENTION = frozenset({"pattern", "queries", "values"})
_KINDS = _ATTENTION | {"hidden", "logits"}


def capture(
    checkpoint: Checkpoint,
    batches: Iterable[Batch],
    readers: Sequence[Reader],
    *,
    layers: Iterable[int] | None = None,
    queries_at_once: int | None = None,
) -> list[Any]:
    """Run batches through a checkpoint once, feed every reader, and return their results.

    Memory holds one layer's attention of one batch at a time. `layers` limits the attention that is captured (from
    0). With `queries_at_once` not even one layer's pattern is whole: each reader's `reduce(pattern, batch)` makes of
    the rows of some queries what it needs, and gets the parts. Gradients are off, the model is in evaluation mode for
    the time being, and all hooks are removed at the end. Raises `CaptureError` for a reader that needs what the
    checkpoint does not have.
    """
    needs = _needs(checkpoint, readers)
    chosen = _checked_layers(checkpoint, layers)
    model = checkpoint.model
    tables = (one.weight for one in model.modules() if isinstance(one, nn.Embedding))
    embeddings = untouched(one for one in tables if one.nbytes >= WORTH_RETURNING)
    current: list[Batch] = []
    with ExitStack() as stack:
        stack.enter_context(_evaluation(model))
        stack.enter_context(fast_passes())
        if needs & _ATTENTION:
            wanting = [reader for reader in readers if reader.needs & _ATTENTION]
            if queries_at_once is None:
                stack.enter_context(observe(model, _attention_hooks(checkpoint, wanting, needs, chosen, current)))
            else:
                hooks, asked = _row_hooks(checkpoint, wanting, queries_at_once, current)
                stack.enter_context(observe(model, hooks))  # which checks the model first, with patterns that are whole
                stack.enter_context(taking_rows(attention_modules(model), asked))
        if "hidden" in needs:
            stack.enter_context(_observe_hidden(model, [r for r in readers if "hidden" in r.needs], current))
        for batch in batches:
            current[:] = [batch.to(checkpoint.device)]
            if "logits" in needs:
                logits = answer_logits(model, current[0], checkpoint.is_cross_query)
                for reader in readers:
                    if "logits" in reader.needs:
                        reader.update(OutputCapture(current[0], logits))
                del logits
            else:
                run_bare(model, current[0], checkpoint.is_cross_query)
            give_back_memory()
            return_pages(embeddings)  # a system may map megabytes around each row that is read
    return [reader.result() for reader in readers]


def _needs(checkpoint: Checkpoint, readers: Sequence[Reader]) -> frozenset[str]:
    """Return what any reader needs; raise `CaptureError` for what there is not."""
    needs = frozenset[str]().union(*(reader.needs for reader in readers))
    if unknown := needs - _KINDS:
        raise CaptureError(f"a reader needs {sorted(unknown)}; expected some of {sorted(_KINDS)}")
    if "logits" in needs and not checkpoint.can_answer:
        raise CaptureError(
            f"the checkpoint {checkpoint.name!r} has the head {checkpoint.head!r}; logits need a classification "
            "head, or a causal language model"
        )
    return needs


def _checked_layers(checkpoint: Checkpoint, layers: Iterable[int] | None) -> list[int]:
    count = checkpoint.num_layers
    chosen = list(range(count) if layers is None else layers)
    if wrong := [layer for layer in chosen if not 0 <= layer < count]:
        raise CaptureError(f"got layer {wrong[0]}; the checkpoint {checkpoint.name!r} has layers 0 to {count - 1}")
    return chosen


@contextmanager
def _evaluation(model: nn.Module) -> Iterator[None]:
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        model.train(was_training)


def _attention_hooks(
    checkpoint: Checkpoint, readers: list[Reader], needs: frozenset[str], layers: list[int], current: list[Batch]
) -> list[tuple[str, Any]]:
    """Gather a layer's activations as they come, and hand them on with the last of them, `hook_z`."""
    wanted = ["hook_pattern"]
    if "queries" in needs and checkpoint.is_cross_query:
        wanted.append("hook_pattern_cross")
    if "values" in needs:
        wanted.append("hook_v")
    modules, points = attention_modules(checkpoint.model), hook_points(checkpoint.model)
    layout = layout_of(checkpoint.model)
    outputs = [output_weight(one) for one in layout.outputs] if "values" in needs else [None] * len(modules)
    crossing = looks_across(checkpoint.model)
    seen: dict[str, Tensor] = {}

    def keep(tensor: Tensor, hook: HookPoint) -> None:
        seen[str(hook.name).rpartition(".")[2]] = tensor

    def hand_on(layer: int, tensor: Tensor, hook: HookPoint) -> None:
        pattern, cross = seen["hook_pattern"], seen.get("hook_pattern_cross")
        if "hook_pattern_cross" in wanted and cross is None:
            # A layer without a Q_cross, of a model that has it in others: Q does all the work.
            cross = torch.zeros_like(pattern)
        captured = AttentionCapture(
            layer,
            current[0],
            _first_row(pattern, current[0]) if crossing else pattern,
            cross,
            _for_each_head(seen.get("hook_v"), pattern.shape[1]),
            outputs[layer],
            layout.causal,
            layout.windows[layer] if layout.causal else None,
        )
        seen.clear()
        for reader in readers:
            reader.update(captured)

    hooks: list[tuple[str, Any]] = []
    for layer in layers:
        stem = f"blocks.{layer}.attn."
        hooks += [(stem + name, keep) for name in wanted if stem + name in points]
        hooks.append((stem + "hook_z", partial(hand_on, layer)))
    return hooks


def _first_row(pattern: Tensor, batch: Batch) -> Float[Tensor, "batch head key key"]:
    """Return the row of the decoder's position that answers in the place of the encoder's first token, alone."""
    steps = batch.answer_steps.to(pattern.device)
    whole = pattern.new_zeros(*pattern.shape[:2], pattern.shape[3], pattern.shape[3])
    whole[:, :, 0] = pattern[torch.arange(len(pattern), device=pattern.device), :, steps]
    return whole


def _row_hooks(
    checkpoint: Checkpoint, readers: list[Any], queries: int, current: list[Batch]
) -> tuple[list[tuple[str, Any]], list[ByRows]]:
    """As `_attention_hooks`, for readers that take a pattern's rows in parts."""
    if checkpoint.is_cross_query:
        raise CaptureError(
            f"got queries_at_once for {checkpoint.name!r}, a cross-query model, whose terms are whole; leave it out"
        )
    if looks_across(checkpoint.model):
        raise CaptureError(f"got queries_at_once for {checkpoint.name!r}, whose cross attention has one; leave it out")
    layout, layers = layout_of(checkpoint.model), range(checkpoint.num_layers)
    pieces: list[list[Tensor]] = [[] for _ in readers]

    def take(start: int, pattern: Tensor) -> None:
        for reader, kept in zip(readers, pieces, strict=True):
            kept.append(reader.reduce(pattern, current[0]))

    def hand_on(layer: int, tensor: Tensor, hook: HookPoint) -> None:
        window = layout.windows[layer] if layout.causal else None
        for reader, kept in zip(readers, pieces, strict=True):
            rows = tuple(kept)
            kept.clear()
            reader.update(AttentionCapture(layer, current[0], None, causal=layout.causal, window=window, rows=rows))

    hooks = [(f"blocks.{layer}.attn.hook_z", partial(hand_on, layer)) for layer in layers]
    return hooks, [ByRows(queries, take) for _ in layers]


def _for_each_head(values: Tensor | None, heads: int) -> Tensor | None:
    """Repeat the values that several heads share: (batch, position, head, d_head)."""
    if values is None or values.shape[2] == heads:
        return values
    return values.repeat_interleave(heads // values.shape[2], dim=2)


def _observe_hidden(model: nn.Module, readers: list[Reader], current: list[Batch]) -> Any:
    def take(layer: int, hidden: Tensor) -> None:
        for reader in readers:
            reader.update(HiddenCapture(layer, current[0], hidden))

    return observe_hidden(model, take)

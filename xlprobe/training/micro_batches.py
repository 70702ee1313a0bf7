"""A batch in micro-batches that fit into memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from torch import Tensor

__all__ = ["micro_batches"]


def micro_batches(inputs: Mapping[str, Tensor], limit: int | None) -> Iterator[tuple[dict[str, Tensor], float]]:
    """Yield consecutive rows of a batch, at most `limit` tokens with padding, and their share of the batch's labels.

    Each micro-batch is as wide as its longest row. The losses, as means over its labels, times the shares add up to the
    batch's loss; those without a label are left out. A row with more tokens is one of its own; without a limit the
    batch is one.
    """
    ids, labels = inputs["input_ids"], inputs["labels"]
    count, width = ids.shape
    if limit is None or count * width <= limit:
        yield dict(inputs), 1.0
        return
    mask = inputs["attention_mask"]
    lengths = (mask if mask.dim() == 2 else mask[:, 0, 0]).sum(dim=-1).tolist()
    whole = int((labels != -100).sum())
    start = 0
    while start < count:
        stop, longest = start + 1, lengths[start]
        while stop < count and max(longest, lengths[stop]) * (stop + 1 - start) <= limit:
            longest = max(longest, lengths[stop])
            stop += 1
        some = {name: _narrowed(tensor[start:stop], width, longest) for name, tensor in inputs.items()}
        if share := int((some["labels"] != -100).sum()):
            yield some, share / whole
        start = stop


def _narrowed(tensor: Tensor, width: int, longest: int) -> Tensor:
    """Cut every axis that runs over positions, all but the first, to the longest row."""
    for axis in range(1, tensor.dim()):
        if tensor.shape[axis] == width:
            tensor = tensor.narrow(axis, 0, longest)
    return tensor

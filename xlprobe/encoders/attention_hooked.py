"""The attention of any encoder with its hook points, as transformers' attention interface expects it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from xlprobe.encoders.attention import bias_of, for_each_head, in_parts
from xlprobe.encoders.points import (
    ByRows,
    Points,
    by_parts,
    by_rows,
    fire,
    fire_by_position,
    next_layer,
    points_of,
    wants_probabilities,
)
from xlprobe.errors import CaptureError

__all__ = ["HOOKED", "asked_for", "is_causal", "register"]

HOOKED = "xlprobe_hooked"
"""Name of our attention function in transformers' attention interface."""

_Score = Callable[[Tensor, Tensor], Tensor]
"""Makes scores of queries and keys."""
_Added = tuple[Tensor | None, Tensor | None]
"""What is added to scores: a mask, and what T5 adds by distance."""


def register() -> None:
    """Make transformers know the function, and a mask that it can read, by the name `HOOKED`."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    def mask(*args: Any, **kwargs: Any) -> Tensor | None:
        # A causal mask may be left out for a kernel that makes its own; the explicit scores need it.
        return sdpa_mask(*args, **{**kwargs, "allow_is_causal_skip": False})

    AttentionInterface.register(HOOKED, hooked_attention)
    AttentionMaskInterface.register(HOOKED, mask)


def hooked_attention(
    module: nn.Module,
    query: Float[Tensor, "batch head query d"],
    key: Float[Tensor, "batch group key d"],
    value: Float[Tensor, "batch group key d"],
    attention_mask: Bool[Tensor, "batch 1 query key"] | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[Tensor, Tensor | None]:
    """Attend with hook points; several query heads may share the key and value of a group.

    `softcap` bounds scores smoothly, as in Gemma2. Raises `CaptureError` for attention sinks: what they take is
    missing from the rows of the pattern, which then sum to less than 1.
    What T5 adds to scores by distance comes as `position_bias`.
    """
    points, asked = points_of(module), by_rows(module)
    next_layer(module)
    query, key, value = (
        fire_by_position(points, name, tensor)
        for name, tensor in (("hook_q", query), ("hook_k", key), ("hook_v", value))
    )
    _refuse_sinks(module, kwargs)
    causal = is_causal(module, kwargs.pop("is_causal", None))
    softcap = kwargs.pop("softcap", None)
    whole = wants_probabilities(points) or asked_for(module, kwargs)
    if asked is None and not whole and softcap is None:
        from transformers.integrations.sdpa_attention import sdpa_attention_forward

        output, _ = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, is_causal=causal, **kwargs
        )
        return fire(points, "hook_z", output), None
    key, value = (for_each_head(tensor, query.shape[1]) for tensor in (key, value))
    if attention_mask is None and causal:
        attention_mask = query.new_ones(1, 1, query.shape[2], key.shape[2], dtype=torch.bool).tril()
    added = attention_mask, kwargs.get("position_bias")
    score = partial(_scores, scale=query.shape[-1] ** -0.5 if scaling is None else scaling, softcap=softcap)
    if asked is not None and not whole:
        output = _output_by_rows(asked, query, key, value, added, score)
        return fire(points, "hook_z", output.transpose(1, 2)).contiguous(), None
    pattern = _pattern(points, query, key, added, score)
    dropped = nn.functional.dropout(pattern, p=dropout, training=module.training)
    output = torch.matmul(dropped, value).transpose(1, 2)
    return fire(points, "hook_z", output).contiguous(), pattern


def _refuse_sinks(module: nn.Module, options: dict[str, Any]) -> None:
    if options.get("s_aux") is not None:
        raise CaptureError(
            f"a {type(module).__name__} has attention sinks, learned scores without a key, so that the rows of its "
            "pattern sum to less than 1, and shares of attention would not be comparable. Use a model without them"
        )


def is_causal(module: Any, argument: bool | None) -> bool:
    """Whether later tokens are closed in a pass: its argument, or where it has none the module's own."""
    return bool(getattr(module, "is_causal", False) if argument is None else argument)


def asked_for(module: Any, options: dict[str, Any]) -> bool:
    """Whether a forward pass is to return patterns: its argument, or where it has none the configuration."""
    asked = options.get("output_attentions")
    return bool(getattr(getattr(module, "config", None), "_output_attentions", False) if asked is None else asked)


def _output_by_rows(
    asked: ByRows,
    query: Float[Tensor, "batch head query d"],
    key: Float[Tensor, "batch head key d"],
    value: Float[Tensor, "batch head key d"],
    added: _Added,
    score: _Score,
) -> Float[Tensor, "batch head query d"]:
    """Attend some queries at a time, and hand on the pattern of each part."""
    output = torch.empty_like(query)
    for start in range(0, query.shape[2], asked.queries):
        some = slice(start, start + asked.queries)
        scores = score(query[:, :, some], key)
        mask, near = (None if one is None else one[:, :, some] for one in added)
        bias, closed = _bias(mask, near, query.dtype)
        pattern = torch.softmax(scores if bias is None else scores.add_(bias), dim=-1)
        pattern = pattern if closed is None else pattern.masked_fill(closed, 0.0)
        asked.take(start, pattern)
        output[:, :, some] = torch.matmul(pattern, value)
    return output


def _bias(
    mask: Tensor | None, near: Float[Tensor, "1 head query key"] | None, dtype: torch.dtype
) -> tuple[Tensor | None, Tensor | None]:
    """Return a mask, boolean (True = open) or additive, as numbers to add to scores; and the rows closed for all keys.

    What is added by distance, `near`, is in these numbers.

    A window and padding together may leave a row of padding without an open key. Its softmax would be NaN, and NaN
    times nothing spoils the rows of real tokens; so such a row is opened here, and its pattern is set to 0 afterwards.
    """
    if mask is None:
        return near, None
    if mask.dim() != 4:
        raise CaptureError(
            f"got an attention mask of shape {tuple(mask.shape)}; expected (batch, 1, query, key). Load the model with "
            "attn_implementation='sdpa' or 'eager' to look inside its attention"
        )
    opened = mask if mask.dtype == torch.bool else mask != float("-inf")
    rows = ~opened.any(dim=-1, keepdim=True)
    bias = bias_of(mask, dtype) if mask.dtype == torch.bool else mask
    closed = rows if bool(rows.any()) else None
    bias = bias if closed is None else bias.masked_fill(closed, 0.0)
    return bias if near is None else bias + near, closed


def _scores(query: Tensor, key: Tensor, scale: float, softcap: float | None) -> Tensor:
    # The scale comes after the product, as in transformers' eager attention: the patterns agree to the last bits.
    scores = torch.matmul(query, key.transpose(-1, -2)).mul_(scale)
    return scores if softcap is None else torch.tanh(scores / softcap) * softcap


def _pattern(
    points: Points | None,
    query: Float[Tensor, "batch head query d"],
    key: Float[Tensor, "batch head key d"],
    added: _Added,
    score: _Score,
) -> Float[Tensor, "batch head query key"]:
    """Compute the pattern, every step through its hook point."""
    bias, closed = _bias(*added, query.dtype)
    if by_parts(points, query):
        pattern = _pattern_by_parts(query, key, bias, score)
    else:
        scores = score(query, key)
        scores = scores if bias is None else scores + bias
        pattern = torch.softmax(fire(points, "hook_attn_scores", scores), dim=-1)
    return fire(points, "hook_pattern", pattern if closed is None else pattern.masked_fill(closed, 0.0))


def _pattern_by_parts(
    query: Float[Tensor, "batch head query d"],
    key: Float[Tensor, "batch head key d"],
    bias: Tensor | None,
    score: _Score,
) -> Float[Tensor, "batch head query key"]:
    """Softmax of the scores, a few samples at a time: where nobody looks at scores they never leave the cache."""
    pattern = query.new_empty(*query.shape[:3], key.shape[2])
    biases = None if bias is None else bias.expand(len(query), *bias.shape[1:])
    for samples, slices in in_parts(query, key):
        for heads in slices:
            scores = score(query[samples, heads], key[samples, heads])
            if biases is not None:
                scores += biases[samples] if biases.shape[1] == 1 else biases[samples, heads]
            torch.softmax(scores, dim=-1, out=pattern[samples, heads])
    return pattern

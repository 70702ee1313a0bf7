"""Which tokens of a batch a role or a language names."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from jaxtyping import Bool
from torch import Tensor

from xlprobe.errors import CaptureError
from xlprobe.languages import KNOWN_LANGUAGES, is_code, language_id
from xlprobe.samples import Batch

__all__ = ["ROLES", "Tokens", "role_mask"]

ROLES = ("context", "question", "cls", "last", "sep", "special", "all")
"""Tokens of the context, of the question, the first token, the last one, separators, all special ones, every token."""

Tokens = str | Iterable[str] | Bool[Tensor, "batch position"]
"""A role or language, several of them, or the tokens themselves."""


def role_mask(batch: Batch, tokens: Tokens) -> Bool[Tensor, "batch position"]:
    """Return the tokens that a role ("question"), a language ("fr") or several of them name; padding never.

    "context", "question" and languages leave special tokens out. Raises `CaptureError` on an unknown name, and on a
    tensor of another shape than the batch's.
    """
    valid = batch.attention_mask.bool()
    if isinstance(tokens, Tensor):
        if tokens.shape != valid.shape or tokens.dtype != torch.bool:
            raise CaptureError(
                f"got tokens of shape {tuple(tokens.shape)} and {tokens.dtype}; expected booleans of the batch's shape "
                f"{tuple(valid.shape)}"
            )
        return tokens.to(valid.device) & valid
    mask = torch.zeros_like(valid)
    for name in (tokens,) if isinstance(tokens, str) else tokens:
        mask |= _named(batch, name)
    return mask & valid


def _named(batch: Batch, name: str) -> Bool[Tensor, "batch position"]:
    words = ~batch.special_mask
    first = torch.zeros_like(batch.special_mask)
    first[:, 0] = True
    if name == "all":
        return torch.ones_like(batch.special_mask)
    if name == "context":
        return (batch.segment_ids == 0) & words
    if name == "question":
        return (batch.segment_ids == 1) & words
    if name == "special":
        return batch.special_mask
    if name == "cls":
        return first
    if name == "last":
        return torch.arange(first.shape[1], device=first.device) == batch.lengths[:, None] - 1
    if name == "sep":
        return batch.special_mask & ~first
    of_language = (batch.language_ids == language_id(name)) & words if is_code(name) else torch.zeros_like(words)
    if name in KNOWN_LANGUAGES or of_language.any():
        return of_language
    raise CaptureError(
        f"unknown role {name!r}; expected one of {', '.join(ROLES)}, or a language of the batch such as fr"
    )

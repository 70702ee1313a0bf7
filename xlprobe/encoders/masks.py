"""Which pairs of tokens each of the two queries may look at (arXiv 2310.15258, section 3)."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from xlprobe.errors import DataError

__all__ = ["code_switched", "content_seeds", "draw_seed", "language_masks"]

_CHUNK_CELLS = 1 << 21
"""Cells hashed at once; bounds the memory beyond the masks themselves."""

_BITS = 0x7FFFFFFF
"""Hashes are 31-bit numbers in int64: a product of two never overflows, so every device gives the same."""


def language_masks(
    language_ids: Int[Tensor, "batch position"],
    attention_mask: Int[Tensor, "batch position"] | None = None,
    q_p_mask: float = 1.0,
    cross_p_mask: float = 1.0,
    generator: torch.Generator | None = None,
    *,
    seed: Int[Tensor, " one"] | None = None,
    sample_seeds: Int[Tensor, " batch"] | None = None,
) -> tuple[Bool[Tensor, "batch query key"], Bool[Tensor, "batch query key"]]:
    """Return the masks of Q and of Q_cross; True = open.

    `m1` opens every pair of one language and a pair of two languages with probability 1 - `q_p_mask`; `m2` opens
    every pair of two languages and a pair of one language with probability 1 - `cross_p_mask`. The first token's
    row and column are open in both, keys with `attention_mask` 0 closed in both. A sample of one language has `m1`
    all open but padding, and `m2` all closed. Probabilities of 1 (evaluation, the non-interfering scheme) draw
    nothing. Source: arXiv 2310.15258, section 3.

    One number is drawn from `generator` (default: torch's own on the CPU), unless `seed` gives it; a cell's draw is
    a hash of that number, the sample's seed, and the positions of query and key. `sample_seeds` default to the place
    in the batch. So a sample's draws depend neither on the other samples nor on padding, and equal seeds give equal
    masks on every device. Raises `DataError` for probabilities outside 0..1 and shapes that do not agree.
    """
    valid = _checked(language_ids, attention_mask, q_p_mask, cross_p_mask)
    same = language_ids[:, :, None] == language_ids[:, None, :]
    if q_p_mask < 1 or cross_p_mask < 1:
        seed = draw_seed(generator) if seed is None else seed
        m1, m2 = _drawn(same, q_p_mask, cross_p_mask, seed, sample_seeds)
    else:
        m1, m2 = same, ~same
    for opened in (m1, m2):
        opened[:, 0, :] = True
        opened[:, :, 0] = True
    mixed = code_switched(language_ids, valid)[:, None, None]
    m1.logical_or_(~mixed).logical_and_(valid[:, None, :])
    m2.logical_and_(mixed).logical_and_(valid[:, None, :])
    return m1, m2


def code_switched(
    language_ids: Int[Tensor, "batch position"], attention_mask: Bool[Tensor, "batch position"]
) -> Bool[Tensor, " batch"]:
    """Return which samples hold more than one language, padding left out."""
    return ((language_ids != language_ids[:, :1]) & attention_mask.bool()).any(dim=1)


def draw_seed(generator: torch.Generator | None = None) -> Int[Tensor, " one"]:
    """Draw the number that the masks of one forward pass are made from (default: torch's generator on the CPU)."""
    device = "cpu" if generator is None else generator.device
    return torch.randint(0, _BITS, (1,), generator=generator, device=device)


def content_seeds(
    input_ids: Int[Tensor, "batch position"], attention_mask: Int[Tensor, "batch position"]
) -> Int[Tensor, " batch"]:
    """Return a seed per sample made from its tokens, the same wherever in whichever batch the sample stands."""
    positions = torch.arange(1, input_ids.shape[1] + 1, device=input_ids.device)
    weights = _mix((positions * 0x1000193) & _BITS)
    return _mix(((input_ids + 1) * attention_mask.long() * weights).sum(dim=1) & _BITS)


def _drawn(
    same: Bool[Tensor, "batch query key"],
    q_p_mask: float,
    cross_p_mask: float,
    seed: Int[Tensor, " one"],
    sample_seeds: Int[Tensor, " batch"] | None,
) -> tuple[Tensor, Tensor]:
    """Open the cells that a random number lets through. One number serves both masks: no cell needs two."""
    batch, length, _ = same.shape
    if sample_seeds is None:
        sample_seeds = torch.arange(batch, device=same.device)
    keys = _mix(_mix(seed.to(same.device) & _BITS) ^ (sample_seeds & _BITS))
    positions = torch.arange(length, device=same.device)
    rows = _mix((keys[:, None] + positions * 0x3C6EF372) & _BITS)
    columns = _mix((positions * 0x1B873593 + 0x2545F491) & _BITS)
    m1, m2 = same.clone(), ~same
    step = max(1, _CHUNK_CELLS // (length * length))
    for start in range(0, batch, step):
        part = slice(start, start + step)
        number = _mix(rows[part, :, None] ^ columns)
        m1[part] |= number >= int(q_p_mask * (_BITS + 1))
        m2[part] |= number >= int(cross_p_mask * (_BITS + 1))
    return m1, m2


def _mix(number: Tensor) -> Tensor:
    """Scramble 31-bit numbers (multiply and shift, two rounds)."""
    for _ in range(2):
        number = ((number ^ (number >> 15)) * 0x45D9F3B) & _BITS
    return number ^ (number >> 16)


def _checked(language_ids: Tensor, attention_mask: Tensor | None, *probabilities: float) -> Tensor:
    for value in probabilities:
        if not 0.0 <= value <= 1.0:
            raise DataError(f"got a masking probability of {value}; expected 0 to 1")
    if language_ids.dim() != 2:
        raise DataError(f"got language_ids of shape {tuple(language_ids.shape)}; expected (batch, position)")
    if attention_mask is None:
        return torch.ones_like(language_ids, dtype=torch.bool)
    if attention_mask.shape != language_ids.shape:
        raise DataError(
            f"got attention_mask of shape {tuple(attention_mask.shape)} and language_ids of shape "
            f"{tuple(language_ids.shape)}; expected the same (batch, position)"
        )
    return attention_mask.bool()

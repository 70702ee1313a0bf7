"""Matrices rounded to a few bits, as the difference from a base's.

The difference is taken in blocks of 64 with one float16 scale each: difference = code * scale, with codes of 2 to 8
bits side by side, the highest bit first, counted from the lowest code. The base of a cross-lingual query is its
layer's query. Everything else (biases, and what the base does not have: a classifier) is stored as it is, in float32.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float, Int8
from torch import Tensor

from xlprobe.errors import CheckpointError

__all__ = ["BITS", "restored", "rounded"]

BLOCK = 64
BITS = range(2, 9)


def rounded(tensors: Mapping[str, Tensor], base: Mapping[str, Tensor], bits: int) -> dict[str, Tensor]:
    """Return the stored form of fine-tuned tensors; `base` holds the base model's by name.

    Names get a suffix: `|4` (codes of 4 bits) and `|scale`, or nothing where a tensor is stored as it is.
    """
    if bits not in BITS:
        raise CheckpointError(f"got bits={bits}; expected 2 to 8")
    stored: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        start = _start(name, base)
        if start is None or tensor.dim() < 2 or tensor.numel() % BLOCK:
            stored[name] = tensor.detach().float().contiguous()
            continue
        codes, scales = _quantise(tensor.detach().float() - start, _levels(bits))
        stored[f"{name}|{bits}"] = _join(codes, bits)
        stored[f"{name}|scale"] = scales
    return stored


def restored(stored: Mapping[str, Tensor], base: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of `rounded`'s output: what a model computes with, bit by bit the same everywhere."""
    tensors: dict[str, Tensor] = {}
    for key, tensor in stored.items():
        name, bar, kind = key.partition("|")
        if not bar:
            tensors[name] = tensor
        elif kind != "scale":
            scales, start = stored.get(f"{name}|scale"), _start(name, base)
            count = 0 if start is None else start.numel()
            bits = int(kind) if kind.isdigit() and int(kind) in BITS else 0
            fits = tensor.dtype == torch.uint8 and bits and tensor.numel() * 8 == count * bits
            if start is None or not fits or scales is None or scales.numel() * BLOCK != count:
                raise CheckpointError(
                    f"the rounded tensor {name[:120]!r} has no counterpart in the base; it is another encoder's, or "
                    "damaged"
                )
            codes = _split(tensor, bits).float()
            difference = (codes.reshape(-1, BLOCK) * scales.float()[:, None]).reshape(-1)
            tensors[name] = start + difference.reshape(start.shape)
    return tensors


def _start(name: str, base: Mapping[str, Tensor]) -> Tensor | None:
    """Return what a tensor is stored as the difference from, if anything."""
    if name not in base and ".cross_lingual_quer" in name:
        before, after = name.split(".cross_lingual_quer", 1)
        name = f"{before}.query.{after.rsplit('.', 1)[-1]}"
    return base[name].float() if name in base else None


def _levels(bits: int) -> int:
    return 2 ** (bits - 1) - 1


def _quantise(values: Float[Tensor, "*shape"], levels: int) -> tuple[Int8[Tensor, " value"], Tensor]:
    """Round to -levels..levels times a scale per block: of a few scales, the one with the least squared error."""
    blocks = values.reshape(-1, BLOCK)
    largest = blocks.abs().amax(dim=1)
    best = torch.full_like(largest, torch.inf)
    scales, codes = torch.zeros_like(largest, dtype=torch.float16), torch.zeros_like(blocks, dtype=torch.int8)
    for share in (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4):  # clipping what is rare pays where codes are few
        scale = (share * largest / levels).to(torch.float16)
        divisor = scale.float().masked_fill(scale == 0, 1.0)[:, None]
        code = (blocks / divisor).round().clamp(-levels, levels)
        error = (code * scale.float()[:, None] - blocks).square().sum(dim=1)
        better = error < best
        best = torch.where(better, error, best)
        scales = torch.where(better, scale, scales)
        codes = torch.where(better[:, None], code.to(torch.int8), codes)
    return codes.reshape(-1), scales


def _join(codes: Int8[Tensor, " value"], bits: int) -> Tensor:
    unsigned = (codes.to(torch.int16) + _levels(bits)).to(torch.uint8).numpy()
    return torch.from_numpy(np.packbits(np.unpackbits(unsigned[:, None], axis=1)[:, 8 - bits :].reshape(-1)))


def _split(stored: Tensor, bits: int) -> Int8[Tensor, " value"]:
    apart = np.unpackbits(stored.numpy()).reshape(-1, bits).astype(np.int16)
    unsigned = apart @ (1 << np.arange(bits - 1, -1, -1, dtype=np.int16))
    return torch.from_numpy((unsigned - _levels(bits)).astype(np.int8))

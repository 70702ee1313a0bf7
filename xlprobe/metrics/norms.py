"""Norm-weighted attention: attention times the length of the vector that it brings along."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from xlprobe.errors import DataError
from xlprobe.metrics.tensors import as_float, safe_divide

__all__ = ["norm_weighted", "value_norms"]


def value_norms(
    values: Float[Tensor, "batch position head d_head"], output_weight: Float[Tensor, "width head*d_head"]
) -> Float[Tensor, "batch head position"]:
    """Norm of each token's value vector after its head's share of the output projection: ||(x W_V + b_V) W_O^h||.

    `values` is the hook point hook_v; `output_weight` the weight of the attention's output Linear, as torch stores it
    (output features first). The output bias belongs to no head and is left out. Never negative; 0: the token brings
    nothing. Source: Kobayashi et al. 2020 (arXiv 2004.10102), section 2.2.
    """
    v, weight = as_float(values), as_float(output_weight)
    heads, size = v.shape[-2:]
    if weight.shape[-1] != heads * size:
        raise DataError(
            f"got an output weight of {tuple(weight.shape)} for {heads} heads of {size}; expected (width, "
            f"{heads * size}), output features first"
        )
    by_head = weight.reshape(-1, heads, size).permute(1, 0, 2)
    # ||W v||^2 = v' (W'W) v needs only a small matrix per head, not a vector of the model's width per token.
    gram = by_head.transpose(1, 2) @ by_head
    per_head = v.reshape(-1, heads, size).transpose(0, 1)  # all samples' tokens together: one product a head, no copy
    squares = torch.linalg.vecdot(per_head @ gram, per_head).clamp_min(0.0)
    return squares.sqrt().unflatten(1, v.shape[:-2]).movedim(0, -2)


def norm_weighted(
    pattern: Float[Tensor, "*batch query key"], norms: Float[Tensor, "*batch key"], *, normalise: bool = True
) -> Float[Tensor, "*batch query key"]:
    """Attention weighted by value norms: A_ij * norm_j, with rows renormalised to 1 unless `normalise=False`.

    Range [0, 1] normalised, else [0, inf). A row without norm stays zeros. All tokens, special ones included, take
    part in the renormalisation; drop them afterwards as with any pattern. Source: Kobayashi et al. 2020 (arXiv
    2004.10102), section 2.2.
    """
    weighted = as_float(pattern) * as_float(norms).unsqueeze(-2)
    if not normalise:
        return weighted
    return weighted.mul_(safe_divide(torch.ones_like(weighted[..., :1]), weighted.sum(dim=-1, keepdim=True)))

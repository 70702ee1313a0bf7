"""How heads relate to one another, and how attention adds up over layers."""

from __future__ import annotations

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from xlprobe.errors import DataError
from xlprobe.metrics.profiles import Profile
from xlprobe.metrics.tensors import as_float, as_float64, row_entropy, weighted_mean

__all__ = ["attention_rollout", "head_divergences", "head_rsa", "top_heads_jaccard"]


def head_divergences(profile: Profile) -> Float[Tensor, "batch head head"]:
    """Jensen-Shannon divergence in bits between every two heads of each sample, averaged over rows.

    Range [0, 1], symmetric, 0 on the diagonal; rows weigh by the smaller residual of the two heads. NaN without
    weight or with fewer than two cells. The head dimension may hold the heads of several layers side by side. Sum the
    matrices over samples and compare the means with `head_rsa`. Source: Clark et al. 2019 (arXiv 1906.04341),
    section 6.
    """
    values, weights, entropy = profile.values, profile.free_weights, profile.entropy
    heads = values.shape[1]
    result = torch.zeros(values.shape[0], heads, heads, dtype=torch.float64, device=values.device)
    for head in range(heads - 1):
        rest = slice(head + 1, heads)
        middle = (values[:, rest] + values[:, head : head + 1]).mul_(0.5)
        nats = row_entropy(middle) - (entropy[:, rest] + entropy[:, head : head + 1]) * 0.5
        bits = (nats / math.log(2)).clamp(0.0, 1.0)
        mean = weighted_mean(bits, torch.minimum(weights[:, rest], weights[:, head : head + 1]))
        result[:, head, rest], result[:, rest, head] = mean, mean
    return result.masked_fill((profile.num_cells < 2)[:, None, None], math.nan)


def head_rsa(first: Any, second: Any) -> float:
    """Spearman correlation of two matrices of head divergences, over the pairs of heads (upper triangles).

    Range [-1, 1], up: the heads keep their places relative to one another; 0: no relation. Symmetric; unchanged by
    any monotone change of the divergences. NaN for fewer than three heads, for constant and for undefined matrices.
    Vectors of pairs are taken as they are. Source: Kriegeskorte et al. 2008 (representational similarity analysis).
    """
    from scipy.stats import rankdata

    pairs = [_upper(matrix) for matrix in (first, second)]
    if pairs[0].shape != pairs[1].shape:
        raise DataError(f"got {len(pairs[0])} and {len(pairs[1])} pairs of heads; expected the same heads in both")
    if len(pairs[0]) < 3 or pairs[0].isnan().any() or pairs[1].isnan().any():
        return math.nan
    ranks = [as_float64(rankdata(values.numpy())) for values in pairs]
    centred = [rank - rank.mean() for rank in ranks]
    length = math.sqrt(float(centred[0] @ centred[0]) * float(centred[1] @ centred[1]))
    return float(centred[0] @ centred[1]) / length if length else math.nan


def _upper(matrix: Any) -> Float[Tensor, " pair"]:
    values = as_float64(matrix).cpu()
    if values.dim() == 1:
        return values
    if values.dim() != 2 or values.shape[0] != values.shape[1]:
        raise DataError(f"got divergences of shape {tuple(values.shape)}; expected (head, head) or (pair,)")
    rows, columns = torch.triu_indices(values.shape[0], values.shape[0], offset=1)
    return values[rows, columns]


def top_heads_jaccard(first: Any, second: Any, k: int) -> float:
    """Overlap of the k heads with the largest score in two conditions: intersection over union.

    Range [0, 1], up = the same heads; 0: none in common. Symmetric; depends on the order of scores alone. Scores
    of any shape are taken together (layer, head); NaN scores take no part. NaN where fewer than k heads have a score.
    """
    scores = [as_float64(side).reshape(-1) for side in (first, second)]
    if scores[0].shape != scores[1].shape or k < 1:
        raise DataError(f"got {len(scores[0])} and {len(scores[1])} scores, k={k}; expected the same heads and k >= 1")
    if any(int((~side.isnan()).sum()) < k for side in scores):
        return math.nan
    tops = []
    for side in scores:
        order = torch.argsort(side.nan_to_num(-math.inf, -math.inf, -math.inf), descending=True, stable=True)
        tops.append(set(order[:k].tolist()))
    return len(tops[0] & tops[1]) / len(tops[0] | tops[1])


def attention_rollout(patterns: Float[Tensor, "layer *batch query key"]) -> Float[Tensor, "*batch query key"]:
    """Attention followed through the layers: the product of (A + identity) / 2, first layer rightmost.

    Rows sum to 1, range [0, 1]; 0: no path. Average over heads first, if wanted. Specials take part; cut the result as
    any pattern. Source: Abnar and Zuidema 2020 (arXiv 2005.00928), section 3.
    """
    layers = as_float(patterns)
    eye = torch.eye(layers.shape[-1], dtype=layers.dtype, device=layers.device)
    product = (layers[0] + eye) * 0.5
    for pattern in layers[1:]:
        product = (pattern + eye) * 0.5 @ product
    return product

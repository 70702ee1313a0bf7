"""From tokens to units: attention between sentences instead of between word pieces, and the removal of sinks."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from xlprobe.errors import DataError
from xlprobe.metrics.tensors import as_float, safe_divide

__all__ = ["excise", "mean_weights", "pool_keys", "pool_queries", "unit_matrix", "unit_pool"]

Pooling = Literal["mass", "density"]


def unit_matrix(
    unit_ids: Int[Tensor, "*batch position"], num_units: int | None = None, dtype: torch.dtype = torch.float32
) -> Float[Tensor, "*batch position unit"]:
    """Return ones where a token belongs to a unit; a token of unit -1 belongs to none."""
    if unit_ids.numel() == 0:
        raise DataError("got no unit ids; expected one for every position")
    count = int(unit_ids.max()) + 1 if num_units is None else num_units
    numbers = torch.arange(count, device=unit_ids.device)
    return (unit_ids[..., None] == numbers).to(dtype)


def pool_keys(
    pattern: Float[Tensor, "*batch head query key"], units: Float[Tensor, "*batch key unit"]
) -> Float[Tensor, "*batch head query unit"]:
    """Sum attention over the key tokens of each unit."""
    *batch, head, query, key = pattern.shape
    if units.shape[-2] != key:
        raise DataError(f"got a pattern over {key} keys and units over {units.shape[-2]} positions; expected the same")
    flat = pattern.reshape(*batch, head * query, key)
    # The long side last: twice as fast as flat @ units, which leaves a few columns that no kernel is made for.
    summed = units.to(pattern.dtype).transpose(-1, -2) @ flat.transpose(-1, -2)
    return summed.transpose(-1, -2).reshape(*batch, head, query, units.shape[-1])


def pool_queries(
    values: Float[Tensor, "*batch head query cell"], units: Float[Tensor, "*batch query unit"]
) -> Float[Tensor, "*batch head unit cell"]:
    """Average attention over the query tokens of each unit; a unit without tokens gets zeros."""
    return mean_weights(units).to(values.dtype).transpose(-1, -2).unsqueeze(-3) @ values


def mean_weights(units: Float[Tensor, "*batch position unit"]) -> Float[Tensor, "*batch position unit"]:
    """Scale the columns of a unit matrix to sum to 1, so that multiplying by it takes means."""
    return safe_divide(units, units.sum(dim=-2, keepdim=True))


def unit_pool(
    pattern: Float[Tensor, "*batch head query key"],
    unit_ids: Int[Tensor, "*batch position"],
    pooling: Pooling = "mass",
) -> Float[Tensor, "*batch head unit unit"]:
    """Return the attention between units.

    *mass*: sum over the key tokens, mean over the query tokens (rows sum to 1 where every key has a unit).
    *density*: mean over the key tokens, mean over the query tokens, rows renormalised; unlike mass it does not
    grow with the number of tokens a language needs for a unit. Range [0, 1]. Tokens of unit -1 (special, padding)
    are left out, as keys and as queries. Source: Clark et al. 2019 (arXiv 1906.04341), section 4.1, there for words.
    """
    values, ids = as_float(pattern), torch.as_tensor(unit_ids)
    if pooling not in ("mass", "density"):
        raise DataError(f"got pooling={pooling!r}; expected 'mass' or 'density'")
    single = values.dim() == 2
    values = values.unsqueeze(0) if single else values
    units = unit_matrix(ids, dtype=values.dtype).to(values.device)
    pooled = pool_queries(pool_keys(values, units), units)
    if pooling == "density":
        pooled = safe_divide(pooled, units.sum(dim=-2)[..., None, None, :])
        pooled = safe_divide(pooled, pooled.sum(dim=-1, keepdim=True))
    return pooled.squeeze(0) if single else pooled


def excise(
    values: Float[Tensor, "*batch row cell"], sink: Bool[Tensor, "*batch cell"]
) -> tuple[Float[Tensor, "*batch row cell"], Float[Tensor, "*batch row"], Float[Tensor, "*batch row"]]:
    """Drop the sink's cells: return the renormalised rest, the residual mass of each row, and its sink mass.

    The sink's cells are set to 0 and stay in place. A row whose mass is all on the sink becomes zeros with residual
    0, so that it weighs nothing. All three lie in [0, 1]; residual + sink is the row's sum.
    """
    values, sink = as_float(values), torch.as_tensor(sink, dtype=torch.bool)
    kept = values.masked_fill(sink.unsqueeze(-2), 0.0)
    residual = kept.sum(dim=-1)
    lost = values.masked_fill(~sink.unsqueeze(-2), 0.0).sum(dim=-1)
    return safe_divide(kept, residual[..., None]), residual, lost

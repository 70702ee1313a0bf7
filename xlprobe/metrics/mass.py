"""Where attention mass goes: across the language border against expectation, and through which query."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from xlprobe.errors import DataError
from xlprobe.metrics.blocks import MASS_BLOCKS, SHARE_BLOCKS
from xlprobe.metrics.pooled import PooledPattern, UnitPattern
from xlprobe.metrics.roles import Roles
from xlprobe.metrics.tensors import as_float64

__all__ = [
    "BlockMass",
    "block_mass",
    "cross_lingual_mass",
    "mass_expectation",
    "mass_lift",
    "query_shares",
]


def cross_lingual_mass(
    to_target: Float[Tensor, "*batch"], to_other: Float[Tensor, "*batch"]
) -> Float[Tensor, "*batch"]:
    """Share of the sink-free attention that goes to the target segment: target / (target + other).

    Range [0, 1]; 0: none of it. Neither direction is better: compare it with its expectation (`mass_lift`). NaN
    where all attention is on special tokens.
    """
    target, other = as_float64(to_target), as_float64(to_other)
    return target / (target + other)


def mass_expectation(n_target: Float[Tensor, "*batch"], n_other: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
    """Share that uniform attention would give the target: its share of the tokens. Range [0, 1]; NaN without tokens."""
    target, other = as_float64(n_target), as_float64(n_other)
    return target / (target + other)


def mass_lift(
    to_target: Float[Tensor, "*batch"],
    to_other: Float[Tensor, "*batch"],
    n_target: Float[Tensor, "*batch"],
    n_other: Float[Tensor, "*batch"],
) -> Float[Tensor, "*batch"]:
    """Log odds of the mass on the target against those of uniform attention: logit(CLM) - logit(E).

    Range (-inf, inf); 0: as much as uniform attention, above 0: more. NaN where the mass or the tokens of one side are
    0, because the log odds are infinite there. As a language border is also a segment border, take the difference
    between a code-switched sample and its in-language reference before calling it an effect of language.
    """
    amounts = [as_float64(amount) for amount in (to_target, to_other, n_target, n_other)]
    logs = [torch.where(amount > 0, amount, torch.nan).log() for amount in amounts]
    return (logs[0] - logs[1]) - (logs[2] - logs[3])


@dataclass(frozen=True)
class BlockMass:
    """Attention mass of one direction: observed, expected, and the difference of their logits."""

    observed: Float[Tensor, "batch head"]
    expected: Float[Tensor, " batch"]
    lift: Float[Tensor, "batch head"]


def block_mass(pooled: PooledPattern | UnitPattern, block: str) -> BlockMass:
    """Measure one direction of `MASS_BLOCKS` on a pattern, or on a norm-weighted pattern.

    Mass is summed over keys and averaged over the block's queries before the ratio is taken, so queries weigh by
    what they do not spend on special tokens. See `cross_lingual_mass`, `mass_expectation`, `mass_lift`. Under a causal
    mask the expectation is the same of uniform attention over the keys that each query can see, and a target that no
    query can see gives NaN.
    """
    if block not in MASS_BLOCKS:
        raise DataError(f"got block={block!r}; expected one of {', '.join(MASS_BLOCKS)}")
    queries, target = block.split("->")
    other = "question" if target == "context" else "context"
    pooled = pooled.units if isinstance(pooled, PooledPattern) else pooled
    mass, sizes = _masses(pooled, queries), pooled.roles.sizes
    observed = cross_lingual_mass(mass[target], mass[other])
    if pooled.uniform is not None:
        even = _role_masses(pooled.uniform, pooled.roles, queries)
        expected = cross_lingual_mass(even[target], even[other])
        lift = mass_lift(mass[target], mass[other], even[target], even[other])
        closed = even[target] == 0
        nan = torch.nan
        expected = expected.masked_fill(closed, nan)
        return BlockMass(observed.masked_fill(closed, nan), expected[:, 0], lift.masked_fill(closed, nan))
    expected = mass_expectation(sizes[target], sizes[other])
    lift = mass_lift(mass[target], mass[other], sizes[target][:, None], sizes[other][:, None])
    return BlockMass(observed, expected, lift)


def query_shares(
    total: PooledPattern | UnitPattern, cross: PooledPattern | UnitPattern, block: str
) -> tuple[Float[Tensor, "batch head"], Float[Tensor, "batch head"]]:
    """Split a block's attention mass by query: the shares of Q and of Q_cross, which sum to 1.

    `total` is P = P_mono + P_cross over the shared denominator, `cross` is P_cross. Range [0, 1]; a share of 0: the
    query does not take part. NaN where the block has no mass. Special tokens are left out, padding has none.
    Source: arXiv 2310.15258, section 3.
    """
    if block not in (*SHARE_BLOCKS, ""):
        raise DataError(f"got block={block!r}; expected one of {', '.join(SHARE_BLOCKS)}, or '' for all text")
    whole, part = _block_total(total, block), _block_total(cross, block)
    share = (part / whole).clamp(0.0, 1.0)
    return 1.0 - share, share


def mass_by_name(pattern: UnitPattern, block: str) -> dict[str, Float[Tensor, "batch head"]]:
    """Return what `block_mass` measures under the names that it has in the table; the expectation is of all heads."""
    mass = block_mass(pattern, block)
    return {
        "cross_lingual_mass": mass.observed, "mass_expectation": mass.expected[:, None], "mass_lift": mass.lift,
    }  # fmt: skip


def shares_by_name(total: UnitPattern, cross: UnitPattern, block: str) -> dict[str, Float[Tensor, "batch head"]]:
    """Return `query_shares` under the names that they have in the table."""
    mono_share, cross_share = query_shares(total, cross, block)
    return {"share_mono": mono_share, "share_cross": cross_share}


def text_mass(pooled: PooledPattern | UnitPattern) -> Float[Tensor, "batch head"]:
    """Attention mass between text tokens, summed over queries."""
    sizes = pooled.roles.sizes
    rows = [_masses(pooled, role) for role in ("context", "question")]
    sums = [row["context"] + row["question"] for row in rows]
    return sums[0] * sizes["context"][:, None] + sums[1] * sizes["question"][:, None]


def _masses(pooled: PooledPattern | UnitPattern, queries: str) -> dict[str, Float[Tensor, "batch head"]]:
    """Mean over a role's queries of the attention mass to context, question and special tokens."""
    return _role_masses(pooled.pooled, pooled.roles, queries)


def _role_masses(
    pooled: Float[Tensor, "batch head row cell"], roles: Roles, queries: str
) -> dict[str, Float[Tensor, "batch head"]]:
    units = roles.num_units
    row = pooled[:, :, roles.row_numbers[queries]]
    return {"context": row[..., :units].sum(dim=-1), "question": row[..., units], "special": row[..., -1]}


def _block_total(pooled: PooledPattern | UnitPattern, block: str) -> Float[Tensor, "batch head"]:
    """Attention mass of a block, averaged over its queries ("": summed over all text)."""
    if block == "":
        return text_mass(pooled)
    queries, keys = block.split("->")
    return _masses(pooled, queries)[keys]

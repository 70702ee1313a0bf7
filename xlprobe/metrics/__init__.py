"""Metrics: pure functions from attention patterns and hidden states to numbers. They know no model and no file.

Attention: `Roles` and `PooledPattern` cut a batch's pattern into profiles; `compare` compares two of them;
`normalised_entropy`, `attention_distance`, `norm_weighted`, `block_mass` and `query_shares` describe one.
"""

from xlprobe.metrics.compare import SIMILARITIES, compare
from xlprobe.metrics.mass import (
    MASS_BLOCKS,
    BlockMass,
    block_mass,
    cross_lingual_mass,
    mass_expectation,
    mass_lift,
    query_shares,
)
from xlprobe.metrics.norms import norm_weighted, value_norms
from xlprobe.metrics.pooling import excise, unit_pool
from xlprobe.metrics.profiles import PooledPattern, Profile, align, profile
from xlprobe.metrics.roles import BLOCKS, Roles
from xlprobe.metrics.shape import attention_distance, normalised_entropy, pattern_distance, profile_entropy
from xlprobe.metrics.stability import (
    argmax_agreement,
    cosine,
    hellinger,
    instability_index,
    js_divergence,
    js_stability,
    pearson,
    total_variation,
)

__all__ = [
    "BLOCKS",
    "MASS_BLOCKS",
    "SIMILARITIES",
    "BlockMass",
    "PooledPattern",
    "Profile",
    "Roles",
    "align",
    "argmax_agreement",
    "attention_distance",
    "block_mass",
    "compare",
    "cosine",
    "cross_lingual_mass",
    "excise",
    "hellinger",
    "instability_index",
    "js_divergence",
    "js_stability",
    "mass_expectation",
    "mass_lift",
    "norm_weighted",
    "normalised_entropy",
    "pattern_distance",
    "pearson",
    "profile",
    "profile_entropy",
    "query_shares",
    "total_variation",
    "unit_pool",
    "value_norms",
]

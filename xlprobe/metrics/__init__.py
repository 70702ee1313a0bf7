"""Metrics: declarations, and pure functions from attention patterns, logits and vectors to numbers; no model, no file.

A `Metric` is declared once, by xlprobe itself or with `metric`; `METRICS` has all by name.
Attention: `Roles` and `PooledPattern` cut a batch's pattern into profiles; `compare` compares two of them;
`normalised_entropy`, `attention_distance`, `norm_weighted`, `block_mass` and `query_shares` describe one;
`head_divergences` relates heads. Representations: `cka`, `retrieval_rates`, `language_eta_squared`,
`language_probe`, `language_mdl_bits`. The answer: `gold_margin`, `correct`.
Those that compute are imported on first use, so that labels and ranges can be looked up quickly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from xlprobe.lazy import on_first_use
from xlprobe.metrics import registry as registry  # declares the metrics that xlprobe comes with
from xlprobe.metrics.base import METRICS, SETS, Metric, by_computation, get_metric, metric, metrics_in
from xlprobe.metrics.blocks import BLOCKS, MASS_BLOCKS

if TYPE_CHECKING:
    from xlprobe.metrics.alignment import AlignmentSums, cka
    from xlprobe.metrics.comparison import SIMILARITIES, compare, compare_pairs
    from xlprobe.metrics.heads import attention_rollout, head_divergences, head_rsa, top_heads_jaccard
    from xlprobe.metrics.mass import (
        BlockMass,
        block_mass,
        cross_lingual_mass,
        mass_expectation,
        mass_lift,
        query_shares,
    )
    from xlprobe.metrics.neutrality import (
        RETRIEVALS,
        halves,
        language_eta_squared,
        language_subspace,
        remove_subspace,
        retrieval,
        retrieval_items,
        retrieval_rates,
    )
    from xlprobe.metrics.norms import norm_weighted, value_norms
    from xlprobe.metrics.outcome import correct, gold_margin
    from xlprobe.metrics.pooled import PooledPattern, UnitPattern, profile
    from xlprobe.metrics.pooling import excise, unit_pool
    from xlprobe.metrics.probes import LanguageProbe, language_mdl_bits, language_probe, online_code_length
    from xlprobe.metrics.profiles import Profile, align
    from xlprobe.metrics.reach import Reach
    from xlprobe.metrics.roles import Roles
    from xlprobe.metrics.shape import attention_distance, normalised_entropy, pattern_distance, profile_entropy
    from xlprobe.metrics.stability import (
        argmax_agreement,
        cosine,
        hellinger,
        js_divergence,
        js_stability,
        pearson,
        total_variation,
    )
    from xlprobe.metrics.vectors import LanguageVectors, principal_places

__all__ = [
    "BLOCKS",
    "MASS_BLOCKS",
    "METRICS",
    "RETRIEVALS",
    "SETS",
    "SIMILARITIES",
    "AlignmentSums",
    "BlockMass",
    "LanguageProbe",
    "LanguageVectors",
    "Metric",
    "PooledPattern",
    "Profile",
    "Reach",
    "Roles",
    "UnitPattern",
    "align",
    "argmax_agreement",
    "attention_distance",
    "attention_rollout",
    "block_mass",
    "by_computation",
    "cka",
    "compare",
    "compare_pairs",
    "correct",
    "cosine",
    "cross_lingual_mass",
    "excise",
    "get_metric",
    "gold_margin",
    "halves",
    "head_divergences",
    "head_rsa",
    "hellinger",
    "js_divergence",
    "js_stability",
    "language_eta_squared",
    "language_mdl_bits",
    "language_probe",
    "language_subspace",
    "mass_expectation",
    "mass_lift",
    "metric",
    "metrics_in",
    "norm_weighted",
    "normalised_entropy",
    "online_code_length",
    "pattern_distance",
    "pearson",
    "principal_places",
    "profile",
    "profile_entropy",
    "query_shares",
    "remove_subspace",
    "retrieval",
    "retrieval_items",
    "retrieval_rates",
    "top_heads_jaccard",
    "total_variation",
    "unit_pool",
    "value_norms",
]

__getattr__, __dir__ = on_first_use(
    __name__,
    {
        "alignment": "AlignmentSums cka",
        "comparison": "SIMILARITIES compare compare_pairs",
        "heads": "attention_rollout head_divergences head_rsa top_heads_jaccard",
        "mass": "BlockMass block_mass cross_lingual_mass mass_expectation mass_lift query_shares",
        "neutrality": "RETRIEVALS halves language_eta_squared language_subspace remove_subspace retrieval "
        "retrieval_items retrieval_rates",
        "norms": "norm_weighted value_norms",
        "outcome": "correct gold_margin",
        "pooled": "PooledPattern UnitPattern profile",
        "pooling": "excise unit_pool",
        "probes": "LanguageProbe language_mdl_bits language_probe online_code_length",
        "profiles": "Profile align",
        "reach": "Reach",
        "roles": "Roles",
        "shape": "attention_distance normalised_entropy pattern_distance profile_entropy",
        "stability": "argmax_agreement cosine hellinger js_divergence js_stability pearson total_variation",
        "vectors": "LanguageVectors principal_places",
    },
)

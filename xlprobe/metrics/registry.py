"""The metrics that xlprobe comes with, declared; imports nothing heavy."""

from __future__ import annotations

import math
from typing import Any

from xlprobe.metrics.base import Metric, declare, norm_weighted_version
from xlprobe.metrics.blocks import COMPARED_BLOCKS, MASS_BLOCKS, POOLINGS, SHAPE_BLOCKS, SHARE_BLOCKS

__all__: list[str] = []

UNIT, SIGNED, ANY, POSITIVE = (0.0, 1.0), (-1.0, 1.0), (-math.inf, math.inf), (0.0, math.inf)
_P, _Q = ((0.5, 0.3, 0.2),), ((0.2, 0.3, 0.5),)
_X = ((0, 0), (1, 0), (0, 1), (1, 1), (2, 1))
_Y = ((0, 1), (1, 0), (0, 2), (2, 1), (1, 1))
_E = ((2, 0), (0, 1), (-1, 0))
_F = ((6, 4), (4, 5), (3, 4))


def _built_in(name: str, kind: Any, label: str, compute: str, **declared: Any) -> Metric:
    return declare(Metric(name, kind, label, compute, **declared), built_in=True)


# Two versions compared, row by row.
_COMPARED: dict[str, Any] = {
    "takes": "rows", "range": UNIT, "needs": ("pattern",), "blocks": COMPARED_BLOCKS, "poolings": POOLINGS,
    "symmetric": True, "invariant_to": ("order of cells",),
    "undefined": "no row of attention that both versions have, or a single cell",
}  # fmt: skip
_ROBUST = {**_COMPARED, "controls": False}
STABILITY = _built_in(
    "js_stability", "comparison", "stability (1 - JSD, bits)", "metrics.comparison:rows_js_stability", **_COMPARED,
    direction="up", zero="no attended cell in common", formula="metrics.stability:js_stability",
    known=(((_P, _Q), 1 - 0.0958156), ((((1, 0),), ((0, 1),)), 0.0)), reference="Lin 1991", within="default",
)  # fmt: skip
_built_in(
    "total_variation", "comparison", "total variation", "metrics.comparison:rows_total_variation", **_ROBUST,
    direction="down", zero="equal", formula="metrics.stability:total_variation", known=(((_P, _Q), 0.3),),
)  # fmt: skip
_built_in(
    "cosine", "comparison", "cosine", "metrics.comparison:rows_cosine", **_ROBUST, direction="up",
    zero="no attended cell in common", formula="metrics.stability:cosine", known=(((_P, _Q), 0.763158),),
)  # fmt: skip
_built_in(
    "hellinger", "comparison", "Hellinger distance", "metrics.comparison:rows_hellinger", **_ROBUST, direction="down",
    zero="equal", formula="metrics.stability:hellinger", known=(((_P, _Q), 0.259893),),
)  # fmt: skip
_built_in(
    "pearson", "comparison", "Pearson correlation", "metrics.comparison:rows_pearson",
    **{**_ROBUST, "range": SIGNED, "undefined": "a row is constant, or no row that both versions have"},
    direction="up", zero="unrelated", formula="metrics.stability:pearson", known=(((_P, _Q), -0.928571),),
)  # fmt: skip
_built_in(
    "argmax_agreement", "comparison", "argmax agreement", "metrics.comparison:rows_argmax_agreement", **_ROBUST,
    direction="up", zero="never the same cell first", formula="metrics.stability:argmax_agreement",
    known=(((_P, _Q), 0.0),),
)  # fmt: skip
_built_in(
    "instability", "comparison", "instability index", "statistics:instability_index", takes="means", range=ANY,
    direction="down", zero="as stable as another question", undefined="chance is not above floor", per="set",
    needs=("pattern",), known=(((0.3, 0.1, 0.5), 0.5),), within="default",
)  # fmt: skip

# One version's attention.
_SHAPE: dict[str, Any] = {"needs": ("pattern",), "range": UNIT, "within": "default"}
_CELLS = ("order of cells",)
_built_in(
    "entropy", "attention", "normalised entropy", "metrics.shape:profile_entropy", takes="rows", **_SHAPE,
    blocks=SHAPE_BLOCKS, poolings=("token",), zero="all on one cell",
    undefined="no attention in the block, or one cell",
    invariant_to=_CELLS, formula="metrics.shape:normalised_entropy", known=((((0.5, 0.3, 0.2),), 0.937231),),
    reference="Ghader and Monz 2017, arXiv 1710.03348",
)  # fmt: skip
_built_in(
    "attention_distance", "attention", "attention distance / length", "metrics.shape:pattern_distance", takes="pooled",
    **_SHAPE, zero="attends to itself", undefined="no text", formula="metrics.shape:attention_distance",
    known=(((((1.0, 0.0, 0.0), (0.5, 0.5, 0.0), (0.2, 0.3, 0.5)),), (0.0, 0.5, 0.7)),),
    reference="Vig and Belinkov 2019, arXiv 1906.04284",
)  # fmt: skip
_built_in(
    "sink_mass", "attention", "mass on special tokens", "metrics.profiles:sink_mass", takes="rows", **_SHAPE,
    blocks=SHAPE_BLOCKS, zero="nothing on special tokens", undefined="no rows in the block", invariant_to=_CELLS,
    formula="metrics.pooling:excise",
)  # fmt: skip
_MASS: dict[str, Any] = {
    "takes": "units", "needs": ("pattern",), "blocks": MASS_BLOCKS, "within": "default",
    "undefined": "all attention is on special tokens",
}  # fmt: skip
_BY_NAME = "metrics.mass:mass_by_name"
MASS = _built_in(
    "cross_lingual_mass", "attention", "cross-lingual mass", _BY_NAME, **_MASS, range=UNIT, zero="nothing across",
    formula="metrics.mass:cross_lingual_mass", known=(((0.25, 0.25), 0.5),),
)  # fmt: skip
_built_in(
    "mass_expectation", "attention", "expected mass", _BY_NAME, **{**_MASS, "undefined": "no tokens"}, range=UNIT,
    zero="no tokens across", per="sample", formula="metrics.mass:mass_expectation", known=(((6, 2), 0.75),),
)  # fmt: skip
LIFT = _built_in(
    "mass_lift", "attention", "lift (log odds)", _BY_NAME,
    **{**_MASS, "undefined": "one side has no attention or no tokens"}, range=ANY, zero="as uniform attention",
    formula="metrics.mass:mass_lift", known=(((0.25, 0.25, 6, 2), -1.098612), ((0.25, 0.25, 2, 1), -0.693147)),
)  # fmt: skip
_SHARES: dict[str, Any] = {
    "takes": "queries", "needs": ("pattern", "queries"), "range": UNIT, "within": "default",
    "blocks": SHARE_BLOCKS, "undefined": "no attention in the block",
    "formula": "metrics.mass:query_shares", "reference": "arXiv 2310.15258, section 3",
}  # fmt: skip
_built_in("share_mono", "attention", "share of Q", "metrics.mass:shares_by_name", **_SHARES, zero="Q takes no part")
_built_in(
    "share_cross", "attention", "share of Q_cross", "metrics.mass:shares_by_name", **_SHARES,
    zero="Q_cross takes no part",
)  # fmt: skip

# The same on attention weighted by value norms.
for _one, _label in (
    (STABILITY, "norm-weighted stability"),
    (MASS, "norm-weighted mass"),
    (LIFT, "norm-weighted lift (log odds)"),
):
    declare(norm_weighted_version(_one, _label, reference="Kobayashi et al. 2020, arXiv 2004.10102"), built_in=True)

# Structure of heads, and the attention of single problems.
_SUMS: dict[str, Any] = {"takes": "sums", "needs": ("pattern",), "per": "set", "direction": "up", "symmetric": True}
_HEADS = ("order of heads", "monotone change")
_built_in(
    "head_rsa", "attention", "similarity of head structure", "metrics.heads:head_rsa", **_SUMS, range=SIGNED,
    zero="unrelated", undefined="fewer than three heads", blocks=COMPARED_BLOCKS, poolings=("mass", "density"),
    invariant_to=_HEADS, known=((((1, 2, 3, 4, 5, 6), (1, 3, 2, 4, 6, 5)), 0.885714),),
    reference="Kriegeskorte et al. 2008",
)  # fmt: skip
_built_in(
    "top_heads_jaccard", "attention", "overlap of the top heads", "metrics.heads:top_heads_jaccard", **_SUMS,
    range=UNIT, zero="none in common", undefined="too few heads with a value", blocks=MASS_BLOCKS, invariant_to=_HEADS,
    known=((((3, 2, 1, 0), (3, 2, 0, 1), 2), 1.0),),
)  # fmt: skip
_built_in(
    "attention", "attention", "attention between units", "metrics.pooling:unit_pool", takes="kept",
    needs=("pattern", "queries"), range=UNIT, zero="none", undefined="no tokens", per="sample",
    within="figures",
)  # fmt: skip

# The answer.
_ANSWER: dict[str, Any] = {
    "needs": ("logits",), "takes": "logits", "per": "sample", "direction": "up", "undefined": "no label",
    "within": "default",
}  # fmt: skip
_built_in(
    "correct", "logits", "accuracy", "metrics.outcome:correct", **_ANSWER, range=UNIT, zero="wrong",
    known=(((((1.0, 3.0),), (1,)), 1.0), ((((2.0, 2.0),), (1,)), 0.0)),
)  # fmt: skip
_built_in(
    "gold_margin", "logits", "gold logit margin", "metrics.outcome:gold_margin", **_ANSWER, range=ANY,
    zero="undecided", known=(((((1.0, 3.0, 2.0),), (1,)), 1.0),),
)  # fmt: skip

# Vectors of parallel texts.
_SPACE = ("rotation", "scale")
_PAIR: dict[str, Any] = {
    "needs": ("hidden",), "takes": "pair", "per": "set", "symmetric": True, "within": "default",
    "undefined": "fewer than four texts, or no variance",
}  # fmt: skip
_built_in(
    "cka", "vectors", "debiased linear CKA", "metrics.vectors:alignment", **_PAIR, range=ANY, direction="up",
    zero="unrelated", invariant_to=(*_SPACE, "shift", "order of items"), formula="metrics.alignment:cka",
    known=(((_X, _Y), 0.577350),),
    reference="Kornblith et al. 2019, arXiv 1905.00414; Murphy et al. 2024, arXiv 2405.01012",
)  # fmt: skip
for _name, _label, _invariant, _source in (
    ("retrieval_raw", "retrieval", _SPACE, "Pires et al. 2019, arXiv 1906.01502"),
    ("retrieval_centred", "retrieval, language-centred", (*_SPACE, "language shift"),
     "Libovicky et al. 2020, arXiv 2004.05160"),
    ("retrieval_offset", "retrieval, offset by language", _SPACE, "Pires et al. 2019, arXiv 1906.01502"),
    ("retrieval_language_removed", "retrieval, language subspace removed", _SPACE, ""),
):  # fmt: skip
    _built_in(
        _name, "vectors", _label, "metrics.vectors:retrievals", **_PAIR | {"undefined": "a half has under two texts"},
        range=UNIT, direction="up", zero="no translation found", invariant_to=_invariant, reference=_source,
        formula="metrics.neutrality:retrieval" if _name == "retrieval_raw" else "metrics.neutrality:retrieval_rates",
        known=(((_E, _F), 2 / 3),) if _name == "retrieval_raw" else (),
    )  # fmt: skip
_built_in(
    "neutrality_gap", "vectors", "neutrality gap (centred - raw)", "metrics.vectors:retrievals",
    **_PAIR | {"undefined": "a half has under two texts"}, range=SIGNED, direction="down",
    zero="languages differ by no shift", invariant_to=_SPACE, formula="metrics.neutrality:retrieval_rates",
)  # fmt: skip
_LANGUAGES: dict[str, Any] = {"needs": ("hidden",), "takes": "languages", "per": "set", "within": "default"}
_built_in(
    "language_eta_squared", "vectors", "variance between languages", "metrics.vectors:variance_between", **_LANGUAGES,
    range=UNIT, direction="down", zero="equal language means", undefined="no variance", symmetric=True,
    invariant_to=(*_SPACE, "shift", "order of items"), formula="metrics.neutrality:language_eta_squared",
    known=((({"a": ((0, 0), (2, 0)), "b": ((0, 4), (2, 4))},), 0.8),),
)  # fmt: skip
_PROBE: dict[str, Any] = {
    **_LANGUAGES, "undefined": "fewer groups than folds", "invariant_to": ("shift",),
    "formula": "metrics.probes:language_probe", "reference": "Hewitt and Liang 2019, arXiv 1909.03368",
}  # fmt: skip
for _name, _label, _span, _direction, _zero in (
    ("language_probe_accuracy", "language probe", UNIT, "down", "never right"),
    ("language_probe_control", "language probe, control task", UNIT, "none", "never right"),
    ("language_probe_selectivity", "selectivity of the language probe", SIGNED, "down", "as good on the control"),
):
    _built_in(
        _name,
        "vectors",
        _label,
        "metrics.vectors:probe_by_name",
        **_PROBE,
        range=_span,
        direction=_direction,
        zero=_zero,
    )
_built_in(
    "language_mdl_bits", "vectors", "description length of the language (bits)", "metrics.vectors:description_length",
    **_LANGUAGES, range=POSITIVE, direction="up", zero="language known for free", undefined="fewer than four groups",
    invariant_to=("shift",), formula="metrics.probes:language_mdl_bits",
    reference="Voita and Titov 2020, arXiv 2003.12298",
)  # fmt: skip
for _name, _label in (("map_x", "first principal axis"), ("map_y", "second principal axis")):
    _built_in(
        _name, "vectors", _label, "metrics.vectors:principal_places", **_LANGUAGES | {"within": "figures"}, range=ANY,
        zero="the mean of all texts", undefined="fewer than eight texts",
    )  # fmt: skip

# Interventions.
_EFFECT: dict[str, Any] = {
    "needs": ("logits",), "takes": "run", "per": "sample", "undefined": "no label", "within": "figures",
}  # fmt: skip
_built_in(
    "knock_out_effect", "intervention", "effect of knock-out on the gold margin",
    "measuring.effects.knock_outs:knock_out_effect", **_EFFECT, range=ANY, zero="no effect",
    formula="measuring.effects:knock_out", reference="Geva et al. 2023, arXiv 2304.14767",
)  # fmt: skip
_built_in(
    "ablation_effect", "intervention", "effect of ablation on the gold margin",
    "measuring.effects.head_effects:ablation_effect", **_EFFECT | {"within": "all"}, range=ANY, zero="no effect",
    formula="measuring.effects:head_ablation", reference="Michel et al. 2019, arXiv 1905.10650",
)  # fmt: skip
_built_in(
    "head_importance", "intervention", "head importance", "measuring.effects.head_effects:importance",
    **_EFFECT | {"per": "head"}, range=POSITIVE, direction="up", zero="no effect on the loss",
    formula="measuring.effects:head_importance", reference="Michel et al. 2019, arXiv 1905.10650",
)  # fmt: skip
_PATCHED: dict[str, Any] = {
    **_EFFECT, "range": ANY, "formula": "measuring.effects:patching_recovery",
    "reference": "Vig et al. 2020, arXiv 2004.12265; Zhang and Nanda 2024, arXiv 2309.16042",
}  # fmt: skip
_PATCHING = "measuring.effects.head_effects:patching"
_built_in(
    "patching_recovery", "intervention", "recovery by patching", _PATCHING,
    **_PATCHED | {"undefined": "clean and corrupt differ by less than the least gap, or no label"}, direction="up",
    zero="nothing recovered",
)  # fmt: skip
_built_in(
    "patching_gain", "intervention", "gold margin gained by patching", _PATCHING, **_PATCHED, direction="up",
    zero="nothing gained",
)  # fmt: skip
_built_in(
    "patching_gap", "intervention", "gold margin to be recovered", _PATCHING, **_PATCHED, zero="nothing to be recovered"
)

# Texts and languages.
_TEXT: dict[str, Any] = {"takes": "texts", "per": "set", "within": "figures"}
_built_in(
    "tokens_per_word", "text", "tokens per word of the base language", "measuring.languages:tokens_per_word", **_TEXT,
    range=POSITIVE, zero="no tokens", undefined="no words",
)  # fmt: skip
_built_in(
    "typological_distance", "text", "syntactic distance to the base language",
    "measuring.languages:typological_distances", **_TEXT, range=UNIT, zero="no difference on record",
    undefined="no data, or URIEL+ is not installed",
    reference="Khan et al. 2024, arXiv 2409.18472",
)  # fmt: skip

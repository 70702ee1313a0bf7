"""Every metric by the name it has in the table, with the properties it is declared, and tested, to have.

Imports nothing heavy: tables and figures look labels and ranges up here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal

from xlprobe.errors import DataError

__all__ = ["METRICS", "Metric", "get_metric"]

Need = Literal["patterns", "values", "hidden states", "head", "gradients"]


@dataclass(frozen=True)
class Metric:
    """What a metric promises.

    `low`, `high`: its range. `direction`: "up" or "down" is where attention is more stable, or representations more
    neutral, or an effect larger; "none" where neither is better. `zero`: what 0 means. `level`: one value per sample,
    or one per set. `needs`: what must be captured. `symmetric`: whether its two sides may change places (None: it has
    one side). `invariant_to`: what changes nothing. `function`: where its formula is.
    """

    name: str
    label: str
    low: float
    high: float
    direction: Literal["up", "down", "none"]
    zero: str
    level: Literal["sample", "set"]
    needs: tuple[Need, ...]
    function: str
    symmetric: bool | None = None
    invariant_to: tuple[str, ...] = ()

    def load(self) -> Any:
        """Return the function that computes it."""
        module, name = self.function.rsplit(".", 1)
        return getattr(import_module(module), name)


METRICS: dict[str, Metric] = {}
"""All metrics by name."""

_CELLS, _HEADS, _SPACE = ("order of cells",), ("order of heads",), ("rotation", "scale")


def _add(
    name: str,
    label: str,
    span: tuple[float, float],
    direction: Literal["up", "down", "none"],
    zero: str,
    function: str,
    needs: tuple[Need, ...] = ("patterns",),
    level: Literal["sample", "set"] = "sample",
    symmetric: bool | None = None,
    invariant_to: tuple[str, ...] = (),
) -> None:
    METRICS[name] = Metric(
        name, label, *span, direction, zero, level, needs, f"xlprobe.{function}", symmetric, invariant_to
    )


_UNIT, _SIGNED, _ANY, _POSITIVE = (0.0, 1.0), (-1.0, 1.0), (-math.inf, math.inf), (0.0, math.inf)

# Comparisons of two attention profiles.
_SIDE = "metrics.stability."
_add("js_stability", "stability (1 - JSD, bits)", _UNIT, "up", "no attended cell in common", f"{_SIDE}js_stability",
     symmetric=True, invariant_to=_CELLS)  # fmt: skip
_add("total_variation", "total variation", _UNIT, "down", "equal", f"{_SIDE}total_variation", symmetric=True,
     invariant_to=_CELLS)  # fmt: skip
_add("cosine", "cosine", _UNIT, "up", "no attended cell in common", f"{_SIDE}cosine", symmetric=True,
     invariant_to=_CELLS)  # fmt: skip
_add("hellinger", "Hellinger distance", _UNIT, "down", "equal", f"{_SIDE}hellinger", symmetric=True,
     invariant_to=_CELLS)  # fmt: skip
_add("pearson", "Pearson correlation", _SIGNED, "up", "unrelated", f"{_SIDE}pearson", symmetric=True,
     invariant_to=_CELLS)  # fmt: skip
_add("argmax_agreement", "argmax agreement", _UNIT, "up", "never the same cell first", f"{_SIDE}argmax_agreement",
     symmetric=True, invariant_to=_CELLS)  # fmt: skip
_add("instability", "instability index", _ANY, "down", "as stable as another question", f"{_SIDE}instability_index",
     level="set")  # fmt: skip

# One pattern by itself.
_add("entropy", "normalised entropy", _UNIT, "none", "all on one cell", "metrics.shape.normalised_entropy",
     invariant_to=_CELLS)  # fmt: skip
_add("attention_distance", "attention distance / length", _UNIT, "none", "attends to itself",
     "metrics.shape.attention_distance")  # fmt: skip
_add("sink_mass", "mass on special tokens", _UNIT, "none", "nothing on special tokens", "metrics.pooling.excise",
     invariant_to=_CELLS)  # fmt: skip
_add("cross_lingual_mass", "cross-lingual mass", _UNIT, "none", "nothing across", "metrics.mass.cross_lingual_mass")
_add("mass_expectation", "expected mass", _UNIT, "none", "no tokens across", "metrics.mass.mass_expectation")
_add("mass_lift", "lift (log odds)", _ANY, "none", "as uniform attention", "metrics.mass.mass_lift")
_add("share_mono", "share of Q", _UNIT, "none", "Q takes no part", "metrics.mass.query_shares")
_add("share_cross", "share of Q_cross", _UNIT, "none", "Q_cross takes no part", "metrics.mass.query_shares")

# The same on attention weighted by value norms.
_VALUES: tuple[Need, ...] = ("patterns", "values")
_add("norm_js_stability", "norm-weighted stability", _UNIT, "up", "no attended cell in common",
     f"{_SIDE}js_stability", _VALUES, symmetric=True, invariant_to=_CELLS)  # fmt: skip
_add("norm_cross_lingual_mass", "norm-weighted mass", _UNIT, "none", "nothing across",
     "metrics.mass.cross_lingual_mass", _VALUES)  # fmt: skip
_add("norm_mass_lift", "norm-weighted lift (log odds)", _ANY, "none", "as uniform attention",
     "metrics.mass.mass_lift", _VALUES)  # fmt: skip

# Structure of heads.
_add("head_rsa", "similarity of head structure", _SIGNED, "up", "unrelated", "metrics.heads.head_rsa", level="set",
     symmetric=True, invariant_to=(*_HEADS, "monotone change"))  # fmt: skip
_add("top_heads_jaccard", "overlap of the top heads", _UNIT, "up", "none in common",
     "metrics.heads.top_heads_jaccard", level="set", symmetric=True,
     invariant_to=(*_HEADS, "monotone change"))  # fmt: skip

# Neutrality of representations.
_HIDDEN: tuple[Need, ...] = ("hidden states",)
_NEUTRAL = "metrics.neutrality."
_add("cka", "debiased linear CKA", _ANY, "up", "unrelated", "metrics.alignment.cka", _HIDDEN, "set", True,
     (*_SPACE, "shift", "order of items"))  # fmt: skip
for _name, _label, _invariant in (
    ("retrieval_raw", "retrieval", _SPACE),
    ("retrieval_centred", "retrieval, language-centred", (*_SPACE, "language shift")),
    ("retrieval_offset", "retrieval, offset by language", _SPACE),
    ("retrieval_language_removed", "retrieval, language subspace removed", _SPACE),
):
    _add(_name, _label, _UNIT, "up", "no translation found", f"{_NEUTRAL}retrieval_rates", _HIDDEN, "set", True,
         _invariant)  # fmt: skip
_add("neutrality_gap", "neutrality gap (centred - raw)", _SIGNED, "down", "languages differ by no shift",
     f"{_NEUTRAL}retrieval_rates", _HIDDEN, "set", True, _SPACE)  # fmt: skip
_add("language_eta_squared", "variance between languages", _UNIT, "down", "equal language means",
     f"{_NEUTRAL}language_eta_squared", _HIDDEN, "set", True, (*_SPACE, "shift", "order of items"))  # fmt: skip
_PROBE = "metrics.probes."
_add("language_probe_accuracy", "language probe", _UNIT, "down", "never right", f"{_PROBE}language_probe", _HIDDEN,
     "set", None, ("shift",))  # fmt: skip
_add("language_probe_control", "language probe, control task", _UNIT, "none", "never right",
     f"{_PROBE}language_probe", _HIDDEN, "set", None, ("shift",))  # fmt: skip
_add("language_probe_selectivity", "selectivity of the language probe", _SIGNED, "down", "as good on the control",
     f"{_PROBE}language_probe", _HIDDEN, "set", None, ("shift",))  # fmt: skip
_add("language_mdl_bits", "description length of the language (bits)", _POSITIVE, "up", "language known for free",
     f"{_PROBE}language_mdl_bits", _HIDDEN, "set", None, ("shift",))  # fmt: skip

# Effects of interventions, and the outcome itself.
_EFFECTS = "measuring.effects."
_add("knock_out_effect", "effect of knock-out on the gold margin", _ANY, "none", "no effect",
     f"{_EFFECTS}knock_out", ("head",))  # fmt: skip
_add("head_importance", "head importance", _POSITIVE, "up", "no effect on the loss", f"{_EFFECTS}head_importance",
     ("head", "gradients"))  # fmt: skip
_add("ablation_effect", "effect of ablation on the gold margin", _ANY, "none", "no effect",
     f"{_EFFECTS}head_ablation", ("head",))  # fmt: skip
_add("patching_recovery", "recovery by patching", _ANY, "up", "nothing recovered", f"{_EFFECTS}patching_recovery",
     ("head",))  # fmt: skip
_add("correct", "accuracy", _UNIT, "up", "wrong", f"{_EFFECTS}outcomes", ("head",))
_add("gold_margin", "gold logit margin", _ANY, "up", "undecided", f"{_EFFECTS}outcomes", ("head",))


def get_metric(name: str) -> Metric:
    """Return a metric by name, or raise `DataError` naming those there are."""
    try:
        return METRICS[name]
    except KeyError:
        raise DataError(f"got the metric {name!r}; expected one of {', '.join(METRICS)}") from None

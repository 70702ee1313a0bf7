"""Figures: each is a function of `Results` that returns a matplotlib Figure. No model is loaded here."""

import sys

from xlprobe.plots import (
    causal,
    causal_heads,
    confounds,
    dynamics,
    identity,
    maps,
    masks,
    mass,
    neutrality,
    sentence_map,
    shares,
    stability,
    stability_heads,
    transfer,
    typology,
)
from xlprobe.plots.causal import knock_out_effects, patching_recovery
from xlprobe.plots.causal_heads import head_importance
from xlprobe.plots.confounds import entropy_and_stability, routing, tokens_per_word
from xlprobe.plots.dynamics import dynamics_over_steps
from xlprobe.plots.explorer import explore
from xlprobe.plots.figures import FigureSpec, save
from xlprobe.plots.identity import cka_matrix, language_identity
from xlprobe.plots.kept_rows import attention_rows
from xlprobe.plots.maps import attention_maps
from xlprobe.plots.masks import query_masks
from xlprobe.plots.mass import cross_lingual_mass
from xlprobe.plots.neutrality import neutrality_by_layer
from xlprobe.plots.sentence_map import map_of_sentences
from xlprobe.plots.shares import query_shares
from xlprobe.plots.stability import instability_by_layer, stability_by_layer
from xlprobe.plots.stability_heads import stability_by_layer_and_head
from xlprobe.plots.transfer import transfer_matrix
from xlprobe.plots.typology import typological_distance

FIGURES: dict[str, FigureSpec] = {
    **stability.FIGURES,
    **stability_heads.FIGURES,
    **maps.FIGURES,
    **masks.FIGURES,
    **mass.FIGURES,
    **shares.FIGURES,
    **neutrality.FIGURES,
    **identity.FIGURES,
    **sentence_map.FIGURES,
    **transfer.FIGURES,
    **causal.FIGURES,
    **causal_heads.FIGURES,
    **typology.FIGURES,
    **dynamics.FIGURES,
    **confounds.FIGURES,
}
"""Every figure of the report by its file name, in the order of the page."""

__all__ = [
    "FIGURES",
    "FigureSpec",
    "attention_maps",
    "attention_rows",
    "cka_matrix",
    "cross_lingual_mass",
    "dynamics_over_steps",
    "entropy_and_stability",
    "explore",
    "head_importance",
    "instability_by_layer",
    "knock_out_effects",
    "language_identity",
    "map_of_sentences",
    "neutrality_by_layer",
    "patching_recovery",
    "query_masks",
    "query_shares",
    "routing",
    "save",
    "stability_by_layer",
    "stability_by_layer_and_head",
    "tokens_per_word",
    "transfer_matrix",
    "typological_distance",
]


def _let_notebooks_show_figures() -> None:
    # A notebook shows a figure that a cell returns only once pyplot has told it how.
    shell = sys.modules.get("IPython")
    if shell is not None and shell.get_ipython() is not None:
        import matplotlib.pyplot as plt  # noqa: F401


_let_notebooks_show_figures()

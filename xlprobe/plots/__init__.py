"""Figures: each is a function of `Results` that returns a matplotlib Figure. No model is loaded here.

Every function takes `checkpoint`, `width` ("column", "text" or inches), `caption`, `legend` and `ax`; see `Figure`.
"""

import importlib
import os
import sys

from xlprobe.plots.attention import AttentionMaps
from xlprobe.plots.changing_heads import HeadsThatChange
from xlprobe.plots.dynamics import DynamicsOverSteps
from xlprobe.plots.entropy import EntropyAndStability
from xlprobe.plots.explorer import explore
from xlprobe.plots.figure import Figure
from xlprobe.plots.forced_routing import Routing
from xlprobe.plots.identity import LanguageIdentity
from xlprobe.plots.importance import HeadImportance
from xlprobe.plots.instability import InstabilityByLayer
from xlprobe.plots.kept_patterns import attention_rows
from xlprobe.plots.knock_out import KnockOutEffects
from xlprobe.plots.masks import QueryMasks
from xlprobe.plots.mass import CrossLingualMass, MassFromContext
from xlprobe.plots.neutrality import NeutralityByLayer
from xlprobe.plots.own_metrics import ByHead, ByLayer, figure_of
from xlprobe.plots.patching import PatchingRecovery
from xlprobe.plots.save import save
from xlprobe.plots.sentence_map import MapOfSentences
from xlprobe.plots.shares import QueryShares
from xlprobe.plots.spaces import CkaMatrix
from xlprobe.plots.stability import StabilityByLayer, StabilityOfFirstToken, StabilityWithinContext
from xlprobe.plots.stability_maps import StabilityByHead
from xlprobe.plots.tokenizers import TokensPerWord
from xlprobe.plots.transfer import TransferMatrix
from xlprobe.plots.typology import TypologicalDistance

query_masks = QueryMasks()
attention_maps = AttentionMaps()
transfer_matrix = TransferMatrix()
stability_by_layer = StabilityByLayer()
heads_that_change = HeadsThatChange()
stability_by_head = StabilityByHead()
instability_by_layer = InstabilityByLayer()
cross_lingual_mass = CrossLingualMass()
query_shares = QueryShares()
neutrality_by_layer = NeutralityByLayer()
knock_out_effects = KnockOutEffects()
patching_recovery = PatchingRecovery()
head_importance = HeadImportance()
dynamics_over_steps = DynamicsOverSteps()
entropy_and_stability = EntropyAndStability()
routing = Routing()
tokens_per_word = TokensPerWord()
stability_within_context = StabilityWithinContext()
stability_of_first_token = StabilityOfFirstToken()
cross_lingual_mass_from_context = MassFromContext()
cka_matrix = CkaMatrix()
language_identity = LanguageIdentity()
map_of_sentences = MapOfSentences()
typological_distance = TypologicalDistance()
by_layer = ByLayer()
by_head = ByHead()

FIGURES: dict[str, Figure] = {one.name: one for one in (
    query_masks, attention_maps, transfer_matrix, stability_by_layer, heads_that_change, stability_by_head,
    instability_by_layer, cross_lingual_mass, query_shares, neutrality_by_layer, knock_out_effects, patching_recovery,
    head_importance, dynamics_over_steps, entropy_and_stability, routing, tokens_per_word, stability_within_context,
    stability_of_first_token, cross_lingual_mass_from_context, cka_matrix, language_identity, map_of_sentences,
    typological_distance,
)}  # fmt: skip
"""Every figure of the report by its file name, in the order of the page: the main ones, then the appendix."""

__all__ = ["FIGURES", "Figure", "attention_rows", "by_head", "by_layer", "explore", "figure_of", "save", *FIGURES]


def _let_notebooks_show_figures() -> None:
    # A notebook shows a figure that a cell returns only once its drawing backend, which pyplot loads late, was loaded.
    shell = sys.modules.get("IPython")
    if shell is not None and shell.get_ipython() is not None and "inline" in os.environ.get("MPLBACKEND", ""):
        importlib.import_module("matplotlib_inline.backend_inline")


_let_notebooks_show_figures()

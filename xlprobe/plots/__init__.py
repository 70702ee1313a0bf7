"""Figures: each is a function of `Results` that returns a matplotlib Figure. No model is loaded here."""

from xlprobe.plots import mass, neutrality, stability, stability_heads
from xlprobe.plots.explorer import explore
from xlprobe.plots.figures import FigureSpec, save
from xlprobe.plots.mass import cross_lingual_mass
from xlprobe.plots.neutrality import neutrality_by_layer
from xlprobe.plots.stability import instability_by_layer, stability_by_layer
from xlprobe.plots.stability_heads import stability_by_layer_and_head

FIGURES: dict[str, FigureSpec] = {
    **stability.FIGURES,
    **stability_heads.FIGURES,
    **mass.FIGURES,
    **neutrality.FIGURES,
}
"""Every figure of the report by its file name, in the order of the page."""

__all__ = [
    "FIGURES",
    "FigureSpec",
    "cross_lingual_mass",
    "explore",
    "instability_by_layer",
    "neutrality_by_layer",
    "save",
    "stability_by_layer",
    "stability_by_layer_and_head",
]

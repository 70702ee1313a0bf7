"""Statistics of paired measurements: resampling by group, sign flips, false discovery rate. No model, no file.

`contrast` takes arrays; `contrast_frame`, `summarise` and `difference_in_differences` take long tables; `associate`
relates a result per language to one factor.
"""

from xlprobe.statistics.association import Association, associate, spearman
from xlprobe.statistics.bootstrap import Intervals, bootstrap_means, intervals
from xlprobe.statistics.clusters import Clusters
from xlprobe.statistics.contrasts import Contrast, contrast, contrast_clusters, effect_size
from xlprobe.statistics.frames import contrast_frame, difference_in_differences, subtract_reference, summarise
from xlprobe.statistics.multiple import benjamini_hochberg
from xlprobe.statistics.permutation import SignFlip, sign_flip

__all__ = [
    "Association",
    "Clusters",
    "Contrast",
    "Intervals",
    "SignFlip",
    "associate",
    "benjamini_hochberg",
    "bootstrap_means",
    "contrast",
    "contrast_clusters",
    "contrast_frame",
    "difference_in_differences",
    "effect_size",
    "intervals",
    "sign_flip",
    "spearman",
    "subtract_reference",
    "summarise",
]

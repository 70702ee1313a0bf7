"""Statistics of paired measurements: intervals over theories and runs, sign flips, verdicts. No model, no file.

`contrast` takes arrays; `contrast_frame`, `heads_that_change`, `summarise` and `difference_in_differences` take long
tables; `above_floor` takes the floor off; `verdict` says whether a claim may be made; `associate` relates a result per
language to one factor.
"""

from xlprobe.statistics.association import Association, associate, spearman
from xlprobe.statistics.bootstrap import bootstrap_means
from xlprobe.statistics.clusters import Clusters
from xlprobe.statistics.contrasts import Contrast, contrast, contrast_clusters, effect_size
from xlprobe.statistics.floors import above_floor
from xlprobe.statistics.frames import Choice, contrast_frame, summarise
from xlprobe.statistics.heads import heads_that_change
from xlprobe.statistics.intervals import Intervals, intervals
from xlprobe.statistics.multiple import benjamini_hochberg
from xlprobe.statistics.options import MIN_GROUPS, Options
from xlprobe.statistics.permutation import SignFlip, sign_flip
from xlprobe.statistics.proportions import PROPORTIONS, proportion_interval
from xlprobe.statistics.ratios import (
    LEAST_GAP,
    LEAST_LOGITS,
    Ratio,
    instability,
    instability_index,
    ratio_of_means,
    recoveries,
    recovery,
)
from xlprobe.statistics.references import difference_in_differences, subtract_reference
from xlprobe.statistics.verdicts import verdict

__all__ = [
    "LEAST_GAP",
    "LEAST_LOGITS",
    "MIN_GROUPS",
    "PROPORTIONS",
    "Association",
    "Choice",
    "Clusters",
    "Contrast",
    "Intervals",
    "Options",
    "Ratio",
    "SignFlip",
    "above_floor",
    "associate",
    "benjamini_hochberg",
    "bootstrap_means",
    "contrast",
    "contrast_clusters",
    "contrast_frame",
    "difference_in_differences",
    "effect_size",
    "heads_that_change",
    "instability",
    "instability_index",
    "intervals",
    "proportion_interval",
    "ratio_of_means",
    "recoveries",
    "recovery",
    "sign_flip",
    "spearman",
    "subtract_reference",
    "summarise",
    "verdict",
]

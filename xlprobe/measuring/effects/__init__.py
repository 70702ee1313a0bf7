"""Effects of interventions on the answer, one call each; what they return is a table as any other.

    effects.knock_out(checkpoint, problems, pairs="en-*")

Every effect is measured on the code-switched pairs and on their in-language reference; take that off with
`xlprobe.statistics.difference_in_differences`. `measure` computes the same under the metrics' names, on a few problems.
"""

from xlprobe.measuring.effects.calls import head_ablation, head_importance, knock_out, outcomes, patching_recovery
from xlprobe.measuring.effects.knock_outs import EDGES
from xlprobe.metrics import gold_margin

__all__ = ["EDGES", "gold_margin", "head_ablation", "head_importance", "knock_out", "outcomes", "patching_recovery"]

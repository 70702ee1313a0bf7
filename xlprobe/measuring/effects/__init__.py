"""Effects of interventions on the answer, one call each; what they return is a table as any other.

    effects.knock_out(checkpoint, problems, pairs="en-*")

Every effect is measured on the code-switched pairs and on their in-language reference; take that off with
`xlprobe.statistics.difference_in_differences`.
"""

from xlprobe.measuring.effects.head_effects import head_ablation, head_importance, patching_recovery
from xlprobe.measuring.effects.knock_outs import EDGES, knock_out
from xlprobe.measuring.effects.runs import gold_margins, outcomes

__all__ = ["EDGES", "gold_margins", "head_ablation", "head_importance", "knock_out", "outcomes", "patching_recovery"]

"""Interventions on attention heads, as context managers on any supported model.

    with KnockOut(model, queries="question", keys="context", layers=range(4, 8)).on(batch):
        logits = model(**batch.model_inputs(is_cross_query(model))).logits

What needs to know the tokens' roles takes the batch by `.on(batch)`; what does not (`Ablate`) is entered as it is.
They nest, act together, and are gone at the end of the `with` block, after an exception too.
"""

from __future__ import annotations

from xlprobe.interventions.heads import Ablate, HeadImportance, HeadOutputs, Patch, head_means, record
from xlprobe.interventions.knock_out import KnockOut
from xlprobe.interventions.roles import ROLES, role_mask

__all__ = [
    "ROLES",
    "Ablate",
    "HeadImportance",
    "HeadOutputs",
    "KnockOut",
    "Patch",
    "head_means",
    "record",
    "role_mask",
]

"""The answer: the gold margin, and whether it is right."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from xlprobe.errors import DataError

__all__ = ["correct", "gold_margin"]


def gold_margin(logits: Float[Tensor, "batch label"], labels: Int[Tensor, " batch"] | Any) -> Float[Tensor, " batch"]:
    """Logit of the right label minus the largest of the others, in float64.

    Range (-inf, inf), up = surer: above 0 the answer is right, 0 is undecided. NaN for a sample without a label (-100),
    and where a logit is NaN. Raises `DataError` for a label that the logits have no place for.
    """
    logits = torch.as_tensor(logits).double()
    labels = torch.as_tensor(labels).to(logits.device)
    if len(labels) and int(labels.max()) >= logits.shape[1]:
        raise DataError(f"got the label {int(labels.max())}; the checkpoint tells {logits.shape[1]} labels apart")
    index = labels.clamp_min(0)[:, None]
    gold = logits.gather(1, index)[:, 0]
    others = logits.scatter(1, index, -torch.inf).amax(dim=1)
    return torch.where(labels >= 0, gold - others, torch.nan)


def correct(logits: Float[Tensor, "batch label"], labels: Int[Tensor, " batch"] | Any) -> Float[Tensor, " batch"]:
    """1 where the answer is right, else 0; an undecided one, of margin 0, is not right.

    Range [0, 1], up; 0: wrong. NaN where the margin is (see `gold_margin`).
    """
    margin = gold_margin(logits, labels)
    return torch.where(margin.isnan(), torch.nan, (margin > 0).double())

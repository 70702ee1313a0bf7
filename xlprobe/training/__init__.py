"""Training: Q_cross pre-training, fine-tuning, evaluation, ablation, and measuring along the way.

Everything is imported on first use; `import xlprobe.training` alone loads neither torch nor transformers.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xlprobe.training.ablation import ablate
    from xlprobe.training.dynamics import Dynamics
    from xlprobe.training.evaluation import accuracy_table, evaluate
    from xlprobe.training.finetuning import Stage, finetune
    from xlprobe.training.method import Method
    from xlprobe.training.pretraining import pretrain_cross_query, train_lm_head
    from xlprobe.training.recipes import Recipe, read_recipe
    from xlprobe.training.settings import TrainSettings, fix_seed
    from xlprobe.training.vocabulary import Vocabulary

_LAZY = {
    "Dynamics": "dynamics",
    "Method": "method",
    "Recipe": "recipes",
    "Stage": "finetuning",
    "TrainSettings": "settings",
    "Vocabulary": "vocabulary",
    "ablate": "ablation",
    "accuracy_table": "evaluation",
    "evaluate": "evaluation",
    "finetune": "finetuning",
    "fix_seed": "settings",
    "pretrain_cross_query": "pretraining",
    "read_recipe": "recipes",
    "train_lm_head": "pretraining",
}

__all__ = [
    "Dynamics",
    "Method",
    "Recipe",
    "Stage",
    "TrainSettings",
    "Vocabulary",
    "ablate",
    "accuracy_table",
    "evaluate",
    "finetune",
    "fix_seed",
    "pretrain_cross_query",
    "read_recipe",
    "train_lm_head",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'xlprobe.training' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"xlprobe.training.{_LAZY[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))

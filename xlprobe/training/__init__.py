"""Training: Q_cross pre-training, fine-tuning, evaluation, ablation, and measuring along the way.

Everything is imported on first use; `import xlprobe.training` alone loads neither torch nor transformers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from xlprobe.lazy import on_first_use

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

__getattr__, __dir__ = on_first_use(
    __name__,
    {
        "ablation": "ablate",
        "dynamics": "Dynamics",
        "evaluation": "accuracy_table evaluate",
        "finetuning": "Stage finetune",
        "method": "Method",
        "pretraining": "pretrain_cross_query train_lm_head",
        "recipes": "Recipe read_recipe",
        "settings": "TrainSettings fix_seed",
        "vocabulary": "Vocabulary",
    },
)

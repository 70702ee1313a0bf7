"""Makes transformers' Auto classes know models of our own."""

from __future__ import annotations

from typing import Any

from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    PretrainedConfig,
    PreTrainedModel,
)

from xlprobe.encoders.heads import Head

__all__ = ["AUTO", "register"]

AUTO: dict[Head, Any] = {
    "none": AutoModel,
    "classification": AutoModelForSequenceClassification,
    "mlm": AutoModelForMaskedLM,
    "causal": AutoModelForCausalLM,
}
"""The Auto class of each head."""


def register(config: type[PretrainedConfig], models: dict[Head, type[PreTrainedModel]]) -> None:
    """Register an encoder, bare and with its heads, so that `AutoModel.from_pretrained` and the like read it."""
    AutoConfig.register(config.model_type, config, exist_ok=True)
    for head, model in models.items():
        AUTO[head].register(config, model, exist_ok=True)

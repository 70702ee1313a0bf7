"""Makes transformers' Auto classes know models of our own."""

from __future__ import annotations

from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    PretrainedConfig,
    PreTrainedModel,
)

__all__ = ["register"]


def register(
    config: type[PretrainedConfig],
    model: type[PreTrainedModel],
    classifier: type[PreTrainedModel],
    masked_lm: type[PreTrainedModel],
) -> None:
    """Register an encoder, bare and with its heads, so that `AutoModel.from_pretrained` and the like read it."""
    AutoConfig.register(config.model_type, config, exist_ok=True)
    AutoModel.register(config, model, exist_ok=True)
    AutoModelForSequenceClassification.register(config, classifier, exist_ok=True)
    AutoModelForMaskedLM.register(config, masked_lm, exist_ok=True)

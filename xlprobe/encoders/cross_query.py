"""BERT and XLM-R with a second, cross-lingual query in each layer (arXiv 2310.15258, section 3).

The classes are transformers' own with the self-attention module exchanged. `from_pretrained` takes native and plain
checkpoints; on a plain one each Q_cross starts as a copy of its layer's Q.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from transformers import initialization as init
from transformers.models.bert import modeling_bert as bert
from transformers.models.xlm_roberta import modeling_xlm_roberta as xlm_roberta

from xlprobe.encoders.attention_hooked import HOOKED, asked_for
from xlprobe.encoders.configuration import CrossQueryBertConfig, CrossQueryXLMRobertaConfig, checked_layers
from xlprobe.encoders.cross_attention import CrossQuerySelfAttention
from xlprobe.encoders.plan import check_first_tokens, make_plan
from xlprobe.encoders.registration import register

__all__ = [
    "CrossQueryBertConfig",
    "CrossQueryBertForMaskedLM",
    "CrossQueryBertForSequenceClassification",
    "CrossQueryBertModel",
    "CrossQueryXLMRobertaConfig",
    "CrossQueryXLMRobertaForMaskedLM",
    "CrossQueryXLMRobertaForSequenceClassification",
    "CrossQueryXLMRobertaModel",
    "is_cross_query",
]

logger = logging.getLogger(__name__)


class CrossQueryBertSelfAttention(CrossQuerySelfAttention, bert.BertSelfAttention):  # type: ignore[misc]
    """BERT's self-attention with Q_cross."""


class CrossQueryXLMRobertaSelfAttention(  # type: ignore[misc]
    CrossQuerySelfAttention, xlm_roberta.XLMRobertaSelfAttention
):
    """XLM-R's self-attention with Q_cross."""


def is_cross_query(model: nn.Module) -> bool:
    """Whether a model has a cross-lingual query (and so takes `language_ids`)."""
    return any(isinstance(module, CrossQuerySelfAttention) for module in model.modules())


class _CopiesQuery:
    """Weight initialisation and loading that start Q_cross as a copy of Q where a checkpoint has none."""

    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)  # type: ignore[misc]
        if isinstance(module, CrossQuerySelfAttention):
            # Runs after the children's; weights that were loaded are marked and left alone by init.copy_.
            for linear in module.cross_queries().values():
                init.copy_(linear.weight, module.query.weight)
                init.copy_(linear.bias, module.query.bias)

    @classmethod
    def from_pretrained(cls, *args: Any, **kwargs: Any) -> Any:
        """As transformers'; says when Q_cross was not in the checkpoint and started as a copy of Q."""
        wants_info = kwargs.pop("output_loading_info", False)
        model, info = super().from_pretrained(*args, output_loading_info=True, **kwargs)  # type: ignore[misc]
        copied = [key for key in info["missing_keys"] if "cross_lingual_quer" in key]
        if copied:
            logger.warning(
                "%s: the checkpoint has no cross-lingual query for %d tensors; they start as a copy of Q",
                cls.__name__,
                len(copied),
            )
        return (model, info) if wants_info else model


class _CrossQueryEncoder(_CopiesQuery):
    """What the two encoders share: the exchange of the attention modules, and one plan per forward pass."""

    attention_class: type[CrossQuerySelfAttention]
    if TYPE_CHECKING:
        encoder: Any
        config: Any
        training: bool

    def __init__(self, config: Any, add_pooling_layer: bool = True) -> None:
        super().__init__(config, add_pooling_layer=add_pooling_layer)  # type: ignore[call-arg]
        for layer in checked_layers(config):
            self.encoder.layer[layer].attention.self = self.attention_class(config, layer_idx=layer)
        self.post_init()  # type: ignore[attr-defined]

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        language_ids: Tensor | None = None,
        mask_generator: torch.Generator | None = None,
        **kwargs: Any,
    ) -> Any:
        """As the plain encoder's, with `language_ids` (batch, position), required.

        `mask_generator` is what random masks are drawn from in training (default: torch's generator on the CPU).
        """
        check_first_tokens(attention_mask)
        plan = make_plan(self.config, language_ids, attention_mask, input_ids, self.training, mask_generator)
        inputs = {
            "input_ids": input_ids, "attention_mask": attention_mask, "token_type_ids": token_type_ids,
            "position_ids": position_ids, "inputs_embeds": inputs_embeds, "cross_query_plan": plan, **kwargs,
        }  # fmt: skip
        implementation = self.config._attn_implementation
        if not asked_for(self, kwargs) or implementation in ("eager", HOOKED):
            return super().forward(**inputs)  # type: ignore[misc]
        # A fused kernel shows no pattern, and the layers without a Q_cross would be missing among those with one.
        self.config._attn_implementation = "eager"
        try:
            return super().forward(**inputs)  # type: ignore[misc]
        finally:
            self.config._attn_implementation = implementation


class CrossQueryBertModel(_CrossQueryEncoder, bert.BertModel):
    """BERT encoder with Q_cross."""

    config_class = CrossQueryBertConfig
    attention_class = CrossQueryBertSelfAttention


class CrossQueryXLMRobertaModel(_CrossQueryEncoder, xlm_roberta.XLMRobertaModel):
    """XLM-R encoder with Q_cross."""

    config_class = CrossQueryXLMRobertaConfig
    attention_class = CrossQueryXLMRobertaSelfAttention


class _CrossQueryHead(_CopiesQuery):
    """What the models with a head share: the encoder inside is the cross-query one."""

    encoder_class: type[nn.Module]
    if TYPE_CHECKING:
        base_model_prefix: str

    def __init__(self, config: Any) -> None:
        checkpointing = getattr(config, "gradient_checkpointing", False)
        super().__init__(config)  # type: ignore[call-arg]
        if checkpointing:  # used up by the plain encoder, which goes
            config.gradient_checkpointing = True
        prefix = self.base_model_prefix
        pooled = getattr(self, prefix).pooler is not None
        setattr(self, prefix, self.encoder_class(config, add_pooling_layer=pooled))
        self.post_init()  # type: ignore[attr-defined]

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        language_ids: Tensor | None = None,
        **kwargs: Any,
    ) -> Any:
        """As the plain model's, with `language_ids` (batch, position), required."""
        return super().forward(  # type: ignore[misc]
            input_ids=input_ids,
            attention_mask=attention_mask,
            token_type_ids=token_type_ids,
            position_ids=position_ids,
            inputs_embeds=inputs_embeds,
            labels=labels,
            language_ids=language_ids,
            **kwargs,
        )


class CrossQueryBertForSequenceClassification(_CrossQueryHead, bert.BertForSequenceClassification):
    """BERT classifier with Q_cross."""

    config_class = CrossQueryBertConfig
    encoder_class = CrossQueryBertModel


class CrossQueryBertForMaskedLM(_CrossQueryHead, bert.BertForMaskedLM):
    """BERT masked language model with Q_cross."""

    config_class = CrossQueryBertConfig
    encoder_class = CrossQueryBertModel


class CrossQueryXLMRobertaForSequenceClassification(_CrossQueryHead, xlm_roberta.XLMRobertaForSequenceClassification):
    """XLM-R classifier with Q_cross."""

    config_class = CrossQueryXLMRobertaConfig
    encoder_class = CrossQueryXLMRobertaModel


class CrossQueryXLMRobertaForMaskedLM(_CrossQueryHead, xlm_roberta.XLMRobertaForMaskedLM):
    """XLM-R masked language model with Q_cross."""

    config_class = CrossQueryXLMRobertaConfig
    encoder_class = CrossQueryXLMRobertaModel


register(CrossQueryBertConfig, CrossQueryBertModel, CrossQueryBertForSequenceClassification, CrossQueryBertForMaskedLM)
register(
    CrossQueryXLMRobertaConfig,
    CrossQueryXLMRobertaModel,
    CrossQueryXLMRobertaForSequenceClassification,
    CrossQueryXLMRobertaForMaskedLM,
)

"""BERT and XLM-R with a second, cross-lingual query in each layer (arXiv 2310.15258, section 3).

The classes are transformers' own with the self-attention module exchanged. `from_pretrained` takes native and plain
checkpoints; on a plain one each Q_cross starts as a copy of its layer's Q. Those of other models (see
`cross_families`) are here too, made when they are asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor, nn
from transformers.models.bert import modeling_bert as bert
from transformers.models.xlm_roberta import modeling_xlm_roberta as xlm_roberta

from xlprobe.encoders.configuration import PREFIX, CrossQueryBertConfig, CrossQueryXLMRobertaConfig, checked_layers
from xlprobe.encoders.cross_attention import CrossQuerySelfAttention
from xlprobe.encoders.cross_families import class_named
from xlprobe.encoders.cross_models import CopiesQuery, PlansAttention, cross_query_modules
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


class CrossQueryBertSelfAttention(CrossQuerySelfAttention, bert.BertSelfAttention):  # type: ignore[misc]
    """BERT's self-attention with Q_cross."""


class CrossQueryXLMRobertaSelfAttention(  # type: ignore[misc]
    CrossQuerySelfAttention, xlm_roberta.XLMRobertaSelfAttention
):
    """XLM-R's self-attention with Q_cross."""


def is_cross_query(model: nn.Module) -> bool:
    """Whether a model has a cross-lingual query (and so takes `language_ids`)."""
    return bool(cross_query_modules(model))


def __getattr__(name: str) -> Any:
    """Make the classes of other models, such as CrossQueryModernBertModel, when they are asked for."""
    if name.startswith(PREFIX) and (made := class_named(name)) is not None:
        return made
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class _CrossQueryEncoder(PlansAttention):
    """What the two encoders share: the exchange of the attention modules."""

    attention_class: type[CrossQuerySelfAttention]
    if TYPE_CHECKING:
        encoder: Any

    def __init__(self, config: Any, add_pooling_layer: bool = True) -> None:
        super().__init__(config, add_pooling_layer=add_pooling_layer)  # type: ignore[call-arg]
        for layer in checked_layers(config):
            self.encoder.layer[layer].attention.self = self.attention_class(config, layer_idx=layer)
        self.post_init()  # type: ignore[attr-defined]


class CrossQueryBertModel(_CrossQueryEncoder, bert.BertModel):
    """BERT encoder with Q_cross."""

    config_class = CrossQueryBertConfig
    attention_class = CrossQueryBertSelfAttention


class CrossQueryXLMRobertaModel(_CrossQueryEncoder, xlm_roberta.XLMRobertaModel):
    """XLM-R encoder with Q_cross."""

    config_class = CrossQueryXLMRobertaConfig
    attention_class = CrossQueryXLMRobertaSelfAttention


class _CrossQueryHead(CopiesQuery):
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
        kwargs |= {"inputs_embeds": inputs_embeds, "labels": labels, "language_ids": language_ids}
        return super().forward(input_ids, attention_mask, token_type_ids, position_ids, **kwargs)  # type: ignore[misc]


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


register(
    CrossQueryBertConfig,
    {
        "none": CrossQueryBertModel,
        "classification": CrossQueryBertForSequenceClassification,
        "mlm": CrossQueryBertForMaskedLM,
    },
)
register(
    CrossQueryXLMRobertaConfig,
    {
        "none": CrossQueryXLMRobertaModel,
        "classification": CrossQueryXLMRobertaForSequenceClassification,
        "mlm": CrossQueryXLMRobertaForMaskedLM,
    },
)

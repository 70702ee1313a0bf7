"""Encoders with and without a cross-lingual query: attention, masks, and the points to look in.

Everything is imported on first use; `import xlprobe.encoders` alone loads neither torch nor transformers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from xlprobe.lazy import on_first_use

if TYPE_CHECKING:
    from xlprobe.encoders.attention import cross_query_attention
    from xlprobe.encoders.convert import to_cross_query
    from xlprobe.encoders.cross_query import (
        CrossQueryBertConfig,
        CrossQueryBertForMaskedLM,
        CrossQueryBertForSequenceClassification,
        CrossQueryBertModel,
        CrossQueryXLMRobertaConfig,
        CrossQueryXLMRobertaForMaskedLM,
        CrossQueryXLMRobertaForSequenceClassification,
        CrossQueryXLMRobertaModel,
        is_cross_query,
    )
    from xlprobe.encoders.hooks import hook_points, observe
    from xlprobe.encoders.lens import lens
    from xlprobe.encoders.masks import language_masks

__all__ = [
    "CrossQueryBertConfig",
    "CrossQueryBertForMaskedLM",
    "CrossQueryBertForSequenceClassification",
    "CrossQueryBertModel",
    "CrossQueryXLMRobertaConfig",
    "CrossQueryXLMRobertaForMaskedLM",
    "CrossQueryXLMRobertaForSequenceClassification",
    "CrossQueryXLMRobertaModel",
    "cross_query_attention",
    "hook_points",
    "is_cross_query",
    "language_masks",
    "lens",
    "observe",
    "to_cross_query",
]

__getattr__, __dir__ = on_first_use(
    __name__,
    {
        "attention": "cross_query_attention",
        "convert": "to_cross_query",
        "cross_query": "CrossQueryBertConfig CrossQueryBertForMaskedLM CrossQueryBertForSequenceClassification "
        "CrossQueryBertModel CrossQueryXLMRobertaConfig CrossQueryXLMRobertaForMaskedLM "
        "CrossQueryXLMRobertaForSequenceClassification CrossQueryXLMRobertaModel is_cross_query",
        "hooks": "hook_points observe",
        "lens": "lens",
        "masks": "language_masks",
    },
)

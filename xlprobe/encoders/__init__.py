"""Encoders with and without a cross-lingual query: attention, masks, and the points to look in.

Everything is imported on first use; `import xlprobe.encoders` alone loads neither torch nor transformers.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

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

_LAZY = {
    "CrossQueryBertConfig": "cross_query",
    "CrossQueryBertForMaskedLM": "cross_query",
    "CrossQueryBertForSequenceClassification": "cross_query",
    "CrossQueryBertModel": "cross_query",
    "CrossQueryXLMRobertaConfig": "cross_query",
    "CrossQueryXLMRobertaForMaskedLM": "cross_query",
    "CrossQueryXLMRobertaForSequenceClassification": "cross_query",
    "CrossQueryXLMRobertaModel": "cross_query",
    "cross_query_attention": "attention",
    "hook_points": "hooks",
    "is_cross_query": "cross_query",
    "language_masks": "masks",
    "lens": "lens",
    "observe": "hooks",
    "to_cross_query": "convert",
}

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


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'xlprobe.encoders' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"xlprobe.encoders.{_LAZY[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))

"""Tiny random BERT and XLM-R checkpoints on disk stand in for mBERT and XLM-R."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

SIZES: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "vocab_size": 60,
    "max_position_embeddings": 64,
    "initializer_range": 0.3,
}
FAMILIES = ("bert", "xlm-roberta")
HEADS = ("Model", "ForSequenceClassification", "ForMaskedLM")


@pytest.fixture(autouse=True)
def _quiet_transformers():
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()


def plain_class(family: str, head: str) -> Any:
    import transformers

    return getattr(transformers, {"bert": "Bert", "xlm-roberta": "XLMRoberta"}[family] + head)


def cross_class(family: str, head: str) -> Any:
    from xlprobe import models

    return getattr(models, "CrossQuery" + {"bert": "Bert", "xlm-roberta": "XLMRoberta"}[family] + head)


def make_plain(family: str, head: str, **options: Any) -> Any:
    torch.manual_seed(0)
    cls = plain_class(family, head)
    return cls(cls.config_class(**{**SIZES, "pad_token_id": 1, **options})).eval()


@pytest.fixture(scope="session")
def plain_directories(tmp_path_factory) -> dict[tuple[str, str], Path]:
    """One saved plain checkpoint for each family and head."""
    base = tmp_path_factory.mktemp("plain")
    found = {}
    for family in FAMILIES:
        for head in HEADS:
            path = base / family / head
            make_plain(family, head).save_pretrained(path)
            found[family, head] = path
    return found


@pytest.fixture
def inputs() -> dict[str, torch.Tensor]:
    """Four samples: two code-switched (one padded), two in-language (one padded)."""
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(4, 60, (4, 11), generator=generator)
    mask = torch.ones(4, 11, dtype=torch.long)
    mask[1, 7:] = 0
    mask[3, 9:] = 0
    languages = torch.full((4, 11), 149)
    languages[0, 6:] = 180
    languages[1, 4:] = 180
    languages[2] = 180
    return {
        "input_ids": ids.masked_fill(mask == 0, 1),
        "attention_mask": mask,
        "language_ids": languages * mask,
    }


def without_languages(inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {key: value for key, value in inputs.items() if key != "language_ids"}


@pytest.fixture
def tiny() -> SimpleNamespace:
    """The functions above, for tests (which cannot import from here)."""
    return SimpleNamespace(
        plain_class=plain_class, cross_class=cross_class, make_plain=make_plain, without_languages=without_languages
    )

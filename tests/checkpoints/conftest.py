"""A classifier as transformers saves it; its progress bars and warnings stay silent here."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _quiet_transformers():
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()


@pytest.fixture
def saved(tiny_checkpoints, tmp_path):
    """The directory of a tiny classifier that transformers itself saved."""
    checkpoint = tiny_checkpoints("bert", "ForSequenceClassification")
    checkpoint.model.save_pretrained(tmp_path / "c")
    checkpoint.tokenizer.save_pretrained(tmp_path / "c")
    return tmp_path / "c"

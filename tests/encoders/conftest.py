"""transformers' progress bars and warnings stay silent here."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _quiet_transformers():
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()

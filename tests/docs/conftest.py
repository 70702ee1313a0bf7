"""The made-up table of the figures' tests, for the gallery's tests too."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

_path = Path(__file__).resolve().parent.parent / "plots" / "conftest.py"
_spec = importlib.util.spec_from_file_location("figures_conftest", _path)
assert _spec is not None
assert _spec.loader is not None
_figures = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_figures)


@pytest.fixture(scope="session")
def results() -> Any:
    return _figures.make_results(_figures.make_frame())


@pytest.fixture(scope="session")
def kept() -> Any:
    return _figures.make_kept()

"""Packages whose names are imported on first use."""

from __future__ import annotations

import importlib

import pytest


@pytest.mark.parametrize("package", ["", "checkpoints", "encoders", "measuring", "metrics", "samples", "training"])
def test_every_name_that_a_package_offers_is_there(package):
    module = importlib.import_module(f"xlprobe.{package}".rstrip("."))
    assert all(hasattr(module, name) for name in module.__all__)
    assert set(module.__all__) <= set(dir(module))
    with pytest.raises(AttributeError, match=f"module '{module.__name__}' has no attribute 'nothing'"):
        module.nothing  # noqa: B018

"""Makes transformers' Auto classes know the cross-query models, without importing transformers before it is needed.

`install()` leaves a mark on `AutoConfig`, at once or when it is imported; its first call then registers our classes.
Registering inside the import itself is not possible: transformers' own modules import each other in circles.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any

__all__ = ["install", "register"]

_MODULE = "transformers.models.auto.configuration_auto"
_METHODS = ("from_pretrained", "for_model")
"""The methods of `AutoConfig` that turn a model type into a configuration; their first call registers."""

_originals: list[tuple[Any, str, Any]] = []
_registered = False


def install() -> None:
    """Have the cross-query models registered with transformers' Auto classes before those first need them."""
    if _registered or any(isinstance(finder, _AfterImport) for finder in sys.meta_path):
        return
    sys.meta_path.insert(0, _AfterImport())
    module = sys.modules.get(_MODULE)
    if module is not None and hasattr(module, "AutoConfig"):
        _mark(module)


def register() -> None:
    """Register the cross-query models with transformers' Auto classes now."""
    global _registered
    while _originals:
        owner, name, original = _originals.pop()
        setattr(owner, name, original)
    if _registered:
        return
    _registered = True
    from transformers.models.auto import modeling_auto as auto
    from transformers.models.auto.configuration_auto import AutoConfig

    from xlprobe.encoders import cross_query

    for encoder in ("Bert", "XLMRoberta"):
        config = getattr(cross_query, f"CrossQuery{encoder}Config")
        AutoConfig.register(config.model_type, config, exist_ok=True)
        for mapping, suffix in (
            (auto.AutoModel, "Model"),
            (auto.AutoModelForSequenceClassification, "ForSequenceClassification"),
            (auto.AutoModelForMaskedLM, "ForMaskedLM"),
        ):
            mapping.register(config, getattr(cross_query, f"CrossQuery{encoder}{suffix}"), exist_ok=True)


def _mark(module: ModuleType) -> None:
    owner = module.AutoConfig
    for method in _METHODS:
        original = owner.__dict__[method]
        _originals.append((owner, method, original))
        setattr(owner, method, _registering(owner, method, type(original)))


def _registering(owner: Any, method: str, kind: type) -> Any:
    """Return a stand-in for a method: registers, which puts the method back, and then calls it."""

    def call(*args: Any, **kwargs: Any) -> Any:
        register()
        return getattr(owner, method)(*(args[1:] if kind is classmethod else args), **kwargs)

    return kind(call)


class _AfterImport(MetaPathFinder):
    """Marks `AutoConfig` once its module has been imported; steps aside for every other module."""

    def __init__(self) -> None:
        self._looking = False

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != _MODULE or self._looking:
            return None
        self._looking = True
        try:
            spec = find_spec(fullname)
        finally:
            self._looking = False
        if spec is None or spec.loader is None:
            return None
        loader: Any = spec.loader
        execute = loader.exec_module

        def execute_and_mark(module: ModuleType) -> None:
            execute(module)
            _mark(module)

        loader.exec_module = execute_and_mark
        return spec

"""Names that a package offers, each imported on first use, so that importing the package is quick."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["on_first_use"]


def on_first_use(package: str, homes: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return a package's `__getattr__` and `__dir__`; `homes` has, by module, the names in it, separated by blanks.

    A module may be offered itself, under its own name.
    """
    home_of = {name: home for home, names in homes.items() for name in names.split()}
    own = vars(sys.modules[package])

    def get(name: str) -> Any:
        if name not in home_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = importlib.import_module(f"{package}.{home_of[name]}")
        own[name] = value = getattr(module, name, module)
        return value

    return get, lambda: sorted({*own, *own["__all__"]})

"""Sums of a shard as JSON, without loss."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

__all__ = ["decoded", "encoded"]


def encoded(value: Any) -> Any:
    """Turn sums into what JSON holds without loss; keys may be tuples, arrays keep their type and shape."""
    if isinstance(value, Mapping):
        return {"map": [[encoded(key), encoded(entry)] for key, entry in value.items()]}
    if isinstance(value, tuple):
        return {"tuple": [encoded(entry) for entry in value]}
    if isinstance(value, (np.ndarray, np.generic)):
        array = np.asarray(value)
        return {"array": array.tolist(), "dtype": str(array.dtype), "shape": list(array.shape)}
    if isinstance(value, list):
        return {"list": [encoded(entry) for entry in value]}
    return value


def decoded(value: Any) -> Any:
    """Return what `encoded` was given."""
    if not isinstance(value, dict):
        return value
    if "map" in value:
        return {decoded(key): decoded(entry) for key, entry in value["map"]}
    if "tuple" in value:
        return tuple(decoded(entry) for entry in value["tuple"])
    if "list" in value:
        return [decoded(entry) for entry in value["list"]]
    return np.array(value["array"], dtype=value["dtype"]).reshape(value["shape"])

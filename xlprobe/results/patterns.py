"""Attention patterns that were kept, for maps and the explorer: a file beside the table."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from xlprobe.errors import ResultsError
from xlprobe.files import disk_errors
from xlprobe.samples.types import Sample

__all__ = ["PATTERNS", "KeptPattern", "read_patterns", "write_patterns"]

PATTERNS = "patterns.npz"
"""The file's name, in the directory of the table."""

_ARRAYS = ("segment_ids", "unit_ids", "special")


@dataclass
class KeptPattern:
    """One sample's attention in every layer, as float16 (layer, head, query, key), with what names its tokens."""

    checkpoint: str
    sample: Sample
    tokens: list[str]
    segment_ids: np.ndarray[Any, Any]
    unit_ids: np.ndarray[Any, Any]
    special: np.ndarray[Any, Any]
    layers: dict[str, list[np.ndarray[Any, Any]]] = field(default_factory=dict)

    def pattern(self, term: str = "pattern") -> np.ndarray[Any, Any] | None:
        """Return (layer, head, query, key) of "pattern", "mono" or "cross"; None where the model has no such term."""
        return np.stack(self.layers[term]) if term in self.layers else None


def write_patterns(kept: Sequence[KeptPattern], directory: Path) -> Path:
    """Write patterns into a directory."""
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    about = []
    for number, one in enumerate(kept):
        arrays |= {f"{number}/{name}": getattr(one, name) for name in _ARRAYS}
        arrays |= {f"{number}/{term}": np.stack(layers) for term, layers in one.layers.items()}
        sample = asdict(one.sample) | {"meta": {}}
        about.append({"checkpoint": one.checkpoint, "tokens": one.tokens, "terms": list(one.layers), "sample": sample})
    text = np.frombuffer(json.dumps(about, ensure_ascii=False).encode(), dtype=np.uint8)
    partial, path = directory / f".{PATTERNS}", directory / PATTERNS
    try:
        with disk_errors(path), partial.open("wb") as file:
            np.savez_compressed(file, **{"about": text, **arrays})  # type: ignore[arg-type]
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return path


def read_patterns(place: str | Path | Iterable[Path]) -> list[KeptPattern]:
    """Return the patterns kept beside a table (its file or directory), or in several directories."""
    if not isinstance(place, (str, Path)):
        return [one for directory in place for one in read_patterns(directory)]
    place = Path(place)
    path = (place if place.is_dir() else place.parent) / PATTERNS
    if not path.exists():
        return []
    try:
        with np.load(path, allow_pickle=False) as arrays:
            about = json.loads(arrays["about"].tobytes())
            return [_pattern(arrays, number, one) for number, one in enumerate(about)]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ResultsError(f"cannot read {path}: {error}. Expected the patterns of a run of xlprobe") from error


def _pattern(arrays: Any, number: int, about: dict[str, Any]) -> KeptPattern:
    sample = dict(about["sample"])
    sample["context"] = tuple(sample["context"])
    if sample.get("word_languages") is not None:
        sample["word_languages"] = tuple(tuple(span) for span in sample["word_languages"])
    ids = [arrays[f"{number}/{name}"] for name in _ARRAYS]
    layers = {term: list(arrays[f"{number}/{term}"]) for term in about["terms"]}
    return KeptPattern(about["checkpoint"], Sample(**sample), about["tokens"], ids[0], ids[1], ids[2], layers)

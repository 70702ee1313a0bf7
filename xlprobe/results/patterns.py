"""Attention patterns that were kept, for maps and the explorer: a file beside the table."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np

from xlprobe.errors import ResultsError
from xlprobe.files import disk_errors
from xlprobe.samples.types import Sample

__all__ = ["PATTERNS", "KeptPattern", "pattern_file", "read_patterns"]

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


@contextmanager
def pattern_file(directory: Path) -> Iterator[Callable[[Sequence[KeptPattern]], None]]:
    """Yield what writes patterns as they come, so that no two checkpoints' have to be in memory.

    The file is there when the block has ended, if any came.
    """
    partial, path = directory / f".{PATTERNS}", directory / PATTERNS
    about: list[dict[str, Any]] = []
    archive: ZipFile | None = None

    def write(kept: Sequence[KeptPattern]) -> None:
        nonlocal archive
        with disk_errors(path):
            for one in kept:
                archive = archive or ZipFile(partial, "w", ZIP_DEFLATED)
                _write(archive, str(len(about)), one)
                about.append(_about(one))

    try:
        yield write
        if archive is not None:
            with disk_errors(path), archive:
                text = json.dumps(about, ensure_ascii=False).encode()
                _write_array(archive, "about", np.frombuffer(text, dtype=np.uint8))
            partial.replace(path)
    finally:
        if archive is not None:  # else what is there is another process's
            with suppress(OSError):  # of a full disk, which was told of
                archive.close()
            partial.unlink(missing_ok=True)


def _write(archive: ZipFile, number: str, one: KeptPattern) -> None:
    for name in _ARRAYS:
        _write_array(archive, f"{number}/{name}", getattr(one, name))
    for term, layers in one.layers.items():
        _write_array(archive, f"{number}/{term}", np.stack(layers))


def _about(one: KeptPattern) -> dict[str, Any]:
    sample = asdict(one.sample) | {"meta": {}}
    return {"checkpoint": one.checkpoint, "tokens": one.tokens, "terms": list(one.layers), "sample": sample}


def _write_array(archive: ZipFile, name: str, array: np.ndarray[Any, Any]) -> None:
    with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
        np.lib.format.write_array(file, array, allow_pickle=False)


def read_patterns(place: str | Path | Iterable[Path], checkpoint: str | None = None) -> list[KeptPattern]:
    """Return the patterns kept beside a table (its file or directory), or in several directories; of one checkpoint."""
    if not isinstance(place, (str, Path)):
        return [one for directory in place for one in read_patterns(directory, checkpoint)]
    place = Path(place)
    path = (place if place.is_dir() else place.parent) / PATTERNS
    if not path.exists():
        return []
    try:
        with np.load(path, allow_pickle=False) as arrays:
            about = json.loads(arrays["about"].tobytes())
            wanted = [(n, one) for n, one in enumerate(about) if checkpoint in (None, one["checkpoint"])]
            return [_pattern(arrays, number, one) for number, one in wanted]
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

"""What a table's numbers come from: the manifest that is kept with it."""

from __future__ import annotations

import datetime as dt
import hashlib
import platform
from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import TYPE_CHECKING, Any

from xlprobe.checkpoints.labels import TRUE_FALSE
from xlprobe.errors import DataError

if TYPE_CHECKING:
    from xlprobe.checkpoints.checkpoint import Checkpoint
    from xlprobe.samples.types import ParallelSample

__all__ = ["manifest_of"]

PACKAGES = (
    "xlprobe", "torch", "transformers", "transformer-lens", "numpy", "scipy", "pandas", "pyarrow", "matplotlib",
)  # fmt: skip
"""Whose versions are written down."""


def manifest_of(
    checkpoints: Sequence[Checkpoint],
    samples: Sequence[ParallelSample],
    languages: Sequence[str],
    arguments: Mapping[str, Any],
) -> dict[str, Any]:
    """Return arguments, hashes of checkpoints and data, and versions of the packages at work."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    digest = hashlib.sha256()
    for sample in samples:
        digest.update(
            repr((sample.key, sorted(sample.context.items()), sorted(sample.question.items()), sample.label)).encode()
        )
    return {
        "created": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "arguments": dict(arguments),
        "checkpoints": {
            _key(c, checkpoints): {
                "spec": c.spec,
                "sha256": c.hash,
                "is_cross_query": c.is_cross_query,
                "head": c.head,
                "layers": c.num_layers,
                "heads": c.num_heads,
                **_labels(c, samples),
                **_plain(c.provenance),
            }
            for c in checkpoints
        },
        "data": {
            "datasets": sorted({sample.dataset for sample in samples}),
            "samples": len(samples),
            "groups": len({sample.group for sample in samples}),
            "languages": list(languages),
            "sha256": digest.hexdigest(),
        },
        "versions": {"python": platform.python_version(), **versions},
    }


def _labels(checkpoint: Checkpoint, samples: Sequence[ParallelSample]) -> dict[str, Any]:
    """Return which class of a classifier each of the samples' labels was taken for."""
    found: dict[str, str] = {}
    for names in {sample.label_names for sample in samples if sample.label is not None}:
        try:
            order = checkpoint.class_of(names)
        except DataError:
            continue
        found |= {name: checkpoint.classes[place] for name, place in zip(names or TRUE_FALSE, order, strict=True)}
    return {"labels": found} if found else {}


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if isinstance(value, (str, int, float, bool, list, dict))}


def _key(checkpoint: Checkpoint, checkpoints: Sequence[Checkpoint]) -> str:
    """Name a checkpoint; the second and later runs that share the name also by their training seed."""
    first = next(other for other in checkpoints if other.name == checkpoint.name)
    return checkpoint.name if first is checkpoint else f"{checkpoint.name} (seed {checkpoint.provenance['seed']})"

"""What a table's numbers come from: the manifest that is kept with it."""

from __future__ import annotations

import datetime as dt
import hashlib
import platform
from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import TYPE_CHECKING, Any

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


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if isinstance(value, (str, int, float, bool, list, dict))}


def _key(checkpoint: Checkpoint, checkpoints: Sequence[Checkpoint]) -> str:
    """Name a checkpoint; the second and later runs that share the name also by their training seed."""
    first = next(other for other in checkpoints if other.name == checkpoint.name)
    return checkpoint.name if first is checkpoint else f"{checkpoint.name} (seed {checkpoint.provenance['seed']})"

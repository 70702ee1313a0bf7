"""What a table's numbers come from: the manifest that is kept with it."""

from __future__ import annotations

import datetime as dt
import hashlib
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from importlib import metadata
from typing import TYPE_CHECKING, Any

from xlprobe.checkpoints.labels import TRUE_FALSE
from xlprobe.encoders.products import products_by
from xlprobe.errors import DataError
from xlprobe.samples.prompts import PromptEncoder
from xlprobe.samples.sequences import SequenceEncoder

if TYPE_CHECKING:
    from xlprobe.checkpoints.checkpoint import Checkpoint
    from xlprobe.measuring.design import Checked
    from xlprobe.metrics import Metric
    from xlprobe.samples.types import ParallelSample

__all__ = ["about_checkpoint", "fingerprint_of", "manifest_of"]

PACKAGES = (
    "xlprobe", "torch", "transformers", "transformer-lens", "numpy", "numba", "scipy", "pandas", "pyarrow",
    "matplotlib",
)  # fmt: skip
"""Whose versions are written down."""


def manifest_of(checked: Checked) -> dict[str, Any]:
    """Return the design, the hash of the data, and versions of the packages at work; checkpoints are added in turn."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    digest = hashlib.sha256()
    for sample in checked.problems:
        digest.update(
            repr((sample.key, sorted(sample.context.items()), sorted(sample.question.items()), sample.label)).encode()
        )
    return {
        "created": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "arguments": {**checked.design.about, **_arguments(checked)},
        "checkpoints": {},
        "data": {
            "datasets": sorted({sample.dataset for sample in checked.problems}),
            "samples": len(checked.problems),
            "groups": len({sample.group for sample in checked.problems}),
            "languages": list(checked.languages),
            "sha256": digest.hexdigest(),
        },
        "versions": {"python": platform.python_version(), **versions},
        "products": products_by(),
        "left_out": {},
    }


def _arguments(checked: Checked) -> dict[str, Any]:
    design = {
        field.name: getattr(checked.design, field.name)
        for field in fields(checked.design)
        if field.name not in ("about", "show_progress", "shard", "interventions", "answers")
    }
    return {
        **design,
        "base": checked.base,
        "pairs": [f"{context}-{question}" for context, question in checked.pairs],
        "answers": [f"{context}-{question}" for context, question in checked.answers],
        "metrics": [one.name for one in checked.metrics],
        "interventions": asdict(checked.design.interventions),
    }


def fingerprint_of(checked: Checked, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return what tells this run from others: its design, data, versions and metrics of one's own."""
    own = {one.name: _source(one) for one in checked.metrics if not isinstance(one.compute, str)}
    # Machines that share a run may multiply differently.
    return {**manifest, "created": None, "products": None, "arguments": _arguments(checked), "own_metrics": own}


def _source(one: Metric) -> str:
    code = getattr(one.documented, "__code__", None)
    return repr((code.co_code, code.co_consts, code.co_names)) if code is not None else repr(one)


def about_checkpoint(checkpoint: Checkpoint, problems: Sequence[ParallelSample], manifest: dict[str, Any]) -> None:
    """Add what the manifest says of a checkpoint; further runs of its name also by their training seed."""
    known = manifest["checkpoints"]
    name = checkpoint.name
    if name in known:
        name = f"{name} (seed {checkpoint.provenance['seed']})"
    known[name] = {
        "spec": checkpoint.spec,
        "sha256": checkpoint.hash,
        "is_cross_query": checkpoint.is_cross_query,
        "head": checkpoint.head,
        "layers": checkpoint.num_layers,
        "heads": checkpoint.num_heads,
        **_prompts(checkpoint),
        **_labels(checkpoint, problems),
        **_plain(checkpoint.provenance),
    }


def _prompts(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return how a model that reads prompts is asked, and which blocks of attention it has not."""
    encoder = checkpoint.encoder()
    if not isinstance(encoder, PromptEncoder):
        return {}
    about: dict[str, Any] = {"causal": checkpoint.is_causal, "part": checkpoint.part}
    start = {"decoder_start": list(encoder.decoder_start)} if isinstance(encoder, SequenceEncoder) else {}
    return {**about, "template": encoder.templates, **start,
            "answers": encoder.answers or "words for true and false", "closed": dict(checkpoint.closed)}  # fmt: skip


def _labels(checkpoint: Checkpoint, problems: Sequence[ParallelSample]) -> dict[str, Any]:
    """Return which class of a classifier each of the problems' labels was taken for."""
    taken: dict[str, str] = {}
    for names in {problem.label_names for problem in problems if problem.label is not None}:
        try:
            order = checkpoint.class_of(names)
        except DataError:
            continue
        if not checkpoint.classes:
            continue
        taken |= {name: checkpoint.classes[place] for name, place in zip(names or TRUE_FALSE, order, strict=True)}
    return {"labels": taken} if taken else {}


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if isinstance(value, (str, int, float, bool, list, dict))}

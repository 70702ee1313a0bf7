"""What users hand to `measure`, as what it works on: problems, checkpoints one at a time, metrics by name."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from xlprobe.checkpoints.checkpoint import Checkpoint
from xlprobe.checkpoints.loading import load
from xlprobe.errors import DataError
from xlprobe.metrics.base import METRICS, SETS, Metric, get_metric, metrics_in
from xlprobe.samples.types import ParallelSample

__all__ = ["checkpoints_of", "metrics_of", "problems_of"]


def problems_of(samples: Any) -> list[ParallelSample]:
    """Return problems as a list: of a sequence or an iterator, a file or directory that `read` reads, or a data set.

    Raises `DataError` for what is none of them, and for anything but parallel problems within it.
    """
    if isinstance(samples, ParallelSample):
        return [samples]
    if isinstance(samples, (str, Path)):
        from xlprobe.samples.readers import parse_spec, read

        path, form = parse_spec(str(samples))
        problems = list(read(path, format=form))
    elif hasattr(samples, "column_names"):
        from xlprobe.samples import read_dataset

        problems = list(read_dataset(samples, name=str(getattr(samples, "builder_name", None) or "dataset")))
    elif isinstance(samples, Iterable):
        problems = list(samples)
    else:
        raise DataError(
            f"got samples of type {type(samples).__name__}; expected parallel problems, such as read() gives"
        )
    if strange := [one for one in problems if not isinstance(one, ParallelSample)]:
        raise DataError(
            f"got a {type(strange[0]).__name__} among the samples; expected ParallelSample, one problem in several "
            "languages, as the readers and samples.generate give them"
        )
    return problems


def checkpoints_of(
    checkpoints: Any, device: str = "cpu", labels: Sequence[str] = ()
) -> Iterator[tuple[Checkpoint, bool]]:
    """Yield checkpoints, and whether they were loaded here: those given by name or path, when their turn comes.

    `labels` names a classifier's classes in the model's order, where its configuration does not. Raises `DataError` for
    none, and for two of one name (and one training seed).
    """
    items = [checkpoints] if isinstance(checkpoints, (Checkpoint, str, Path)) else list(checkpoints)
    if not items:
        raise DataError("got no checkpoint to measure; expected at least one")
    names: list[tuple[str, Any]] = []
    given = [_identity(item) for item in items]
    if twice := sorted({str(one[0]) for one in given if given.count(one) > 1}):
        raise _several(twice)
    while items:
        item = items.pop(0)
        checkpoint = item if isinstance(item, Checkpoint) else load(item, device=device)
        loaded = checkpoint is not item
        del item
        name = (checkpoint.name, checkpoint.provenance.get("seed"))
        if name in names:
            raise _several([checkpoint.name])
        names.append(name)
        held = checkpoint.tokenizer  # noqa: F841 - until the next is loaded, which may have it in common
        yield replace(checkpoint, labels=tuple(labels)) if labels else checkpoint, loaded
        del checkpoint


def _identity(item: Any) -> tuple[Any, ...]:
    if isinstance(item, Checkpoint):
        return item.name, item.provenance.get("seed"), "loaded"
    return str(item), None, "named"


def _several(names: Sequence[str]) -> DataError:
    return DataError(
        f"got several checkpoints named {', '.join(names)}; give each a name of its own: load(spec, "
        "name=...), or --checkpoint NAME=SPEC. "
        "One name is for runs of one recipe with different training seeds"
    )


def metrics_of(metrics: Any) -> tuple[Metric, ...]:
    """Return metrics given as one or several of: names, names of `SETS`, declared metrics, "own.py:name".

    A text may hold several, separated by commas. Raises `DataError` for what is none.
    """
    items = [metrics] if isinstance(metrics, (str, Metric)) else list(metrics)
    chosen: dict[str, Metric] = {}
    for item in items:
        for one in item.split(",") if isinstance(item, str) else [item]:
            for metric in _named(one.strip()) if isinstance(one, str) else [_declared(one)]:
                chosen[metric.name] = metric
    return tuple(chosen.values())


def _named(name: str) -> tuple[Metric, ...]:
    if name in SETS:
        return metrics_in(name)
    path, colon, own = name.rpartition(":")
    if colon and path.endswith(".py"):
        return (_from_file(Path(path), own),)
    if name not in METRICS:
        raise DataError(
            f"got the metrics {[name]}; expected {', '.join(SETS)}, some of {', '.join(METRICS)}, or one of your own "
            "as own.py:name"
        )
    return (get_metric(name),)


def _declared(one: Any) -> Metric:
    if not isinstance(one, Metric):
        raise DataError(
            f"got {one!r} for a metric; expected a name, or a function declared with @xlprobe.metric(name, ...)"
        )
    return one


def _from_file(path: Path, name: str) -> Metric:
    """Run a user's file and return the metric that it declares under a name."""
    if not path.is_file():
        raise DataError(f"got the metric {name!r} of {path}, which does not exist; expected a Python file")
    module_name = f"xlprobe_own_{path.stem}"
    spec = importlib.util.spec_from_file_location(module_name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    spec.loader.exec_module(module)
    declared = {key: one for key, one in vars(module).items() if isinstance(one, Metric)}
    by_name = {one.name: one for one in declared.values()}
    if name not in declared and name not in by_name:
        raise DataError(
            f"got the metric {name!r} of {path}; it declares {', '.join(sorted(by_name)) or 'none'}. Declare it with "
            "@xlprobe.metric(name, ...)"
        )
    return declared[name] if name in declared else by_name[name]

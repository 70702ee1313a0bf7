"""From checkpoints and parallel problems to the table of results, in one streaming pass per checkpoint."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

from xlprobe.measuring.checkpoint_run import CheckpointRun
from xlprobe.measuring.design import DEFAULT_DESIGN, Checked, Design, check, with_options
from xlprobe.measuring.inputs import checkpoints_of, metrics_of, problems_of
from xlprobe.measuring.job_array import part_of, staged_run
from xlprobe.measuring.languages import prepare_languages
from xlprobe.measuring.lock import locked
from xlprobe.measuring.manifest import about_checkpoint, fingerprint_of, manifest_of
from xlprobe.measuring.patterns import KeptPattern
from xlprobe.measuring.shards import Shards, sweep
from xlprobe.memory import give_back_memory
from xlprobe.progress import progress
from xlprobe.results import Results
from xlprobe.results.patterns import pattern_file

__all__ = ["measure"]


def measure(
    checkpoints: Any,
    samples: Any,
    *,
    design: Design = DEFAULT_DESIGN,
    metrics: Any = "default",
    out: str | Path | None = None,
    kept: list[KeptPattern] | None = None,
    **options: Any,
) -> Results:
    """Measure checkpoints on parallel problems and return the table.

    `checkpoints` are one or several, loaded or by name (then one is in memory at a time); `samples` parallel problems:
    a sequence, an iterator, a file that `xlprobe.samples.read` knows, or a data set. `metrics` are "default", "figures"
    (what the report draws, too), "all", names of `xlprobe.metrics.METRICS`, or one's own (`xlprobe.metric`). The rest
    is the `design`, whose fields may be given as options: pairs="en-fr, *-en", controls=False, ... (see `Design`).

    The table is written to the directory `out`, where a run that was stopped goes on when it is asked for again, or to
    a temporary one, which goes when the answer does; `out` may be an address (s3://bucket/run). Patterns that
    `keep_patterns` names are kept beside it, and appended to `kept`. Memory does not grow with the number of samples.
    What a checkpoint cannot have is one row with the reason. Raises `DataError` on problems that are too long or lack a
    language, unless the design says "skip"."""
    checked = check(with_options(design, options), metrics_of(metrics), problems_of(samples))
    shard = checked.design.shard
    with staged_run(out, shard, "a run that writes") as place:
        part = isinstance(part_of(shard), tuple)  # others are at work on theirs at the same time
        with locked(None if out is None or part else place.path):
            own = _measured(checkpoints, checked, place.path, out is not None, kept)
        return own if own is not None else Results.load(place.path, held=place)


def _measured(
    checkpoints: Any, checked: Checked, directory: Path, keep: bool, kept: list[KeptPattern] | None
) -> Results | None:
    """Write the table of all checkpoints; processes other than the first return their own rows."""
    if keep and checked.design.shard is None:
        sweep(directory)
    manifest = manifest_of(checked)
    show = checked.design.show_progress
    about, shard = fingerprint_of(checked, manifest), checked.design.shard
    shards = Shards.of_run(directory if keep else None, about, say=show, shard=shard)
    with shards.writer(directory, manifest) as writer, pattern_file(directory) as write:

        def take(patterns: list[KeptPattern]) -> None:
            if shards.is_first:
                write(patterns)
            if kept is not None:
                kept.extend(patterns)

        if shards.is_first:
            prepare_languages(checked)
        for checkpoint, loaded in checkpoints_of(checkpoints, checked.design.device, checked.design.labels):
            about_checkpoint(checkpoint, checked.problems, writer.manifest)
            one = CheckpointRun(checkpoint, checked, checkpoint.encoder(), writer, shards, rests=loaded)
            one.measure(take)
            del checkpoint, one  # the next is loaded when this one is gone, with all that refers to it in circles
            gc.collect()
            give_back_memory()
    with progress("table", 1, show=show and shards.is_first) as advance:
        table = shards.close()
        give_back_memory()  # what draws the table next needs room of its own
        advance(1)
    return table

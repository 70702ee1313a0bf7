"""A report's first half: the problems, and the table of what checkpoints do with them."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING

from xlprobe.errors import DataError, ResultsError
from xlprobe.languages import get_language
from xlprobe.progress import progress
from xlprobe.stores import address_of, said

if TYPE_CHECKING:
    from xlprobe.report.options import ReportOptions
    from xlprobe.results import Results
    from xlprobe.samples.types import ParallelSample

__all__ = ["check_writable", "measured", "spread"]

DEFAULT_PROBLEMS = 64
"""How many generated problems the default report measures, two of each theory."""

FEW_THEORIES = 8
"""With fewer theories intervals are wide or absent, which a report of a limited sample says."""

READABLE = (15, 1000)
"""Sentences and letters of the longest context that the explorer is given: patterns grow with the square."""


def measured(options: ReportOptions) -> Results:
    """Make or read the samples, and measure the checkpoints; the table is written to `options.out`."""
    for code in options.languages:
        get_language(code)
    if len(set(options.languages)) < 2:
        raise DataError(f"got the languages {' '.join(options.languages)!r}; expected at least two, such as 'en fr'")
    if not address_of(options.out):  # which is tried when it is staged
        check_writable(options.out)
    samples = _samples(options)
    theories = len({sample.group for sample in samples})
    if options.limit is not None and theories < FEW_THEORIES:
        from xlprobe.plots.words import counted

        print(
            f"{counted(theories, 'theory', 'theories')}: too few to conclude from; --limit 16 or more gives at least 8",
            file=sys.stderr,
        )
    with progress("libraries", 1) as advance:
        from xlprobe.checkpoints import default_specs
        from xlprobe.checkpoints.named import Reading, as_said
        from xlprobe.measuring.design import Design
        from xlprobe.measuring.inputs import metrics_of
        from xlprobe.measuring.measurement import measure

        advance(1)

    about = {key: said(value) if isinstance(value, Path) else value for key, value in asdict(options).items()}
    del about["shard"]
    design = Design(
        pairs=options.pairs,
        base=options.languages[0],
        answers=[f"{one}-{other}" for one in options.languages for other in options.languages],
        keep_patterns=[] if options.queries_at_once else [sample.key for sample in _to_explore(samples)],
        batch_size=options.batch_size,
        queries_at_once=options.queries_at_once,
        too_long=options.too_long,
        seed=options.seed,
        device=options.device,
        shard=options.shard,
        about=about,
    )
    reading = Reading(**{one.name: getattr(options, one.name) for one in fields(Reading)})
    checkpoints = as_said(options.checkpoints or default_specs(), options.device, reading)
    metrics = [one for one in metrics_of(options.metrics) if options.effects or one.kind != "intervention"]
    return measure(checkpoints, samples, design=design, metrics=metrics, out=options.out)


def _samples(options: ReportOptions) -> list[ParallelSample]:
    if options.samples == "generated":
        from xlprobe.samples import SHORT, generate

        count = options.limit or DEFAULT_PROBLEMS
        theories = -(-count // 2)
        return generate(theories, languages=options.languages, seed=options.seed, split="test", **SHORT)[:count]
    from xlprobe.samples.readers import parse_spec, read

    path, form = parse_spec(options.samples)
    problems = list(read(path, format=form, languages=options.languages))
    return problems if options.limit is None else spread(problems, options.limit)


def spread(problems: Sequence[ParallelSample], limit: int) -> list[ParallelSample]:
    """Return at most `limit` problems, two of a theory where that is enough, of theories taken evenly from all.

    Statistics resample theories, and floor needs a second question: the first `limit` questions of a file are often of
    one theory.
    """
    theories: dict[str, list[ParallelSample]] = {}
    for problem in problems:
        theories.setdefault(problem.group, []).append(problem)
    groups, wanted = list(theories.values()), max(1, -(-limit // 2))
    if len(groups) > wanted:
        groups = [groups[place * len(groups) // wanted] for place in range(wanted)]
    rounds = range(max(map(len, groups), default=0))
    chosen = [members[turn] for turn in rounds for members in groups if turn < len(members)][:limit]
    kept = {id(problem) for problem in chosen}
    return [problem for problem in problems if id(problem) in kept]


def _to_explore(samples: Sequence[ParallelSample]) -> list[ParallelSample]:
    """Return two problems whose attention the explorer shows: the first, and the longest that can be read there.

    They are of two theories where there are several.
    """
    if not samples:
        return []
    first = samples[0]
    others = [one for one in samples if one.group != first.group] or list(samples[1:])

    def length(one: ParallelSample) -> tuple[int, int]:
        texts = [sum(map(len, one.context[code])) for code in one.languages]
        return max(len(one.context[code]) for code in one.languages), max(texts)

    readable = [one for one in others if length(one) <= READABLE and length(one)[1] <= READABLE[1]]
    second = max(readable, key=length) if readable else min(others, key=length, default=None)
    return [first] if second is None else [first, second]


def check_writable(directory: Path) -> None:
    """Find out before the long work whether its results can be kept."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=directory, prefix=".xlprobe.")
        os.close(handle)
        os.unlink(name)
    except OSError as error:
        raise ResultsError(
            f"cannot write to {directory}: {error.strerror}. Choose another directory with --out"
        ) from error

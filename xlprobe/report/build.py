"""From options to a directory of figures: measure, draw, write the page, and say what was left out."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xlprobe.errors import DataError, ResultsError
from xlprobe.files import table_text, write_atomically
from xlprobe.languages import get_language
from xlprobe.measuring.processes import process_count
from xlprobe.plots.words import counted
from xlprobe.progress import progress
from xlprobe.report.apart import apart, can_leave
from xlprobe.report.page import render
from xlprobe.report.side_by_side import can_share, side_by_side
from xlprobe.report.summary import Summary, summary
from xlprobe.results import Results
from xlprobe.results.patterns import read_patterns
from xlprobe.stores import address_of, said, staged

if TYPE_CHECKING:
    from xlprobe.samples.types import ParallelSample

__all__ = ["ReportOptions", "build", "measured", "spread"]

DEFAULT_PROBLEMS = 64
"""How many generated problems the default report measures, two of each theory."""

FEW_THEORIES = 8
"""With fewer theories intervals are wide or absent, which a report of a limited sample says."""

SHARED_ROWS = range(1_000_000, 20_000_001)
"""Rows of a table that two processes draw: of fewer the second is not worth its start, of more not its memory."""

LIKE_THE_OPENING = (
    "stability_by_layer", "stability_by_head", "instability_by_layer", "cross_lingual_mass", "heads_that_change",
    "entropy_and_stability",
)  # fmt: skip
"""Figures of the same rows as the page's opening, which are long: drawn by the process that has read them for it."""

SUMMARY = "summary.csv"
"""The name of the file beside the report that holds the numbers of its first table and sentences."""

READABLE = (15, 1000)
"""Sentences and letters of the longest context that the explorer is given: patterns grow with the square."""

EXPLORER = "explorer.html"
"""The name of the attention explorer's page beside the report."""

PAGE = "report.html"
"""The name of the report's page."""


@dataclass(frozen=True)
class ReportOptions:
    """What `xlprobe report` was asked for; see its help."""

    checkpoints: tuple[str, ...] = ()
    samples: str = "generated"
    languages: tuple[str, ...] = ("en", "fr", "ar", "zh")
    pairs: str | None = None
    limit: int | None = None
    metrics: str = "figures"
    effects: bool = True
    results: Path | None = None
    out: Path = Path("report")
    seed: int = 0
    device: str = "cpu"
    batch_size: int = 32
    queries_at_once: int | None = None
    too_long: str = "error"
    figures: str = "main"
    token_types: str | None = None
    layout: str | None = None
    prefix: str | None = None
    template: str | None = None
    answers: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    part: str | None = None
    shard: str | None = None


def build(options: ReportOptions) -> Path:
    """Make the report and return the page's path."""
    if options.figures not in ("main", "all"):
        raise ResultsError(f"got figures={options.figures!r}; expected 'main' or 'all'")
    with staged(options.out) as place:
        _check_writable(place.path)
        results, alone = _table(options)
        if len(results) == 0:
            raise ResultsError(f"the table {said(options.results or options.out)} has no rows; measure something first")
        start = time.perf_counter()
        drawn, left_out, explorer, opening = _draw(results, replace(options, out=place.path), alone)
        write_atomically(place.path / PAGE, render(results, drawn, place.path, left_out, explorer, opening))
        took = time.perf_counter() - start
    print(f"{len(results):,} rows, {len(drawn)} figures in {said(options.out)}")
    print(f"drawn in {took:.0f} s")
    for name, reason in left_out.items():
        print(f"left out: {name} ({reason})")
    path = options.out / PAGE
    print(f"open {said(path)}")
    return path


def _table(options: ReportOptions) -> tuple[Results, bool]:
    """Measure, or read what is there; return the table, and whether this process holds no models beside it.

    Models are measured in a process of their own where that is possible, so that drawing has their memory.
    """
    if options.results is not None:
        return Results.load(options.results), True
    if options.shard is not None or process_count() > 1 or address_of(options.out) or not can_leave():
        return measured(options), False
    apart(partial(measured, options))
    return Results.load(options.out), True


def _explorer(results: Results, options: ReportOptions) -> str | None:
    """Write the explorer's page and return its name; where no patterns are left, a page beside the table is taken."""
    from xlprobe.plots.explorer import explorer_data
    from xlprobe.plots.explorer.document import document

    kept = read_patterns(results.path) if results.path is not None else []
    path = options.out / EXPLORER
    if kept:
        write_atomically(path, document(explorer_data(kept), report=PAGE))
    elif options.results is not None and results.path is not None:
        beside = results.path.parent / EXPLORER
        if beside.exists() and beside.resolve() != path.resolve():
            write_atomically(path, beside.read_bytes())
    return EXPLORER if path.exists() and (kept or options.results is not None) else None


def measured(options: ReportOptions) -> Results:
    """Make or read the samples, and measure the checkpoints; the table is written to `options.out`."""
    for code in options.languages:
        get_language(code)
    if len(set(options.languages)) < 2:
        raise DataError(f"got the languages {' '.join(options.languages)!r}; expected at least two, such as 'en fr'")
    if not address_of(options.out):  # which is tried when it is staged
        _check_writable(options.out)
    samples = _samples(options)
    theories = len({sample.group for sample in samples})
    if options.limit is not None and theories < FEW_THEORIES:
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


def _check_writable(directory: Path) -> None:
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


def _draw(
    results: Results, options: ReportOptions, alone: bool
) -> tuple[list[str], dict[str, str], str | None, Summary]:
    """Draw the main figures, or all, that the table allows, the explorer and the page's opening.

    Returns the figures' names, why others were left out, the explorer's name if there is one, and the opening.
    """
    from xlprobe import plots
    from xlprobe.plots import reading
    from xlprobe.plots.scope import last_steps

    chosen = {name: one for name, one in plots.FIGURES.items() if options.figures == "all" or not one.appendix}
    last = last_steps(results)
    # A process that holds models would have its copy hold them again.
    share = alone and len(results) in SHARED_ROWS and can_share()
    if share:
        reading.theories(last)  # Which most figures read: once, for both processes.

    def figure(name: str) -> str | None:
        rows = results if chosen[name].over_steps else last
        reason = chosen[name].needs(rows)
        if reason is None:
            plots.save(chosen[name](rows), name, options.out)
        return reason

    def write_opening() -> Summary:
        opening = summary(results)
        write_atomically(options.out / SUMMARY, table_text(opening.numbers))
        return opening

    order = sorted(chosen, key=lambda name: name not in LIKE_THE_OPENING)
    jobs: list[Callable[[], Any]] = [write_opening, *(partial(figure, name) for name in order)]
    head, *reasons, explorer = side_by_side(
        [*jobs, partial(_explorer, results, options)], "figures and pages", share=share
    )
    why = dict(zip(order, reasons, strict=True))
    left_out = {name: reason for name in chosen if (reason := why[name]) is not None}
    if len(left_out) == len(chosen):
        raise ResultsError(
            "the table allows no figure: " + "; ".join(f"{name}: {why}" for name, why in left_out.items())
        )
    return [name for name in chosen if name not in left_out], left_out, explorer, head

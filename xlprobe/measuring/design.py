"""What a measurement is designed to do: one frozen value, and the same value checked against problems."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

from xlprobe.errors import DataError
from xlprobe.languages import expand_pairs
from xlprobe.metrics.base import Metric
from xlprobe.samples.types import ParallelSample

__all__ = ["Checked", "Design", "Interventions", "Pairs", "check", "complete_problems", "with_options"]

Pairs = str | Sequence[str | tuple[str, str]] | None


@dataclass(frozen=True)
class Interventions:
    """What interventions do, and on how many problems, as each takes a forward pass of its own.

    `problems`: the shortest ones, of as many theories as there are (None: all); `pairs`: how many code-switched pairs
    besides their in-language reference (None: all). *Knock-out*: `edges` (names of `xlprobe.effects.EDGES`), `relays`,
    and `windows` of layers around each layer, None for all layers at once (by default all at once, and windows of
    three); `control`: as many random edges too (by default where all layers are cut at once). *Ablation*: `kind` "zero"
    or "mean", and `heads` (None: each). *Patching*: `by` "layer" or "head", `at` roles of tokens, and `least_gap`
    between clean and corrupt margins, in logits, for a recovery to be defined."""

    problems: int | None = 16
    pairs: int | None = 2
    edges: Sequence[str] = ("question->context", "cls->context", "cls->question")
    relays: Sequence[str] = ("open",)
    windows: Sequence[int | None] | None = None
    control: bool | None = None
    kind: Literal["zero", "mean"] = "zero"
    heads: Sequence[tuple[int, int]] | None = None
    by: Literal["layer", "head"] = "layer"
    at: Sequence[str] = ("cls", "context")
    least_gap: float = 1.0


DEFAULT_INTERVENTIONS = Interventions()


@dataclass(frozen=True)
class Design:
    """What is run, and what each is compared with.

    `pairs`: context-question pairs, "en-fr, *-en" or [("en", "fr")]; by default `base`-* and *-`base`. The in-language
    versions that they are compared with are added. `base`: the reference language (by default English, else the first).
    `controls`: floor and chance, too. `forced`: cross-query checkpoints also with both queries at work on in-language
    versions. `answers`: further pairs, of which only the answers are measured ("*-*": all). `seed`: of random edges and
    of splits. `keep_patterns`: keys of problems whose patterns are kept. `max_texts`: how many texts representations
    are measured on. `too_long`, `lacking`: whether problems of too many tokens, or without one of the languages, are an
    "error" or left out, counted and listed ("skip"). `interventions`: see `Interventions`. `labels`: names of a
    classifier's classes, in the model's order, where its configuration does not name them; a problem's label is matched
    by name. `batch_size`: versions to a batch, fewer where texts are longer than most; `queries_at_once`: where texts
    are so long that a layer's pattern does not fit in memory, how many rows of it are there at a time (metrics of whole
    patterns are then left out, with the reason); `device`: where checkpoints given by name are loaded. `shard`: "3/64"
    does the third of 64 parts only and leaves it beside the table; "merge" puts parts together. `about` goes into the
    manifest."""

    pairs: Pairs = None
    base: str | None = None
    controls: bool = True
    forced: bool = True
    answers: Pairs = None
    seed: int = 0
    keep_patterns: Sequence[str] = ()
    max_texts: int = 500
    too_long: str = "error"
    lacking: str = "error"
    interventions: Interventions = DEFAULT_INTERVENTIONS
    labels: Sequence[str] = ()
    batch_size: int = 32
    queries_at_once: int | None = None
    device: str = "cpu"
    show_progress: bool = True
    shard: str | None = None
    about: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("too_long", "lacking"):
            if getattr(self, name) not in ("error", "skip"):
                raise DataError(f"got {name}={getattr(self, name)!r}; expected 'error' or 'skip'")
        for name in ("batch_size", "max_texts", "queries_at_once"):
            if (getattr(self, name) or 1) < 1 or getattr(self, name) == 0:
                raise DataError(f"got {name}={getattr(self, name)}; expected at least 1")
        if self.queries_at_once is not None and self.keep_patterns:
            raise DataError("got keep_patterns with queries_at_once; expected one of them, as no pattern is whole then")


DEFAULT_DESIGN = Design()


def with_options(design: Any, options: Mapping[str, Any]) -> Any:
    """Return a design (or interventions) with some fields changed; raises `DataError` for what is no field."""
    known = {one.name for one in fields(design)}
    if unknown := sorted(set(options) - known):
        raise DataError(f"got the options {unknown}; expected some of {', '.join(sorted(known))}")
    return replace(design, **options)


@dataclass(frozen=True)
class Checked:
    """A design checked against problems: pairs expanded, base chosen, metrics found, incomplete problems left out."""

    design: Design
    metrics: tuple[Metric, ...]
    problems: tuple[ParallelSample, ...]
    pairs: tuple[tuple[str, str], ...]
    answers: tuple[tuple[str, str], ...]
    base: str
    incomplete: tuple[str, ...] = ()

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages that take part, the base first."""
        pairs = (*self.pairs, *self.answers)
        return tuple(dict.fromkeys([self.base, *(code for pair in pairs for code in pair)]))

    @property
    def names(self) -> frozenset[str]:
        """The metrics' names."""
        return frozenset(one.name for one in self.metrics)

    @property
    def dataset(self) -> str:
        """The names of the data sets that the problems are from."""
        return ", ".join(sorted({problem.dataset for problem in self.problems}))

    def of(self, kind: str, *takes: str) -> tuple[Metric, ...]:
        """Return the metrics of a kind, given some of what it may take."""
        return tuple(one for one in self.metrics if one.kind == kind and (not takes or one.takes in takes))

    def narrowed(self, narrow: Callable[[Metric], Metric]) -> Checked:
        """Return the same with each metric made narrower, such as without some blocks."""
        return replace(self, metrics=tuple(map(narrow, self.metrics)))

    def without(self, names: Sequence[str]) -> Checked:
        """Return the same without some metrics."""
        return replace(self, metrics=tuple(one for one in self.metrics if one.name not in names))


def check(design: Design, metrics: Sequence[Metric], problems: Sequence[ParallelSample]) -> Checked:
    """Check a design against problems; raises `DataError` for what cannot be run."""
    if not problems:
        raise DataError("got no samples to measure; expected at least one")
    languages = list(dict.fromkeys(code for problem in problems for code in problem.languages))
    base = design.base or ("en" if "en" in languages else languages[0])
    if base not in languages:
        raise DataError(
            f"got base={base!r}; the samples exist in {' '.join(languages)}. Choose one of these, or make the samples "
            f"in {base!r} too"
        )
    pairs = expanded([f"{base}-*", f"*-{base}"] if design.pairs is None else design.pairs, languages)
    if not pairs:
        raise DataError(
            f"the samples exist in {' '.join(languages)} only, which makes no code-switched pair; "
            "expected at least two languages"
        )
    answers = [pair for pair in expanded(design.answers, languages) if pair not in pairs] if design.answers else []
    checked = Checked(design, tuple(metrics), (), tuple(pairs), tuple(answers), base)
    complete, incomplete = complete_problems(problems, checked.languages, design.lacking)
    if missing := sorted(set(design.keep_patterns) - {problem.key for problem in complete}):
        raise DataError(f"asked to keep the patterns of {missing[:3]}, which are not among the {len(complete)} samples")
    return replace(checked, problems=tuple(complete), incomplete=tuple(incomplete))


def expanded(pairs: Any, languages: Sequence[str]) -> list[tuple[str, str]]:
    """Expand pairs given as text, or as a sequence of texts and tuples, into (context language, question language)."""
    if isinstance(pairs, str):
        return expand_pairs(pairs, tuple(languages))
    items = [pair if isinstance(pair, str) else "-".join(map(str, pair)) for pair in pairs]
    return expand_pairs(items, tuple(languages))


def complete_problems(
    problems: Sequence[ParallelSample], languages: Sequence[str], lacking: str = "error"
) -> tuple[list[ParallelSample], list[str]]:
    """Return the problems that exist in all languages, and the keys of the others, or refuse these."""
    incomplete = [problem for problem in problems if not set(languages) <= set(problem.languages)]
    if not incomplete:
        return list(problems), []
    absent = sorted({code for problem in incomplete for code in languages if code not in problem.languages})
    keys = [problem.key for problem in incomplete]
    if lacking == "error" or len(keys) == len(problems):
        raise DataError(
            f"{len(keys)} of {len(problems)} samples lack {' or '.join(absent)}: {', '.join(keys[:5])}"
            f"{', ...' if len(keys) > 5 else ''}. Name pairs without these languages, or leave the samples out with "
            "lacking='skip'"
        )
    left_out = set(keys)
    return [problem for problem in problems if problem.key not in left_out], keys

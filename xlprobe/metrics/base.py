"""What a metric is: one declaration that runs, that documents, that the command line lists and that figures label.

Imports nothing heavy: tables and figures look labels and ranges up here.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from importlib import import_module
from typing import Any, Literal

from xlprobe.errors import DataError

__all__ = ["METRICS", "SETS", "Metric", "by_computation", "declare", "documented", "get_metric", "metric", "metrics_in"]

Kind = Literal["attention", "comparison", "logits", "vectors", "intervention", "text"]
Direction = Literal["up", "down", "none"]

SETS = ("default", "figures", "all")
"""Named sets of metrics, each within the next: what `measure` computes, what figures show as well, everything."""


@dataclass(frozen=True, eq=False)
class Metric:
    """One metric: what it computes, of what, and what its values mean.

    `kind` says of what: one version's attention, two versions compared, logits, vectors of parallel texts, an
    intervention, or texts; `takes` what exactly `compute` is given, and `needs` what must be captured
    ("pattern", "queries", "values", "hidden", "logits"). `range` is the least and the largest value; `direction` ("up"
    or "down") where attention is more stable, representations more neutral, or an effect larger; `zero` and `undefined`
    what 0 and NaN mean. `per`: a value for every "head", every "sample", or every "set" of samples. `blocks` and
    `poolings` of the attention it is computed for; `controls`: whether comparisons with floor, chance and forced
    routing are made too. `symmetric`: whether its two sides may change places (None: it has one); `invariant_to`: what
    changes nothing. `formula` is the documented function, `known` are answers of it: (arguments, value); `reference`
    its source. `within` is the smallest of `SETS` that holds it."""

    name: str
    kind: Kind
    label: str
    compute: Callable[..., Any] | str
    takes: str = ""
    """Of attention: *pattern*, (pattern, batch) with a pattern of (batch, head, query, key); *pooled*, a
    `PooledPattern`; *rows*, a `Profile` of a block; *units*, (`UnitPattern`, block); *queries*, the same of all
    attention, of Q_cross's, and block; *sums*, known only when all problems were seen; *kept*, patterns that were kept.
    Of comparisons: *rows*, two `Profile` of a block; *means*, known at the end. Of others: *logits*; *pair*,
    *languages*: `LanguageVectors`; *run*, a checkpoint's run on one batch; *texts*: tokenizer and problems."""
    range: tuple[float, float] = (-math.inf, math.inf)
    direction: Direction = "none"
    zero: str = ""
    undefined: str = ""
    per: Literal["head", "sample", "set"] = "head"
    needs: tuple[str, ...] = ()
    blocks: tuple[str, ...] = ()
    poolings: tuple[str, ...] = ()
    controls: bool = True
    symmetric: bool | None = None
    invariant_to: tuple[str, ...] = ()
    formula: Callable[..., Any] | str = ""
    known: tuple[tuple[tuple[Any, ...], Any], ...] = ()
    reference: str = ""
    within: str = "all"
    key: str = ""
    """The name of its value among several that one computation returns; by default its own."""

    @cached_property
    def function(self) -> Callable[..., Any]:
        """What computes it."""
        return resolved(self.compute)

    @cached_property
    def documented(self) -> Callable[..., Any]:
        """The function whose docstring has the formula."""
        return resolved(self.formula or self.compute)

    @property
    def low(self) -> float:
        """The least value."""
        return self.range[0]

    @property
    def high(self) -> float:
        """The largest value."""
        return self.range[1]

    @property
    def span(self) -> str:
        """The range as text, such as "[0, 1]"."""
        return f"[{self.low:g}, {self.high:g}]"

    @property
    def weighted(self) -> bool:
        """Whether it is computed on attention weighted by value norms."""
        return "values" in self.needs

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """Compute the formula."""
        return self.documented(*arguments, **options)

    def __repr__(self) -> str:
        return f"Metric({self.name!r}, {self.kind}, {self.label!r})"


def documented(metrics: Iterable[Metric]) -> str:
    """Return the table of the documentation, in Markdown: what is declared of each metric."""
    lines = ["| name | in figures | of | range | better | 0 means | NaN means | source |", "|---" * 8 + "|"]
    for one in metrics:
        better = "" if one.direction == "none" else one.direction
        cells = (f"`{one.name}`", one.label, one.kind, one.span, better, one.zero, one.undefined, one.reference)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def resolved(computation: Callable[..., Any] | str) -> Callable[..., Any]:
    """Return a function given as itself or as "module:name" within xlprobe."""
    if not isinstance(computation, str):
        return computation
    module, name = computation.split(":")
    return getattr(import_module(f"xlprobe.{module}"), name)  # type: ignore[no-any-return]


METRICS: dict[str, Metric] = {}
"""All metrics by name: those that xlprobe comes with, and those declared since."""

_BUILT_IN: set[str] = set()


def declare(one: Metric, *, built_in: bool = False) -> Metric:
    """Make a metric known by its name; one's own may be declared again, a built-in one may not be replaced."""
    if not built_in and one.name in _BUILT_IN:
        raise DataError(f"got a metric named {one.name!r}, which xlprobe has itself; expected a name of its own")
    if built_in:
        _BUILT_IN.add(one.name)
    METRICS[one.name] = one
    return one


def get_metric(name: str) -> Metric:
    """Return a metric by name, or raise `DataError` naming those there are."""
    try:
        return METRICS[name]
    except KeyError:
        raise DataError(f"got the metric {name!r}; expected one of {', '.join(METRICS)}") from None


def metrics_in(name: str) -> tuple[Metric, ...]:
    """Return the metrics of one of `SETS`."""
    return tuple(one for one in METRICS.values() if SETS.index(one.within) <= SETS.index(name))


_OWN: dict[str, dict[str, Any]] = {
    "attention": {"takes": "pattern", "needs": ("pattern",)},
    "comparison": {
        "takes": "rows",
        "needs": ("pattern",),
        "blocks": ("context->context", "cls->context", "question->context"),
        "poolings": ("token", "mass", "density"),
    },
    "logits": {"takes": "logits", "needs": ("logits",), "per": "sample"},
    "vectors": {"takes": "pair", "needs": ("hidden",), "per": "set"},
    "intervention": {"takes": "run", "needs": ("logits",), "per": "sample"},
}
_SET_BY_KIND = {"name", "kind", "compute", "formula", "takes", "within", "key", "per", "needs"}


def metric(name: str, kind: Kind = "attention", **declared: Any) -> Callable[[Callable[..., Any]], Metric]:
    """Declare a metric of one's own: a decorator for the function that computes it.

    The function of each kind, and what it returns:

    *attention*: (pattern, batch) -> (batch, head); pattern is (batch, head, query, key) of one layer, rows sum to 1.
    *comparison*: (p, q) -> (pair, head, row); rows of attention of two versions, (pair, head, row, cell), over the same
    cells; each sums to 1, or to 0 where it does not exist. Rows are averaged by their attention mass.
    *logits*: (logits, labels) -> (batch,); labels are -100 where unknown.
    *vectors*: (x, y) -> a number, or one for each item; vectors of parallel texts in two languages, (item, width),
    after a layer. With one argument: {language: (item, width)} -> a number.
    *intervention*: (model, batch) -> a context manager under which the model is run on the batch again; the value is
    what the gold margin changes by.

    `declared` are fields of `Metric`: label, range, direction, zero, undefined, reference, known, symmetric,
    invariant_to; for comparisons also blocks, poolings and controls. The metric can be named wherever a metric is: in
    `measure(metrics=[...])`, and in figures. A value that is not defined is NaN.
    """
    if kind not in _OWN:
        raise DataError(f"got kind={kind!r}; expected one of {', '.join(_OWN)}")
    allowed = {field.name for field in fields(Metric)} - _SET_BY_KIND
    if unknown := sorted(set(declared) - allowed):
        raise DataError(f"got {unknown} for the metric {name!r}; expected some of {', '.join(sorted(allowed))}")
    low, high = declared.get("range", (-math.inf, math.inf))
    if not low < high:
        raise DataError(f"got range={low, high} for the metric {name!r}; expected the least and the largest value")

    def made(function: Callable[..., Any]) -> Metric:
        own = {**_OWN[kind], **declared}
        own.setdefault("label", name.replace("_", " "))
        if kind == "vectors" and len(inspect.signature(function).parameters) == 1:
            own["takes"] = "languages"
        compute = _ADAPTED.get((kind, own["takes"]), lambda own_function: own_function)(function)
        return declare(Metric(name=name, kind=kind, compute=compute, formula=function, **own))

    return made


_ADAPTED: dict[tuple[str, str], Callable[[Callable[..., Any]], Callable[..., Any]]] = {
    ("comparison", "rows"): lambda function: lambda p, q: function(p.values, q.values),
    ("vectors", "pair"): lambda function: lambda x, y, vectors: function(x, y),
    ("vectors", "languages"): lambda function: lambda vectors: function(vectors.by_language),
    ("intervention", "run"): lambda function: lambda run: [({}, run.effect(function(run.model, run.batch)))],
}
"""How one's own function is called the way that the built-in computations of its kind are."""


def by_computation(metrics: Sequence[Metric]) -> Iterator[tuple[Metric, tuple[Metric, ...]]]:
    """Yield each computation once, with all the metrics whose values it returns."""
    grouped: dict[Any, list[Metric]] = {}
    for one in metrics:
        grouped.setdefault(one.compute, []).append(one)
    for several in grouped.values():
        yield several[0], tuple(several)


def norm_weighted_version(one: Metric, label: str, **changes: Any) -> Metric:
    """Return the metric on attention weighted by value norms (Kobayashi et al. 2020)."""
    return replace(
        one, name=f"norm_{one.name}", label=label, key=one.key or one.name, needs=(*one.needs, "values"), within="all",
        **changes,
    )  # fmt: skip

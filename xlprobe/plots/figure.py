"""What a figure is: what it needs, its numbers, its panels, its words, and its size in print."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from xlprobe.errors import ResultsError
from xlprobe.plots import reading, scope
from xlprobe.plots.style import WIDTHS, inches, style
from xlprobe.results import Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawn

__all__ = ["Figure", "Panel", "View"]


@dataclass(frozen=True)
class Panel:
    """One pair of axes: whose it is, which part of the figure it shows, and what stands at its edges."""

    checkpoint: str = ""
    part: str = ""
    title: str = ""
    x: str = ""
    y: str = ""

    @property
    def key(self) -> str:
        """The panel's name, which its axes have as label."""
        return "|".join(filter(None, (self.checkpoint, self.part)))


@dataclass(frozen=True)
class View:
    """What is drawn: the table, the numbers of the figure, and what was asked for."""

    results: Results
    table: pd.DataFrame
    checkpoints: list[str]
    options: Mapping[str, Any] = field(default_factory=dict)
    width: float = WIDTHS["text"]
    """Of the figure, in inches."""

    @functools.cached_property
    def base(self) -> str:
        """The language that the others are compared with."""
        return scope.base_language(self.results)

    def of(self, panel: Panel, **filters: Any) -> pd.DataFrame:
        """Return the numbers of a panel's checkpoint."""
        rows = self.table if not panel.checkpoint else self.table[self.table["checkpoint"] == panel.checkpoint]
        return reading.rows_of(rows, **filters)


def by_quantity(view: View, *quantities: str) -> list[list[Panel]]:
    """Return a row of panels over layers, one per checkpoint, for each of these quantities that the table has."""
    return [
        [Panel(name, quantity, "" if row else name, "layer", quantity) for name in view.checkpoints]
        for row, quantity in enumerate(quantities)
        if (view.table["quantity"] == quantity).any()
    ]


class Figure:
    """One figure: a function of `Results` that knows what it needs and what it shows.

    Called with results it returns a matplotlib Figure, whose `caption` is its title and note, and whose `numbers` are
    what it shows. `checkpoint` draws one checkpoint alone. `width` is "column" (3.3 inches), "text" (6.9), or a
    number of inches; height follows and never exceeds a page. `caption=False` leaves title and note off. With `ax`,
    the first panel is drawn into axes of your own, in your style; `legend=True` adds its legend there, and
    `legend=False` leaves it off elsewhere.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    """A heading, of few words."""
    question: ClassVar[str]
    """What the figure answers; printed above it."""
    reading: ClassVar[str]
    """How it is read, for a page or a gallery."""
    choices: ClassVar[Mapping[str, Any]] = {}
    """The options that it takes besides those of every figure, with their defaults."""
    metrics: ClassVar[tuple[str, ...]] = ()
    """Metrics that it shows; without a number of any of them it cannot be drawn."""
    what: ClassVar[str] = ""
    """What these are called in the reason."""
    appendix: ClassVar[bool] = False
    """Whether it belongs to the further figures, not to the main ones."""
    over_steps: ClassVar[bool] = False
    """Whether it shows all steps of training rather than the last."""
    runs: ClassVar[str] = "thin lines"
    """How several training runs of a checkpoint are drawn."""
    panel_height: ClassVar[float] = 1.35
    least_width: ClassVar[float] = 1.5
    """How high a panel is, and how narrow it may get before panels go below each other, in inches."""
    share: ClassVar[tuple[str, str]] = ("all", "part")
    """Which panels share the x and the y axis: "all", those of one "part", or none ("")."""

    def __init__(self) -> None:
        self.__name__ = self.name
        self.__doc__ = type(self).__doc__
        common = inspect.signature(type(self).__call__).parameters
        plain = [one for name, one in common.items() if name not in ("self", "options")]
        own = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=value)
            for name, value in self.choices.items()
        ]
        self.__signature__ = inspect.Signature([*plain, *own])
        # A figure and its csv need the same numbers.
        self._numbers = functools.lru_cache(maxsize=2)(self._checked_numbers)

    # What a figure says of itself; most override `numbers`, `panels`, `draw` and `note`.

    def missing(self, results: Results, options: Mapping[str, Any]) -> str | None:
        """Return why the figure cannot be drawn of a table, or None."""
        return scope.needs_rows(results, self.what or self.metrics[0], metric=list(self.metrics))

    def numbers(self, results: Results, options: Mapping[str, Any]) -> pd.DataFrame:
        """Return what the figure shows, one row per mark."""
        raise NotImplementedError

    def panels(self, view: View) -> list[list[Panel]]:
        """Return the rows of panels; by default one per checkpoint, side by side."""
        return [[Panel(name, title=name) for name in view.checkpoints]]

    def height_of(self, view: View, panel_width: float) -> float:
        """Return how high a row of panels of some width is, in inches."""
        return self.panel_height

    def draw(self, axes: Axes, view: View, panel: Panel) -> None:
        """Draw one panel."""
        raise NotImplementedError

    def finish(self, figure: Drawn, grid: Mapping[str, Axes], view: View) -> None:
        """Add what belongs to several panels at once, such as a colour bar."""

    def handles(self, view: View) -> list[Any] | None:
        """Return the legend's handles; None: those of labelled lines and markers of the panels."""
        return None

    def note(self, view: View) -> str:
        """Return who, how many, and how to read it, for below the figure."""
        return self.sample_note(view)

    # What every figure does.

    def needs(self, results: Results, **options: Any) -> str | None:
        """Return why a table does not allow this figure, or None."""
        return self.missing(results, self._options(options))

    def table(self, results: Results, **options: Any) -> pd.DataFrame:
        """Return the numbers that the figure shows, which are its csv. Raises `ResultsError` where it has none."""
        return self._numbers(results, tuple(sorted(self._options(options).items())))

    def _checked_numbers(self, results: Results, options: tuple[tuple[str, Any], ...]) -> pd.DataFrame:
        if reason := self.missing(results, dict(options)):
            raise ResultsError(f"cannot draw the figure {self.name}: {reason}. Measure what it needs, or draw another")
        return self.numbers(results, dict(options))

    def __call__(
        self,
        results: Results,
        *,
        checkpoint: str | None = None,
        width: str | float = "text",
        caption: bool = True,
        legend: bool | None = None,
        ax: Axes | None = None,
        **options: Any,
    ) -> Drawn:
        """Draw the figure; see the class."""
        from xlprobe.plots import layout

        wide = inches(width)
        view = self._view(results, checkpoint, self._options(options), wide)
        if ax is not None:
            return layout.one_panel(self, view, ax, bool(legend))
        with style():
            figure = layout.whole_figure(self, view, caption, legend is not False)
        return figure

    def _view(self, results: Results, checkpoint: str | None, options: dict[str, Any], width: float) -> View:
        table = self.table(results, **options)
        known = scope.in_order(results, table["checkpoint"].dropna().unique()) if "checkpoint" in table else []
        if checkpoint is not None and checkpoint not in known:
            raise ResultsError(f"got checkpoint={checkpoint!r}; the figure {self.name} has {', '.join(known)}")
        return View(results, table, [checkpoint] if checkpoint else known, options, width)

    def _options(self, options: Mapping[str, Any]) -> dict[str, Any]:
        unknown = [name for name in options if name not in self.choices]
        if unknown:
            known = ", ".join(("checkpoint", "width", "caption", "legend", "ax", *self.choices))
            raise ResultsError(f"got {', '.join(unknown)} for the figure {self.name}; expected some of {known}")
        return {**self.choices, **options}

    def sample_note(self, view: View, bands: str = "Bands") -> str:
        """Return checkpoints, numbers of problems and theories, intervals and undefined values, in sentences."""
        return scope.describe(view.results, view.table, view.checkpoints, self.metrics, bands, self.runs)

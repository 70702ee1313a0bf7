"""One problem in all of its languages, side by side on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from xlprobe.languages import get_language
from xlprobe.samples.types import ParallelSample

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, Group, RenderResult
    from rich.measure import Measurement
    from rich.table import Table
    from rich.text import Text

__all__ = ["preview", "show"]

_NARROWEST = 26
_ISOLATE, _POP = "\u2067", "\u2069"
_ANSWERS = {0: "does not follow", 1: "follows"}


def show(sample: ParallelSample, languages: Sequence[str] | None = None, console: Console | None = None) -> None:
    """Print a problem; see `preview`."""
    from rich.console import Console

    out = console or Console()
    out.print(preview(sample, languages, out.width))


def preview(sample: ParallelSample, languages: Sequence[str] | None = None, width: int = 120) -> Group:
    """Return a problem as tables with one row per unit and one column per language, for `width` characters.

    As many languages stand side by side as the width allows; the others follow below, with the same row numbers.
    Units that the proof uses, where the sample's `meta["proof"]` tells it, carry the depth of what they give.
    Right-to-left languages are aligned to the right, each line within Unicode's isolates: the terminal orders its
    letters, and neither the full stop nor the column beside it changes places (UAX 9, section 2.4).
    """
    from rich.console import Group
    from rich.text import Text

    codes = tuple(languages or sample.languages)
    used = _used(sample)
    tables = [_table(sample, chunk, used) for chunk in _chunks(codes, max(1, (width - 8) // (_NARROWEST + 3)))]
    return Group(Text(_heading(sample)), *tables, *[Text(line) for line in _proof(sample)])


def _heading(sample: ParallelSample) -> str:
    details = [sample.key, f"from {sample.dataset}"]
    if sample.label is not None:
        name = _ANSWERS.get(sample.label) if sample.question and sample.depth is not None else None
        details.append(f"label {sample.label}" + (f" ({name})" if name else ""))
    if sample.depth is not None:
        details.append(f"proof depth {sample.depth}")
    return ", ".join(details)


def _chunks(codes: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    rows = -(-len(codes) // size)
    even = -(-len(codes) // rows)
    for start in range(0, len(codes), even):
        yield codes[start : start + even]


def _used(sample: ParallelSample) -> dict[int, int]:
    """Return, for each unit that the proof uses, the depth of what it gives."""
    return {step["statement"]: step["depth"] for step in sample.meta.get("proof", ())}


def _table(sample: ParallelSample, codes: Sequence[str], used: dict[int, int]) -> Table:
    from rich.table import Table

    table = Table(show_lines=False)
    table.add_column("", justify="right", no_wrap=True)
    for code in codes:
        language = get_language(code)
        table.add_column(
            f"{language.name} ({code})", justify="right" if language.direction == "rtl" else "left", ratio=1
        )
    count = len(sample.context[codes[0]])
    for unit in range(count):
        mark = f"{unit + 1} [{used[unit]}]" if unit in used else str(unit + 1)
        # Text of a sample is shown as it is, never read as markup.
        cells = [_cell(sample.context[code][unit], code) for code in codes]
        table.add_row(_cell(mark), *cells, end_section=unit == count - 1)
    if sample.question:
        table.add_row("?", *[_cell(sample.question[code], code) for code in codes])
    return table


def _cell(text: str, code: str = "en") -> Text | _RightToLeft:
    from rich.text import Text

    # What has no blanks to be broken at is folded, never cut off.
    return _RightToLeft(Text(text)) if get_language(code).direction == "rtl" else Text(text, overflow="fold")


@dataclass(frozen=True)
class _RightToLeft:
    """Text whose lines, once they are broken to the column's width, are each isolated from what stands beside them."""

    text: Text

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.text import Text

        for line in self.text.wrap(console, options.max_width):
            yield Text(f"{_ISOLATE}{line.plain.strip()}{_POP}", justify="right", no_wrap=True)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        from rich.measure import Measurement

        return Measurement.get(console, options, self.text)


def _proof(sample: ParallelSample) -> list[str]:
    lines = []
    for step in sample.meta.get("proof", ()):
        source = ", ".join(
            [f"sentence {step['statement'] + 1}", *(["from: " + " ".join(step["from"])] if step["from"] else [])]
        )
        lines.append(f"depth {step['depth']}: {step['gives']} ({source})")
    if sample.meta.get("by_failure"):
        lines.append("Nothing proves or refutes the statement; the closed world decides.")
    return lines

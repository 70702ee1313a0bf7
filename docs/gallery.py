"""The gallery page: every figure with the line that draws it, and the palette; made when the docs are built.

Pictures come from the report in figures/; a figure that is not there is drawn from the made-up table of its tests.
"""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SHIPPED = ROOT / "figures"
MADE_UP = ROOT / "tests" / "support" / "made_up.py"

HEAD = """# Gallery

Every figure is one line, on a table that `measure` made or that was loaded: `results = xlprobe.Results.load("report")`,
`from xlprobe import plots`. `python -m xlprobe.report` draws the main ones, `--figures all` those of the appendix too.
Sizes, captions, axes of your own: [figures](../figures.md).
"""
PALETTE = """
## Colours

One family of looks for each kind of thing; at the right of each, as grey prints it, and on a dark page.

![The looks of languages, checkpoints, sets of edges and controls, in colour, in grey and in the dark](palette.png)
"""


@dataclass(frozen=True)
class Entry:
    """One figure of the gallery: its spec, and the picture of the shipped report, if it has one."""

    figure: Any
    shipped: Path | None

    @property
    def line(self) -> str:
        """The code that draws it."""
        return f"plots.{self.figure.name}(results)"

    def text(self) -> str:
        """The gallery's words on it."""
        one = self.figure
        kind = "appendix" if one.appendix else "main"
        origin = "the shipped report" if self.shipped else "made-up numbers: the shipped report does not draw it"
        options = ", ".join(f"`{name}={value!r}`" for name, value in one.choices.items())
        own = f" Options: {options}." if options else ""
        return (
            f"\n## {one.title}\n\n*{one.question}* ({kind}; picture: {origin})\n\n```python\n{self.line}\n```\n\n"
            f"![{one.title}]({one.name}.png)\n\n{one.reading}{own}\n"
        )


def entries() -> list[Entry]:
    """Every figure, in the order of the page."""
    from xlprobe.plots import FIGURES

    places = {path.stem: path for path in SHIPPED.rglob("*.png")}
    return [Entry(figure, places.get(name)) for name, figure in FIGURES.items()]


def write(target: Path, cache: Path) -> None:
    """Write the page and its pictures; what had to be drawn is kept in `cache` until the code that draws changes."""
    target.mkdir(parents=True, exist_ok=True)
    found = entries()
    (target / "index.md").write_text(HEAD + PALETTE + "".join(one.text() for one in found), encoding="utf-8")
    for one in found:
        if one.shipped:
            shutil.copy(one.shipped, target / f"{one.figure.name}.png")
    drawn = cache / _digest()
    drawn.mkdir(parents=True, exist_ok=True)
    absent = [one.figure for one in found if not one.shipped]
    for figure, results in _made_up([one for one in absent if not (drawn / f"{one.name}.png").exists()]):
        figure(results).savefig(drawn / f"{figure.name}.png", dpi=150)
    if not (drawn / "palette.png").exists():
        palette_picture().savefig(drawn / "palette.png", dpi=150)
    for name in [*(figure.name for figure in absent), "palette"]:
        shutil.copy(drawn / f"{name}.png", target)


def _digest() -> str:
    known = hashlib.sha256()
    for path in [Path(__file__), MADE_UP, *sorted((ROOT / "xlprobe" / "plots").glob("*.py"))]:
        known.update(path.read_bytes())
    return known.hexdigest()[:12]


def _made_up(figures: list[Any]) -> Iterator[tuple[Any, Any]]:
    """Yield figures with the table of their tests."""
    if not figures:
        return
    spec = importlib.util.spec_from_file_location("made_up_table", MADE_UP)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    from xlprobe.results import Results

    results = module.make_results(module.make_frame())
    steps = Results(module.make_steps(), module.MANIFEST)
    for figure in figures:
        yield figure, steps if figure.over_steps else results


def palette_picture() -> Any:
    """Draw every look: in colour, in grey, and in the dark."""
    from matplotlib.colors import to_rgb
    from matplotlib.figure import Figure

    from xlprobe.plots import palette

    def grey(colour: str) -> str:
        red, green, blue = to_rgb(colour)
        return str(0.299 * red + 0.587 * green + 0.114 * blue)

    def dark(colour: str) -> str:
        return palette.DARK.get(colour, colour)

    columns: list[list[tuple[str, dict[str, Any]]]] = [
        [
            (code, {"color": colour, "marker": palette.language_marker(code), "linestyle": "-"})
            for code, colour in palette.LANGUAGE_COLOURS.items()
        ],
        [
            *((f"checkpoint {number}", {"color": colour, "marker": marker, "linestyle": dash})
              for number, (colour, marker, dash) in enumerate(palette.CHECKPOINT_LOOKS, start=1)),
            *((f"edges {number}", {"color": colour, "linewidth": 6})
              for number, colour in enumerate(palette.EDGE_COLOURS, start=1)),
            ("floor", {"color": palette.FLOOR, "linewidth": 3}),
            ("chance", {"color": palette.CHANCE, "linewidth": 3, "linestyle": (0, (1, 0.6))}),
        ],
    ]  # fmt: skip
    figure = Figure(figsize=(6.9, 4.2), layout="constrained")
    for place, looks in enumerate(columns):
        for shift, (title, turn, paper) in enumerate(
            (("colour", str, palette.PAPER), ("grey", grey, palette.PAPER), ("dark", dark, palette.DARK[palette.PAPER]))
        ):
            axes = figure.add_subplot(1, 6, 3 * place + shift + 1)
            axes.set(facecolor=paper, xlim=(-0.3, 1.3), ylim=(len(looks) - 0.5, -0.5), xticks=[])
            axes.set_title(title, fontsize=8)
            axes.set_yticks(range(len(looks)), [name for name, _ in looks] if not shift else [], fontsize=7)
            axes.tick_params(length=0)
            for row, (_, look) in enumerate(looks):
                axes.plot([0, 0.5, 1], [row] * 3, markersize=5, **{**look, "color": turn(look["color"])})
    return figure

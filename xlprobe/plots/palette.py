"""Colours, markers and dashes: one family for languages, one for checkpoints, one for sets of edges; the dark set.

Languages have vivid colours and filled markers, checkpoints muted colours with dashes, sets of edges shades of teal, so
that no colour means two things. In grey, markers, dashes and lightness tell them apart.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from typing import Any

__all__ = [
    "CHECKPOINT_LOOKS", "DARK", "EDGE_COLOURS", "LANGUAGE_COLOURS", "adaptable", "checkpoint_look", "dark_css",
    "edge_colour", "language_colour", "language_marker", "marker_scale",
]  # fmt: skip

LANGUAGE_COLOURS: dict[str, str] = {
    "en": "#222222",
    "fr": "#0072B2",
    "de": "#4BA3DB",
    "es": "#009E73",
    "ru": "#CC79A7",
    "ar": "#D55E00",
    "fa": "#D99A00",
    "zh": "#882255",
    "bg": "#AA4499",
    "el": "#44AA99",
    "hi": "#999933",
    "sw": "#117733",
    "th": "#CC6677",
    "tr": "#332288",
    "ur": "#A65628",
    "vi": "#6699CC",
}
"""One colour per language, after Okabe and Ito 2008 and Tol 2021: told apart under the common colour blindnesses."""

_MARKERS: dict[str, Any] = {
    "en": "o", "fr": "s", "de": "D", "es": "^", "ru": "P", "ar": "v", "fa": "X", "zh": "*", "bg": "<", "el": ">",
    "hi": (3, 1, 0), "sw": (4, 1, 0), "th": (4, 1, 45), "tr": (3, 1, 180), "ur": (6, 1, 0), "vi": (8, 1, 0),
}  # fmt: skip

CHECKPOINT_LOOKS: tuple[tuple[str, str, Any], ...] = (
    ("#5C6B7F", "d", "-"),
    ("#B07D4F", "p", (0, (4, 1.5))),
    ("#7F8A4E", "h", (0, (1.2, 1.2))),
    ("#8C6C8E", "8", (0, (5, 1.5, 1, 1.5))),
    ("#4F8580", "H", (0, (7, 2))),
    ("#A56A6A", "d", (0, (2.5, 1))),
    ("#909090", "p", (0, (3, 1, 1, 1, 1, 1))),
)
"""Colour, marker and dash of checkpoints, in the order of the run."""

EDGE_COLOURS: tuple[str, ...] = ("#0B3C49", "#2B7F86", "#6DB1A6", "#B2D8C8", "#16606B", "#93C7BC")
"""Shades of sets of edges, dark to light, in the order of their names."""

INK, QUIET, LINES, PAPER = "#1a1a1a", "#666666", "#e4e4e4", "#ffffff"
FLOOR, CHANCE = "#8c8c8c", "#bdbdbd"
MARK = "#1b1b1b"
ACCENT = "#d9381e"
BRIGHT = "#fdfdfd"
"""What stands on maps: dots, numbers, strokes; outlines and rings. The colours under it do not change in the dark."""
SEQUENTIAL, DIVERGING = "viridis", "PuOr"

DARK: dict[str, str] = {
    INK: "#ececec", QUIET: "#a9adb3", LINES: "#3a3f46", PAPER: "#15181c", FLOOR: "#9a9a9a", CHANCE: "#5f6368",
    "#222222": "#f4f4f4", "#0072B2": "#4ea8e0", "#4BA3DB": "#86c5ee", "#D55E00": "#ff8a3d", "#882255": "#d0699f",
    "#AA4499": "#d07cc4", "#117733": "#4fb36f", "#332288": "#8f83e0", "#A65628": "#d0885c", "#5C6B7F": "#93a5bd",
    "#B07D4F": "#d0a377", "#7F8A4E": "#aab676", "#8C6C8E": "#bd9bbf", "#4F8580": "#7fb8b2", "#A56A6A": "#cf9595",
    "#0B3C49": "#7fd0dd", "#16606B": "#6fc3cf", "#2B7F86": "#4fa9b0", "#6DB1A6": "#4d8f85", "#B2D8C8": "#3c665b",
    "#93C7BC": "#45766c",
}  # fmt: skip
"""What each colour of text, lines and markers becomes on a dark page; colours of maps stay."""


def language_colour(code: str) -> str:
    """Return the language's colour; unknown languages get one of the palette that depends on their code alone."""
    spare = list(LANGUAGE_COLOURS.values())[1:]
    return LANGUAGE_COLOURS.get(code) or spare[zlib.crc32(code.encode()) % len(spare)]


def language_marker(code: str) -> Any:
    """Return the language's marker, so that no figure rests on colour alone."""
    spare = list(_MARKERS.values())[1:]
    return _MARKERS.get(code) or spare[zlib.crc32(code.encode()) % len(spare)]


def marker_scale(marker: Any) -> float:
    """Return how much larger than others a marker is drawn, so that its hollow and its filled kind are told apart."""
    return 1.7 if marker == "*" else 1.0


def checkpoint_look(names: Sequence[str], name: str) -> dict[str, Any]:
    """Return colour, marker and linestyle of a checkpoint among those of the run."""
    colour, marker, dash = CHECKPOINT_LOOKS[list(names).index(name) % len(CHECKPOINT_LOOKS)]
    return {"color": colour, "marker": marker, "linestyle": dash}


def edge_colour(edges: Sequence[str], edge: str) -> str:
    """Return the shade of a set of edges among those drawn."""
    return EDGE_COLOURS[list(edges).index(edge) % len(EDGE_COLOURS)]


def adaptable(svg: str) -> str:
    """Return an svg whose text, lines and markers follow the page: each palette colour becomes a CSS variable.

    Without the rules of `dark_css` it looks as before.
    """
    known = {light.lower(): light for light in DARK}
    pattern = re.compile("|".join(map(re.escape, known)), re.IGNORECASE)
    return pattern.sub(lambda match: f"var(--{_variable(match[0])}, {match[0].lower()})", svg)


def dark_css(where: str = ":root") -> str:
    """Return the CSS rule that gives the variables of `adaptable` their dark values within a selector."""
    return where + "{" + ";".join(f"--{_variable(light)}:{dark}" for light, dark in DARK.items()) + "}"


def _variable(colour: str) -> str:
    return "ink-" + colour.lower().removeprefix("#")

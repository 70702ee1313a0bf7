"""Fonts that can write a text, and the order in which letters of a line stand on a page."""

from __future__ import annotations

import functools
from collections.abc import Iterable

__all__ = ["families", "latin", "missing_glyphs", "missing_note", "visual"]

_WANTED = (
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Noto Sans SC",
    "Source Han Sans SC",
    "WenQuanYi Zen Hei",
    "WenQuanYi Micro Hei",
    "PingFang SC",
    "Hiragino Sans GB",
    "Microsoft YaHei",
    "SimHei",
    "Arial Unicode MS",
    "Droid Sans Fallback",
    "Unifont",
    "Noto Sans Arabic",
    "Noto Naskh Arabic",
    "Noto Sans Devanagari",
    "Noto Sans Thai",
)
"""Fonts for the scripts that matplotlib's own DejaVu Sans lacks, best first."""


@functools.cache
def _installed() -> dict[str, str]:
    from matplotlib.font_manager import fontManager

    return {entry.name: entry.fname for entry in reversed(fontManager.ttflist)}


@functools.cache
def families() -> list[str]:
    """Return DejaVu Sans, which comes with matplotlib, and after it those fonts here that know further scripts."""
    return ["DejaVu Sans", *(name for name in _WANTED if name in _installed())]


def latin(chosen: Iterable[str]) -> list[str]:
    """Return a list of families without those for further scripts."""
    return [name for name in chosen if name not in _WANTED]


@functools.cache
def _known(family: str) -> frozenset[int]:
    from matplotlib.font_manager import findfont
    from matplotlib.ft2font import FT2Font

    # A family's upright face: its slanted ones often know fewer scripts.
    return frozenset(FT2Font(findfont(family)).get_charmap()) if family in _installed() else frozenset()


def missing_glyphs(texts: Iterable[str]) -> str:
    """Return the characters of some texts that no font here can draw, each once, in the order of their codes."""
    wanted = {letter for text in texts for letter in text if not letter.isspace() and letter.isprintable()}
    for family in families():
        wanted = {letter for letter in wanted if ord(letter) not in _known(family)}
    return "".join(sorted(wanted))


def missing_note(texts: Iterable[str]) -> str | None:
    """Return a sentence that says which text cannot be drawn and what to install, or None when all can."""
    absent = missing_glyphs(texts)
    if not absent:
        return None
    return (
        f"{len(absent)} characters of the text have no font on this machine and are shown as boxes: "
        "install a font that has them, such as Noto Sans CJK (Debian: fonts-noto-cjk), and draw again."
    )


@functools.cache
def _shapes_itself() -> bool:
    """Whether this matplotlib joins and orders right-to-left letters: it does from 3.11 on."""
    import matplotlib as mpl

    return tuple(int(part) for part in mpl.__version__.split(".")[:2]) >= (3, 11)


def visual(text: str) -> str:
    """Return a text as matplotlib has to be given it, so that right-to-left letters are joined and in order.

    From matplotlib 3.11 on that is the text itself, which also keeps it selectable as it was written.
    """
    if _shapes_itself():
        return text
    import arabic_reshaper
    from bidi.algorithm import get_display

    return str(get_display(arabic_reshaper.reshape(text)))

"""The words of figures, one for each thing: parts of attention, pairs, and sentences about what was measured."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

__all__ = ["BLOCKS", "block_label", "counted", "listed", "pair_label", "signed"]

BLOCKS: dict[str, str] = {
    "question->context": "question → context",
    "context->question": "context → question",
    "context->context": "context → context",
    "question->question": "question → question",
    "cls->context": "first token → context",
    "cls->question": "first token → question",
}
"""Blocks of the attention as figures name them: from the tokens that ask to those that are looked at."""


def block_label(block: str) -> str:
    """Return a block's name in figures."""
    return BLOCKS.get(block, block.replace("->", " → ").replace("+", " + "))


def pair_label(context: str, question: str) -> str:
    """Return "en–fr": the context's language, then the question's."""
    return f"{context}–{question}"


def counted(number: int, one: str, several: str | None = None) -> str:
    """Return "1 theory" or "16 theories"."""
    return f"{number:,} {one if number == 1 else several or one + 's'}"


def listed(names: Iterable[str], most: int = 8) -> str:
    """Return names joined by commas; many are counted."""
    names = list(names)
    return ", ".join(names) if len(names) <= most else f"{', '.join(names[:most])} and {len(names) - most} more"


def signed(values: Sequence[float], form: str = "{:+.2f}") -> list[str]:
    """Return numbers as text with a real minus sign."""
    return [form.format(value).replace("-", "−") for value in values]

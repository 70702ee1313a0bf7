"""Several files, one per language, read side by side row by row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from xlprobe.errors import DataError
from xlprobe.languages import get_language

__all__ = ["aligned", "chosen", "english_first"]

T = TypeVar("T")


def chosen(languages: str | Sequence[str] | None) -> tuple[str, ...] | None:
    """Return language codes, known ones and each once, of "en fr", "en,fr" or a sequence; None stays None (all)."""
    if languages is None:
        return None
    items = languages.replace(",", " ").split() if isinstance(languages, str) else list(languages)
    if not items:
        raise DataError("got no language; expected at least one, such as 'en', or None for all")
    return tuple(dict.fromkeys(get_language(code).code for code in items))


def english_first(codes: Iterable[str]) -> list[str]:
    """Return language codes in the order of the alphabet, but English first."""
    return sorted(codes, key=lambda code: (code != "en", code))


def aligned(rows: Mapping[str, Iterator[T]], where: str) -> Iterator[dict[str, T]]:
    """Yield the rows of all languages side by side.

    Raises `DataError`, naming how many rows each language has, where they are not as many in each.
    """
    count = 0
    while True:
        step = {code: one for code, stream in rows.items() if (one := next(stream, None)) is not None}
        if not step:
            return
        if len(step) < len(rows):
            totals = {code: count + (1 + sum(1 for _ in rows[code]) if code in step else 0) for code in rows}
            by_language = ", ".join(f"{total} in {code}" for code, total in totals.items())
            raise DataError(f"{where}: got {by_language} rows; expected as many in every language, in the same order")
        count += 1
        yield step

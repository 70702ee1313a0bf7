"""From the units of a text to tokens: which unit and which language each belongs to."""

from __future__ import annotations

import re
from array import array
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from xlprobe.errors import DataError
from xlprobe.languages import joined, joints, language_id
from xlprobe.samples.types import Sample

__all__ = ["Segment", "Text", "check_text", "check_tokenizer", "segment", "token_languages", "unit_ends"]

_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Text:
    """Units in one language with what goes before them, the first one's number, and the languages of words in it."""

    units: tuple[str, ...]
    language: str
    first_unit: int = 0
    prefix: str = ""
    word_languages: tuple[tuple[int, int, str], ...] | None = None


@dataclass(frozen=True)
class Segment:
    """One tokenised text: ids, and for each token its unit (-1: prefix) and its language; small, as all are kept."""

    ids: array[int]
    units: array[int]
    languages: array[int]


def segment(tokenizer: Any, sample: Sample, text: Text) -> Segment:
    """Tokenise a text of a sample.

    Raises `DataError` for one that is empty, that gives no tokens, or in which one token spans two units.
    """
    whole = text.prefix + check_text(sample, text.units, text.language)
    encoded = tokenizer(whole, add_special_tokens=False, return_offsets_mapping=True, truncation=False, verbose=False)
    offsets = encoded["offset_mapping"]
    units = _units(sample, text, whole, offsets)
    if text.word_languages is None:
        languages = [language_id(text.language)] * len(offsets)
    else:
        languages = token_languages(offsets, text.word_languages, len(text.prefix), text.language)
    made = Segment(*(array("i", column) for column in (encoded["input_ids"], units, languages)))
    if not made.ids or max(made.units) < text.first_unit:
        raise DataError(f"sample {sample.key!r}: the {text.language!r} text {whole[:60]!r} gives no tokens")
    return made


def _units(sample: Sample, text: Text, whole: str, offsets: Sequence[tuple[int, int]]) -> list[int]:
    """Return the unit of each token, that of its last character; -1 within the prefix."""
    before = len(text.prefix)
    ends, between = unit_ends(text.units, text.language, before), joints(text.units, text.language)
    numbers = []
    for start, stop in offsets:
        position = max(start, stop - 1)
        number = min(bisect_right(ends, position), len(ends) - 1)
        begin = ends[number - 1] if number else before
        if position < before:
            numbers.append(-1)
            continue
        # Without a blank between them, a piece may hold the end of one sentence and the start of the next.
        apart = number and between[number - 1]
        if apart and start < begin and whole[start:begin].strip():
            raise DataError(
                f"sample {sample.key!r}: the token {whole[start:stop]!r} spans two units; expected units that the "
                "tokenizer keeps apart"
            )
        numbers.append(text.first_unit + number)
    return numbers


def unit_ends(units: Sequence[str], language: str, start: int) -> list[int]:
    """Return where each unit ends in a text in which they begin at `start`.

    A unit owns what stands before it, because sentencepiece tokens begin with that blank.
    """
    ends = []
    for unit, joint in zip(units, joints(units, language), strict=True):
        ends.append(start + len(unit))
        start = ends[-1] + len(joint)
    return ends


def check_tokenizer(tokenizer: Any) -> None:
    """Raise `DataError` for a tokenizer that does not say where its tokens stand in the text."""
    if not getattr(tokenizer, "is_fast", False):
        raise DataError(
            f"got the tokenizer {type(tokenizer).__name__}, which gives no character offsets; expected a fast "
            "one, because units and languages are found by offsets. Load it with AutoTokenizer"
        )


def check_text(sample: Sample, units: Sequence[str], language: str) -> str:
    """Return the text of units; raise `DataError` for one that is empty or cannot be written."""
    for number, unit in enumerate(units):
        if not unit.strip():
            raise DataError(f"sample {sample.key!r}: unit {number} in {language!r} is empty; expected a sentence")
    text = joined(units, language)
    if (broken := _SURROGATE.search(text)) is not None:
        raise DataError(
            f"sample {sample.key!r}: the {language!r} text has half of a surrogate pair at character "
            f"{broken.start()}; expected text that can be written as UTF-8. Clean the text where it comes from"
        )
    return text


def token_languages(
    offsets: Sequence[tuple[int, int]], spans: tuple[tuple[int, int, str], ...], shift: int, default: str
) -> list[int]:
    """Give each token the language of the word that holds its last character."""
    starts = [start for start, _, _ in spans]
    languages = []
    for start, stop in offsets:
        position = max(start, stop - 1) - shift
        word = bisect_right(starts, position) - 1
        inside = word >= 0 and position < spans[word][1]
        languages.append(language_id(spans[word][2] if inside else default))
    return languages

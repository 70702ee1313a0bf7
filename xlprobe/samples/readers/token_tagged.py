"""Text that switches language inside a sentence, with a language for every token."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from xlprobe.errors import DataError
from xlprobe.languages import get_language
from xlprobe.samples.readers.lines import field_of, json_lines
from xlprobe.samples.types import Sample

__all__ = ["read_token_tagged"]

SHARED, MIXED, OTHER_LANGUAGE = "OTHER", "MIXED", "LANG3"


def read_token_tagged(path: str | Path, *, tags: Mapping[str, str] | None = None) -> Iterator[Sample]:
    """Read jsonl rows of `text`, `tokens` and `csid` (a language tag for each token), as UD Turkish-German SAGT has.

    The sample's only unit is the text, without a question; `word_languages` covers the text. Tags are language codes
    in upper case; OTHER (punctuation, names) takes the language of the token before it, else of the one after it;
    MIXED (a word of two languages) becomes "mul", LANG3 "und". `tags` maps further tags to language codes. Raises
    `DataError`, naming file and line, for tokens that are not in the text, and for counts that differ.
    """
    file = Path(path)
    known = {MIXED: "mul", OTHER_LANGUAGE: "und", **(tags or {})}
    name = file.name.split(".")[0]
    for number, row in json_lines(file):
        where = f"{file}, line {number}"
        text = field_of(row, "text", str, where)
        tokens, marks = field_of(row, "tokens", list, where), field_of(row, "csid", list, where)
        if len(tokens) != len(marks) or not tokens:
            raise DataError(f"{where}: has {len(tokens)} tokens and {len(marks)} tags; expected as many, and some")
        languages = _languages([str(mark) for mark in marks], known, where)
        spans = _spans(text, tokens, languages, where)
        main = max(dict.fromkeys(languages), key=languages.count)
        key = f"{name}-{row.get('sent_id', number)}"
        yield Sample(key, key, name, main, main, (text,), None, word_languages=spans)


def _languages(marks: list[str], known: Mapping[str, str], where: str) -> list[str]:
    found: list[str | None] = []
    for mark in marks:
        if mark == SHARED:
            found.append(None)
            continue
        code = known.get(mark, mark.lower())
        try:
            found.append(get_language(code).code)
        except DataError as error:
            raise DataError(f"{where}: has the tag {mark!r}; {error}. Name it with tags={{{mark!r}: ...}}") from error
    first = next((code for code in found if code is not None), "und")
    filled, last = [], first
    for code in found:
        last = code or last
        filled.append(last)
    return filled


def _spans(text: str, tokens: list[Any], languages: list[str], where: str) -> tuple[tuple[int, int, str], ...]:
    spans, position = [], 0
    for token, language in zip(tokens, languages, strict=True):
        start = text.find(str(token), position)
        if start < 0 or text[position:start].strip():
            raise DataError(f"{where}: the token {token!r} is not where it is expected in {text[position : position + 40]!r}")
        position = start + len(str(token))
        spans.append((start, position, language))
    if text[position:].strip():
        raise DataError(f"{where}: the tokens end before the text does, at {text[position : position + 40]!r}")
    return tuple(spans)

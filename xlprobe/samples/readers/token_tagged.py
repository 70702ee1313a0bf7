"""Text that switches language inside a sentence, with a language for every token."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from xlprobe.errors import DataError
from xlprobe.languages import KNOWN_LANGUAGES, get_language
from xlprobe.samples.readers.lines import Row, field_of, json_lines
from xlprobe.samples.types import Sample

__all__ = ["read_token_tagged", "tagged_samples"]

_SHARED = "OTHER"
_NAMED = {"MIXED": "mul", "LANG3": "und"}


def read_token_tagged(path: str | Path, *, tags: Mapping[str, str] | None = None) -> Iterator[Sample]:
    """Read jsonl rows of `text`, `tokens` and `csid` (a language tag for each token), as UD Turkish-German SAGT has.

    The sample's only unit is the text, without a question; `word_languages` has a span of characters for each token.
    Tags are codes of known languages in any case; OTHER (punctuation, names) takes the language of the token before
    it, else of the one after it; MIXED (a word of two languages) becomes "mul", LANG3 "und". `tags` maps further tags,
    or these, to language codes. The sample's language is the one with most tokens. Raises `DataError`, naming file and
    line, for tokens that are not in the text in their order, for counts that differ, for an unknown tag, a repeated id.
    """
    file = Path(path)
    return tagged_samples(json_lines(file), file.name.split(".")[0], tags)


def tagged_samples(rows: Iterable[Row], dataset: str, tags: Mapping[str, str] | None = None) -> Iterator[Sample]:
    """Turn rows of `text`, `tokens` and `csid` into samples."""
    known = {**_NAMED, **(tags or {})}
    seen: set[str] = set()
    for number, (where, row) in enumerate(rows, 1):
        text = field_of(row, "text", str, where)
        tokens, marks = (_texts(row, name, where) for name in ("tokens", "csid"))
        if len(tokens) != len(marks) or not tokens:
            raise DataError(f"{where}: has {len(tokens)} tokens and {len(marks)} tags; expected as many, and some")
        languages = _languages(marks, known, where)
        main = max(dict.fromkeys(languages), key=languages.count)
        key = f"{dataset}-{row.get('sent_id') or number}"
        if key in seen:
            raise DataError(f"{where}: the sent_id {row.get('sent_id')!r} was there before; expected every id once")
        seen.add(key)
        spans = _spans(text, tokens, languages, where)
        yield Sample(key, key, dataset, main, main, (text,), None, word_languages=spans)


def _texts(row: Mapping[str, Any], name: str, where: str) -> list[str]:
    values = field_of(row, name, list, where)
    if not all(isinstance(value, str) and value for value in values):
        raise DataError(f"{where}: {name!r} is {values!r:.60}; expected a list of texts, none empty")
    return values


def _languages(marks: list[str], known: Mapping[str, str], where: str) -> list[str]:
    found: list[str | None] = []
    for mark in marks:
        if mark == _SHARED and mark not in known:
            found.append(None)
            continue
        code = known.get(mark, mark.lower())
        # A tag such as NE (a name) has the form of a code, too.
        if mark not in known and code not in KNOWN_LANGUAGES:
            raise DataError(f"{where}: has the tag {mark!r}, no known language; say which with tags={{{mark!r}: ...}}")
        found.append(get_language(code).code)
    last: str = next((code for code in found if code is not None), "und")
    filled: list[str] = []
    for tagged in found:
        last = tagged or last
        filled.append(last)
    return filled


def _spans(text: str, tokens: list[str], languages: list[str], where: str) -> tuple[tuple[int, int, str], ...]:
    spans, position = [], 0
    for token, language in zip(tokens, languages, strict=True):
        start = text.find(token, position)
        if start < 0 or text[position:start].strip():
            raise DataError(
                f"{where}: the token {token!r} is not where it is expected in {text[position : position + 40]!r}"
            )
        position = start + len(token)
        spans.append((start, position, language))
    if text[position:].strip():
        raise DataError(f"{where}: the tokens end before the text does, at {text[position : position + 40]!r}")
    return tuple(spans)

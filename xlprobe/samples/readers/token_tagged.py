"""Text that switches language inside a sentence, with a language for every token."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from xlprobe.errors import DataError
from xlprobe.languages import KNOWN_LANGUAGES, get_language
from xlprobe.samples.readers.columns import TAGS, TOKENS, first_of
from xlprobe.samples.readers.containers import rows_of
from xlprobe.samples.readers.lines import Row, field_of
from xlprobe.samples.types import Sample

__all__ = ["read_token_tagged", "tagged_samples"]

_SHARED = frozenset("other ne univ acro num punct ambiguous undef unk _".split())  # noqa: SIM905
"""Tags of what belongs to no language, or could belong to each: punctuation, names, numbers."""
_NAMED = {"mixed": "mul", "lang3": "und", "fw": "und"}


def read_token_tagged(path: str | Path, *, tags: Mapping[str, str] | None = None) -> Iterator[Sample]:
    """Read sentences with a language for every token: CoNLL-U (UD Turkish-German SAGT), CoNLL (LinCE), or rows.

    Rows have `tokens` (or `words`), `csid` (or `lid`), and may have `text`; without it the text is the tokens, apart.
    The sample's only unit is the text, without a question; `word_languages` has a span of characters for each token.
    Tags are language codes in any case; what belongs to no language (other, ne, univ, ambiguous, ...) takes the
    language of the token before it, else of the one after it; mixed (a word of two languages) becomes "mul", lang3 and
    fw (a third language) "und". `tags` maps further tags, or these, to language codes (LinCE: lang1 and lang2). The
    sample's language is the one with most tokens. Raises `DataError`, naming file and line, for tokens that are not in
    the text in their order, for counts that differ, for an unknown tag, a repeated id.
    """
    file = Path(path)
    return tagged_samples(rows_of(file), file.name.split(".")[0], tags)


def tagged_samples(rows: Iterable[Row], dataset: str, tags: Mapping[str, str] | None = None) -> Iterator[Sample]:
    """Turn rows of `tokens` and `csid`, and perhaps `text`, into samples."""
    known = _known(tags or {})
    seen: set[str] = set()
    for number, (where, row) in enumerate(rows, 1):
        tokens, marks = (_texts(row, first_of(row, names) or names[0], where) for names in (TOKENS, TAGS))
        text = field_of(row, "text", str, where) if row.get("text") is not None else " ".join(tokens)
        if len(tokens) != len(marks) or not tokens:
            raise DataError(f"{where}: has {len(tokens)} tokens and {len(marks)} tags; expected as many, and some")
        languages = _languages(marks, known, where)
        main = max(dict.fromkeys(languages), key=languages.count)
        key = f"{dataset}-{row.get('sent_id') or row.get('idx') or number}"
        if key in seen:
            raise DataError(
                f"{where}: the sent_id {row.get('sent_id', row.get('idx'))!r:.60} was there before; expected every id "
                "once"
            )
        seen.add(key)
        spans = _spans(text, tokens, languages, where)
        yield Sample(key, key, dataset, main, main, (text,), None, word_languages=spans)


def _texts(row: Mapping[str, Any], name: str, where: str) -> list[str]:
    values = field_of(row, name, list, where)
    if not all(isinstance(value, str) and value for value in values):
        raise DataError(f"{where}: {name!r} is {values!r:.60}; expected a list of texts, none empty")
    return values


def _known(tags: Mapping[str, str]) -> dict[str, str | None]:
    """Return the language of each tag (None: its neighbour's), by the tag in small letters."""
    for tag, code in tags.items():
        if tag.lower() in _SHARED and code.lower() in ("und", tag.lower()):
            raise DataError(
                f"got tags={{{tag!r}: {code!r}}}; what is tagged so belongs to no language and takes its neighbour's. "
                "Leave it out, or give a language code"
            )
    own = {tag.lower(): get_language(code).code for tag, code in tags.items()}
    return {**dict.fromkeys(_SHARED), **_NAMED, **own}


def _languages(marks: list[str], known: Mapping[str, str | None], where: str) -> list[str]:
    languages: list[str | None] = []
    for mark in marks:
        tag = mark.lower()
        if tag not in known and tag not in KNOWN_LANGUAGES:
            raise DataError(
                f"{where}: has the tag {mark!r:.40}; expected a language code, or a tag such as other or mixed. "
                f"Say which language it is: tags={{{mark!r:.40}: 'en'}}"
            )
        languages.append(known.get(tag, tag))
    last: str = next((code for code in languages if code is not None), "und")
    filled: list[str] = []
    for tagged in languages:
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

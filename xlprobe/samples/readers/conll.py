"""Sentences in CoNLL and CoNLL-U: one token a line, with its language, and a blank line after each sentence."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from xlprobe.errors import DataError
from xlprobe.samples.readers.lines import Row, text_lines

__all__ = ["conll_rows", "is_conll"]

_COMMENT = re.compile(r"#\s*([\w-]+)\s*=\s*(.*)")
_NUMBER = re.compile(r"(\d+)(?:-(\d+)|\.\d+)?")
_LANGUAGE = ("CSID", "Lang", "LangID")


@dataclass
class _Sentence:
    number: int
    comments: dict[str, str] = field(default_factory=dict)
    tokens: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    text: str = ""
    covered: int = 0

    def add(self, token: str, tag: str, *, space: bool = True) -> None:
        """Take one token; the text without `# text` is the tokens, apart but where the file says otherwise."""
        self.tokens.append(token)
        self.tags.append(tag)
        self.text += token + (" " if space else "")


def is_conll(path: Path, first: str) -> bool:
    """Whether a file is CoNLL or CoNLL-U, by its name or its first line."""
    name = path.name.lower().removesuffix(".gz")
    return name.endswith((".conll", ".conllu")) or first.startswith("# ") or _is_universal(first.split("\t"))


def conll_rows(path: Path) -> Iterator[Row]:
    """Yield rows of `text`, `tokens`, `csid` and `sent_id`, as `tagged_samples` takes them.

    CoNLL-U (ten columns) has a token's language in its last column, as CSID, Lang or LangID; a token of several words
    is one token, and empty nodes are passed over. CoNLL has the token in the first column and its language in the
    second (LinCE). A token of CoNLL-U without a language belongs to none ("other"). Raises `DataError`, naming the
    line, for a token line of another shape.
    """
    sentence: _Sentence | None = None
    number = 0
    for number, line in text_lines(path, blank=True):
        if not line.strip():
            if sentence is not None and sentence.tokens:
                yield _row(sentence, path)
                sentence = None
            continue
        sentence = sentence or _Sentence(number)
        cells = line.split("\t")
        comment = _COMMENT.fullmatch(line.strip())
        if line.startswith("#") and len(cells) == 1:
            if comment:
                sentence.comments[comment[1]] = comment[2]
        elif _is_universal(cells):
            _take_universal(sentence, cells)
        elif len(cells) >= 2 and cells[0].strip() and cells[1].strip():
            sentence.add(cells[0].strip(), cells[1].strip())
        else:
            raise DataError(
                f"{path}, line {number}: got {line!r:.60}; expected a token and its language between tabs, or the ten "
                "columns of CoNLL-U"
            )
    if sentence is not None and sentence.tokens:
        yield _row(sentence, path)


def _is_universal(cells: list[str]) -> bool:
    return len(cells) == 10 and _NUMBER.fullmatch(cells[0]) is not None


def _take_universal(sentence: _Sentence, cells: list[str]) -> None:
    match = _NUMBER.fullmatch(cells[0])
    assert match is not None
    if "." in cells[0] or int(match[1]) <= sentence.covered:
        return
    if match[2]:
        sentence.covered = int(match[2])
    more = dict(part.partition("=")[::2] for part in cells[9].split("|"))
    tag = next((more[name] for name in _LANGUAGE if name in more), "other")
    sentence.add(cells[1], tag, space=more.get("SpaceAfter") != "No")


def _row(sentence: _Sentence, path: Path) -> Row:
    row: dict[str, Any] = {
        "text": sentence.comments.get("text") or sentence.text.strip(),
        "tokens": sentence.tokens,
        "csid": sentence.tags,
    }
    identity = sentence.comments.get("sent_id") or sentence.comments.get("sent_enum")
    if identity:
        row["sent_id"] = identity
    return f"{path}, line {sentence.number}", row

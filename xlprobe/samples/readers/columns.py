"""Which format rows have, told by their columns, and which language a file's name says."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from xlprobe.errors import DataError
from xlprobe.languages import KNOWN_LANGUAGES, is_code

__all__ = ["HYPOTHESIS", "PREMISE", "TAGS", "TOKENS", "first_of", "format_of", "language_in", "language_of_file"]

PREMISE = ("premise", "sentence1")
HYPOTHESIS = ("hypothesis", "hypo", "sentence2")
TOKENS = ("tokens", "words")
TAGS = ("csid", "lid")


def first_of(row: Mapping[str, Any], names: Iterable[str]) -> str | None:
    """Return the first of some names that a row has as a column."""
    return next((name for name in names if name in row), None)


def format_of(row: Mapping[str, Any], where: str) -> str:
    """Return the name of the format that a row's columns fit; raise `DataError` where none does."""
    questions = row.get("questions")
    if isinstance(row.get("context"), Mapping):
        return "jsonl"
    if first_of(row, TOKENS) and first_of(row, TAGS):
        return "tagged"
    if "phrase" in row and "answer" in row:
        return "leap_of_thought"
    if any(key.startswith("premise_") for key in row) or (first_of(row, PREMISE) and first_of(row, HYPOTHESIS)):
        return "xnli"
    if ("context" in row or "theory" in row) and isinstance(questions, (list, Mapping)):
        labels = (
            questions.get("label", [])
            if isinstance(questions, Mapping)
            else [question.get("label") for question in questions if isinstance(question, Mapping)]
        )
        return "pararule" if any(isinstance(label, str) for label in labels) else "ruletaker"
    if "theory" in row and "question" in row:
        return "ruletaker"
    if "context" in row and "question" in row:
        label = row.get("label", row.get("answer"))
        return "ruletaker" if isinstance(label, bool | str) and not str(label).lstrip("-").isdecimal() else "flat"
    if any(key.startswith("context_") for key in row):
        return "flat"
    if "translation" in row or (len(row) > 1 and _are_languages(row)):
        return "parallel"
    raise DataError(
        f"{where}: is none of the known formats, by its columns {', '.join(map(repr, row)) or '(none)':.300}; expected "
        "context and questions (ruletaker, pararule), context and phrase (leap_of_thought), premise and hypothesis "
        "(xnli), tokens and csid (tagged), context_<language> (flat), a column for each language (parallel), or a "
        "context by language (jsonl). Where the format is another, say which"
    )


def _are_languages(names: Iterable[str]) -> bool:
    """Whether columns are languages: known ones, or any beside English, since "id" and "url" have the form of codes."""
    columns = set(names)
    return columns <= set(KNOWN_LANGUAGES) or ("en" in columns and all(map(is_code, columns)))


def language_in(name: str) -> str | None:
    """Return the known language that a file's name ends in before its suffixes, such as fr in train.fr.tsv."""
    last = re.split(r"[._-]", re.sub(r"(\.(gz|jsonl?|tsv|csv|txt|parquet|conllu?))+$", "", name.lower()))[-1]
    return last if last in KNOWN_LANGUAGES else None


def language_of_file(path: Path) -> str | None:
    """Return the language of one file of a data set in many: by its name, or as <language>/original/<depth>/."""
    above = path.parts[-4:-2]
    released = above[0] if len(above) == 2 and above[1] == "original" and above[0] in KNOWN_LANGUAGES else None
    return released or language_in(path.name)

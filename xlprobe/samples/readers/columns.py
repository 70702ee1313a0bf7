"""Which format rows have, told by their columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from xlprobe.errors import DataError
from xlprobe.languages import KNOWN_LANGUAGES, is_code

__all__ = ["format_of"]


def format_of(row: Mapping[str, Any], where: str) -> str:
    """Return the name of the format that a row's columns fit; raise `DataError` where none does."""
    questions = row.get("questions")
    if isinstance(row.get("context"), Mapping):
        return "jsonl"
    if "tokens" in row and "csid" in row:
        return "tagged"
    if "phrase" in row and "answer" in row:
        return "leap_of_thought"
    if any(key.startswith("premise_") for key in row) or {"premise", "hypothesis"} <= set(row):
        return "xnli"
    if "context" in row and isinstance(questions, (list, Mapping)):
        labels = (
            questions.get("label", [])
            if isinstance(questions, Mapping)
            else [question.get("label") for question in questions if isinstance(question, Mapping)]
        )
        return "pararule" if any(isinstance(label, str) for label in labels) else "ruletaker"
    if any(key.startswith("context_") for key in row):
        return "flat"
    if "translation" in row or (len(row) > 1 and _are_languages(row)):
        return "parallel"
    raise DataError(
        f"{where}: is none of the known formats, by its fields {', '.join(map(repr, row)) or '(none)'}; expected "
        "context and questions (ruletaker, pararule), context and phrase (leap_of_thought), premise_<language> (xnli), "
        "text, tokens and csid (tagged), or a context by language (jsonl). Say the format where it is another"
    )


def _are_languages(names: Iterable[str]) -> bool:
    """Whether columns are languages: known ones, or any beside English, since "id" and "url" have the form of codes."""
    found = set(names)
    return found <= set(KNOWN_LANGUAGES) or ("en" in found and all(map(is_code, found)))

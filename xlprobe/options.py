"""What several commands take on their command lines, and how its text is read."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from xlprobe.errors import DataError

__all__ = [
    "LARGEST_SEED",
    "AnswersOption",
    "LabelsOption",
    "LayoutOption",
    "PrefixOption",
    "QueriesAtOnceOption",
    "ShardOption",
    "TemplateOption",
    "TokenTypesOption",
    "class_names",
    "numbers",
    "seeds",
    "template_of",
    "words",
]

LARGEST_SEED = 2**32 - 1
"""What every generator of random numbers here takes."""

TokenTypesOption = Annotated[
    str | None,
    typer.Option(help="'zeros', 'segments' (1 for the question), or 'tokenizer'. Default: as the checkpoint says."),
]
LayoutOption = Annotated[
    str | None,
    typer.Option(help="'tokenizer', or 'method' (one separator). Default: as the checkpoint says."),
]
PrefixOption = Annotated[
    str | None, typer.Option(help="Text before every context, such as 'query: '. Default: as the checkpoint says.")
]
QueriesAtOnceOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Compute so many rows of a layer's pattern at a time, for texts of thousands of tokens; no whole pattern "
        "is kept, so there is no explorer, and metrics of whole patterns are left out.",
    ),
]
TemplateOption = Annotated[
    str | None,
    typer.Option(
        help="How a causal model is asked: text with {context}, {question} and, if wanted, {choices}; \\n is a line's "
        "end. Default: a question in its own language."
    ),
]
AnswersOption = Annotated[
    str | None,
    typer.Option(
        help="The words that a causal model may answer with, in the order of the labels, separated by commas."
    ),
]
LabelsOption = Annotated[
    str | None,
    typer.Option(help="Names of a classifier's classes in its order, separated by commas, where its config has none."),
]
ShardOption = Annotated[
    str | None,
    typer.Option(
        help="Do one of several parts, such as '3/64' in an array of 64 jobs; xlprobe merge puts them together.",
        metavar="NUMBER/COUNT",
    ),
]


def class_names(text: str | None, option: str = "--labels") -> tuple[str, ...]:
    """Return the names of classes, which may hold blanks, of a text with commas; raise `DataError` for an empty one."""
    names = tuple(name.strip() for name in text.split(",")) if text is not None else ()
    if not all(names):
        raise DataError(f"got {option} {text!r:.60}; expected names separated by commas, such as 'false,true'")
    return names


def template_of(text: str | None) -> str | None:
    """Return a template as it is meant, where a shell can hardly write the end of a line."""
    return None if text is None else text.replace("\\n", "\n")


def words(text: str | None) -> tuple[str, ...]:
    """Return the words of a text, separated by blanks or commas."""
    return tuple((text or "").replace(",", " ").split())


def numbers(option: str, text: str, low: float = 0, high: float = 1) -> list[float]:
    """Return the numbers of an option, each once; raise `DataError` for what is none, or outside `low` to `high`."""
    found = []
    for word in words(text):
        if not re.fullmatch(r"\d{1,10}(\.\d{1,10})?", word) or not low <= float(word) <= high:
            raise DataError(f"got {option} {text!r:.60}; expected numbers from {low:g} to {high:g}, such as '0.3 0.7'")
        found.append(float(word))
    if not found:
        raise DataError(f"got {option} {text!r:.60}; expected at least one number")
    return list(dict.fromkeys(found))


def seeds(option: str, text: str, high: int = LARGEST_SEED) -> list[int]:
    """Return the whole numbers from 0 of an option, each once; raise `DataError` for what is none."""
    found = words(text)
    if not found or not all(re.fullmatch(r"\d{1,10}", word) and int(word) <= high for word in found):
        raise DataError(f"got {option} {text!r:.60}; expected whole numbers from 0 to {high}, such as '0 1 2'")
    return list(dict.fromkeys(map(int, found)))

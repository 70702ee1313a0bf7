"""What several commands take on their command lines, and how its text is read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from xlprobe.errors import DataError
from xlprobe.stores import address_of, local_path, refuse_address

__all__ = [
    "LARGEST_SEED",
    "AnswersOption",
    "BatchSizeOption",
    "CheckpointOption",
    "DebugOption",
    "DeviceOption",
    "EffectsOption",
    "LabelsOption",
    "LanguagesOption",
    "LayoutOption",
    "LimitOption",
    "MetricsOption",
    "OutOption",
    "PairsOption",
    "PartOption",
    "PrefixOption",
    "QueriesAtOnceOption",
    "SamplesOption",
    "SeedOption",
    "ShardOption",
    "TemplateOption",
    "TokenTypesOption",
    "TooLongOption",
    "class_names",
    "numbers",
    "own_directory",
    "place",
    "seeds",
    "template_of",
    "words",
]

LARGEST_SEED = 2**32 - 1
"""What every generator of random numbers here takes."""

CheckpointOption = Annotated[
    list[str] | None,
    typer.Option(
        "--checkpoint",
        "-c",
        help="Bundled name, directory, or Hub id, as NAME=SPEC under a name of its own; repeat for several.",
        metavar="SPEC",
    ),
]
SamplesOption = Annotated[
    str,
    typer.Option(
        help="'generated', or a file, directory or address (s3://...), with its format as PATH:FORMAT where it is not "
        "plain."
    ),
]
LanguagesOption = Annotated[str, typer.Option(help="Languages of the samples, such as 'en fr zh'.")]
PairsOption = Annotated[
    str | None, typer.Option(help="Context-question pairs, such as 'en-fr, *-en'. Default: en-* and *-en.")
]
LimitOption = Annotated[int | None, typer.Option(min=1, help="How many problems to measure at most.")]


def place(path: Path) -> Path:
    """Return an address as it is, and file:// as the path that it is."""
    return path if address_of(path) else local_path(path)


def own_directory(path: Path) -> Path:
    """Return a path of this machine; raise `ResultsError` for an address."""
    refuse_address(path)
    return local_path(path)


OutOption = Annotated[
    Path, typer.Option(help="Directory or address (s3://...) for the table, the figures and the page.", callback=place)
]
SeedOption = Annotated[int, typer.Option(min=0, max=LARGEST_SEED, help="Seed of generated samples and of resampling.")]
DeviceOption = Annotated[str, typer.Option(help="'cpu', 'cuda', 'cuda:1', ...")]
BatchSizeOption = Annotated[int, typer.Option(min=1, help="Sequences per forward pass.")]
MetricsOption = Annotated[
    str,
    typer.Option(
        help="'default', 'figures' (what the report draws, too), 'all', names separated by commas (see xlprobe "
        "metrics), or one's own as own.py:name."
    ),
]
EffectsOption = Annotated[
    bool,
    typer.Option(
        "--effects/--no-effects",
        help="Whether to intervene too (knock-out, patching, importance of heads): the slowest part.",
    ),
]
TooLongOption = Annotated[
    str, typer.Option(help="'error', or 'skip' to leave out samples that are too long, counted and listed.")
]
DebugOption = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
TokenTypesOption = Annotated[
    str | None,
    typer.Option(help="'zeros', 'segments' (1 for the question), or 'tokenizer'. Default: as the checkpoint says."),
]
LayoutOption = Annotated[
    str | None,
    typer.Option(help="'tokenizer', or 'method' (one separator). Default: as the checkpoint says."),
]
PartOption = Annotated[
    str | None,
    typer.Option(help="Of encoder-decoders: 'encoder', or 'cross' (the decoder's look at it). Default: 'encoder'."),
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
    values = []
    for word in words(text):
        if not re.fullmatch(r"\d{1,10}(\.\d{1,10})?", word) or not low <= float(word) <= high:
            raise DataError(f"got {option} {text!r:.60}; expected numbers from {low:g} to {high:g}, such as '0.3 0.7'")
        values.append(float(word))
    if not values:
        raise DataError(f"got {option} {text!r:.60}; expected at least one number")
    return list(dict.fromkeys(values))


def seeds(option: str, text: str, high: int = LARGEST_SEED) -> list[int]:
    """Return the whole numbers from 0 of an option, each once; raise `DataError` for what is none."""
    digits = words(text)
    if not digits or not all(re.fullmatch(r"\d{1,10}", word) and int(word) <= high for word in digits):
        raise DataError(f"got {option} {text!r:.60}; expected whole numbers from 0 to {high}, such as '0 1 2'")
    return list(dict.fromkeys(map(int, digits)))

"""Readers of real data sets: each is an iterator of samples, and each error names file and line."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from xlprobe.errors import DataError
from xlprobe.samples.readers.hub import read_dataset
from xlprobe.samples.readers.jsonl import read_jsonl, write_jsonl
from xlprobe.samples.readers.leap_of_thought import read_leap_of_thought
from xlprobe.samples.readers.lines import text_lines
from xlprobe.samples.readers.parallel_text import read_parallel_text
from xlprobe.samples.readers.pararule import read_pararule
from xlprobe.samples.readers.rejected import Rejected, Rejections
from xlprobe.samples.readers.ruletaker import read_ruletaker
from xlprobe.samples.readers.token_tagged import read_token_tagged
from xlprobe.samples.readers.xnli import read_xnli
from xlprobe.samples.types import ParallelSample

__all__ = [
    "FORMATS",
    "Rejected",
    "Rejections",
    "guess_format",
    "parse_spec",
    "read",
    "read_dataset",
    "read_jsonl",
    "read_leap_of_thought",
    "read_parallel_text",
    "read_pararule",
    "read_ruletaker",
    "read_token_tagged",
    "read_xnli",
    "write_jsonl",
]

_TRANSLATED = ("jsonl", "ruletaker", "leap_of_thought", "xnli", "parallel")
FORMATS: dict[str, Callable[..., Iterator[ParallelSample]]] = {
    "jsonl": read_jsonl,
    "ruletaker": read_ruletaker,
    "leap_of_thought": read_leap_of_thought,
    "xnli": read_xnli,
    "pararule": read_pararule,
    "parallel": read_parallel_text,
}
"""The formats of parallel samples by name; token-tagged text has a reader of its own, `read_token_tagged`."""


def parse_spec(spec: str) -> tuple[Path, str | None]:
    """Split "PATH:FORMAT" into a path and a format; without a format it is guessed later."""
    path, colon, form = spec.rpartition(":")
    if colon and form in FORMATS:
        return Path(path), form
    if colon and not Path(spec).exists() and Path(path).exists():
        raise DataError(f"got the format {form!r}; expected one of {', '.join(FORMATS)}")
    return Path(spec), None


def read(
    path: str | Path, *, format: str | None = None, languages: Sequence[str] | None = None, **options: Any
) -> Iterator[ParallelSample]:
    """Read samples of any format, in some languages; `options` are those of the format's reader.

    Without `format` it is guessed from the first row. Raises `DataError` for an empty or unknown file.
    """
    place = Path(path)
    if not place.exists():
        raise DataError(f"{place} does not exist; expected a file or a directory of samples")
    name = format or guess_format(place)
    if name not in FORMATS:
        raise DataError(f"got the format {name!r}; expected one of {', '.join(FORMATS)}")
    if name in _TRANSLATED:
        options["languages"] = languages
    elif languages is not None and set(languages) != {"en"}:
        raise DataError(f"{place}: {name} is in English only; got the languages {' '.join(languages)}")
    found = False
    for sample in FORMATS[name](place, **options):
        found = True
        yield sample
    if not found:
        raise DataError(f"{place} holds no samples that can be used; expected at least one")


def guess_format(path: Path) -> str:
    """Guess the format of a file or directory; raise `DataError` where nothing fits."""
    if path.is_dir():
        if any(path.glob("*/original/*")):
            return "ruletaker"
        if any(path.glob("*/randomized_hypernyms_*.jsonl")):
            return "leap_of_thought"
        if any(path.glob("*-*.tsv")):
            return "xnli"
        raise DataError(f"{path} is none of the known layouts; say the format: PATH:FORMAT with {', '.join(FORMATS)}")
    _, first = next(text_lines(path))
    try:
        row = json.loads(first)
    except ValueError:
        row = None
    if isinstance(row, dict):
        if isinstance(row.get("context"), dict):
            return "jsonl"
        if any(key.startswith("premise_") for key in row):
            return "xnli"
        if "phrase" in row:
            return "leap_of_thought"
        questions = row.get("questions")
        if isinstance(questions, list) and questions:
            label = questions[0].get("label") if isinstance(questions[0], dict) else None
            return "pararule" if isinstance(label, str) else "ruletaker"
    elif row is None and "\t" in first:
        return "parallel"
    raise DataError(f"{path}, line 1: is none of the known formats; say which: PATH:FORMAT with {', '.join(FORMATS)}")

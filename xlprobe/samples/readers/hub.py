"""Hugging Face `datasets` with the columns of the project's own format, or flat ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from xlprobe.errors import DataError
from xlprobe.languages import get_language
from xlprobe.samples.readers.ruletaker import sentences
from xlprobe.samples.types import ParallelSample

__all__ = ["read_dataset"]


def read_dataset(dataset: Iterable[Mapping[str, Any]], *, name: str = "dataset") -> Iterator[ParallelSample]:
    """Read a `datasets.Dataset`, or any iterable of rows with these columns.

    `context_<language>` (a text, which is split into sentences, or a list of sentences) and `question_<language>` for
    each language; `label` (an integer) and, where there are any, `key`, `group`, `depth`. Raises `DataError` naming
    the row for a column that is missing or of another type.
    """
    for number, row in enumerate(dataset):
        where = f"{name}, row {number}"
        codes = [column.removeprefix("context_") for column in row if column.startswith("context_")]
        if not codes:
            raise DataError(f"{where}: has the columns {sorted(row)}; expected context_<language> and question_<language>")
        context, question = {}, {}
        for code in codes:
            get_language(code)
            text = row[f"context_{code}"]
            context[code] = sentences(text) if isinstance(text, str) else tuple(text or ())
            asked = row.get(f"question_{code}")
            if not isinstance(asked, str) or not asked:
                raise DataError(f"{where}: question_{code} is {asked!r:.60}; expected a text")
            question[code] = asked
        label = row.get("label")
        if label is not None and not isinstance(label, int):
            raise DataError(f"{where}: label is {label!r}; expected an integer")
        key = str(row.get("key") or f"{name}-{number}")
        yield ParallelSample(key, str(row.get("group") or key), name, context, question, label, row.get("depth"))

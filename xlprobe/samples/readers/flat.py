"""Flat columns: a context and a question for each language, or of one, and a label."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from xlprobe.errors import DataError
from xlprobe.samples.readers.aligned import aligned, chosen
from xlprobe.samples.readers.columns import language_of_file
from xlprobe.samples.readers.containers import rows_of
from xlprobe.samples.readers.jsonl import own_sample
from xlprobe.samples.readers.labels import Labels, number_of
from xlprobe.samples.readers.lines import Row, field_of
from xlprobe.samples.readers.sentences import sentences
from xlprobe.samples.types import ParallelSample

__all__ = ["flat_by_language", "flat_samples", "read_flat"]

_KEPT = ("group", "dataset")


def read_flat(
    path: str | Path, *, languages: str | Sequence[str] | None = None, dataset: str | None = None
) -> Iterator[ParallelSample]:
    """Read a file of `context_<language>` and `question_<language>`, or `context` and `question` in one language.

    A context is a text, which is split into sentences, or a list of sentences. `label` (or `answer`) is the index of a
    class or its name, `depth`, `key`, `group` and `dataset` may be there. The language of a file in one is what its
    name says (train.fr.csv), or the one of `languages`, or English. `dataset` is the file's name up to its first full
    stop, unless given. Raises `DataError` naming the row.
    """
    file = Path(path)
    return flat_samples(rows_of(file), dataset or file.name.split(".")[0], languages, language_of_file(file))


def flat_samples(
    rows: Iterable[Row], name: str, languages: str | Sequence[str] | None = None, language: str | None = None
) -> Iterator[ParallelSample]:
    """Turn flat rows into samples; `language` is that of rows in one language."""
    codes = chosen(languages)
    labels: Labels | None = None
    seen: set[str] = set()
    for number, (where, row) in enumerate(rows):
        context, question = {}, {}
        for code, ending in _columns(row, codes, language, where).items():
            text = field_of(row, f"context{ending}", (str, list), where)
            context[code] = _units(text, code, where)
            question[code] = field_of(row, f"question{ending}", str, where)
        own = {"dataset": name, **{key: row[key] for key in _KEPT if row.get(key) is not None}}
        labels = labels or Labels(tuple(field_of(row, "label_names", list, where)) if row.get("label_names") else ())
        own["label"] = labels.index(row.get("label", row.get("answer")), where)
        own["depth"] = number_of(row.get("depth"))
        own["key"] = str(row.get("key") or f"{name}-{number}")
        if own["key"] in seen:
            raise DataError(f"{where}: the key {own['key']!r:.60} was there before; expected every key once")
        seen.add(own["key"])
        yield own_sample({**own, "context": context, "question": question, "label_names": list(labels.names)}, where)


def flat_by_language(streams: Mapping[str, Iterator[Row]], where: str) -> Iterator[Row]:
    """Join rows of `context` and `question` of one stream for each language into rows of columns for each."""
    for step in aligned(streams, where):
        place, first = next(iter(step.values()))
        for other, row in step.values():
            for column in ("key", "label", "answer"):
                if row.get(column) != first.get(column):
                    raise DataError(
                        f"{other}: has the {column} {row.get(column)!r:.40} where {place} has "
                        f"{first.get(column)!r:.40}; expected the same rows in the same order in every language"
                    )
        texts = {
            f"{part}_{code}": field_of(row, part, (str, list), there)
            for code, (there, row) in step.items()
            for part in ("context", "question")
        }
        yield place, {key: value for key, value in first.items() if key not in ("context", "question")} | texts


def _columns(row: Mapping[str, Any], codes: tuple[str, ...] | None, language: str | None, where: str) -> dict[str, str]:
    """Return the ending of the columns of each language."""
    there = [column.removeprefix("context_") for column in row if column.startswith("context_")]
    if there or "context" not in row:
        try:
            return {code: f"_{code}" for code in codes or chosen(there) or ()}
        except DataError as error:
            raise DataError(f"{where}: {error}") from error
    code = language or (codes[0] if codes is not None and len(codes) == 1 else "en")
    if codes not in (None, (code,)):
        raise DataError(
            f"{where}: is in one language ({code}); got the languages {' '.join(codes or ())}. Give columns for each, "
            f"such as context_{code}, or a directory of a file for each"
        )
    return {code: ""}


def _units(text: str | list[Any], language: str, where: str) -> list[Any]:
    if isinstance(text, list):
        return text
    if text.startswith(("['", '["')):
        raise DataError(
            f"{where}: the context {text!r:.60} is a list written as text; expected the text itself. Tables cannot "
            "hold lists; write JSON lines or Parquet"
        )
    return list(sentences(text, language))

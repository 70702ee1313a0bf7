"""Hugging Face `datasets` objects, or any rows, with the columns of one of the file formats."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from xlprobe.errors import DataError
from xlprobe.samples.readers.aligned import chosen
from xlprobe.samples.readers.columns import format_of
from xlprobe.samples.readers.containers import with_label_names
from xlprobe.samples.readers.flat import flat_by_language, flat_samples
from xlprobe.samples.readers.jsonl import own_samples
from xlprobe.samples.readers.leap_of_thought import leap_samples
from xlprobe.samples.readers.lines import Row
from xlprobe.samples.readers.parallel_text import parallel_samples
from xlprobe.samples.readers.rejected import Rejections
from xlprobe.samples.readers.ruletaker import aligned_rules, rule_samples
from xlprobe.samples.readers.token_tagged import tagged_samples
from xlprobe.samples.readers.xnli import one_language_pairs, pairs_of, xnli_samples

__all__ = ["read_dataset", "read_streams"]

Rows = Iterable[Mapping[str, Any]]
Streams = dict[str, Iterator[Row]]


def read_dataset(
    dataset: Rows | Mapping[str, Rows],
    *,
    format: str | None = None,
    languages: str | Sequence[str] | None = None,
    name: str = "dataset",
    max_depth: int | None = None,
    rejections: Rejections | None = None,
) -> Iterator[Any]:
    """Read a `datasets.Dataset`, or any iterable of rows, with the columns of a file format.

    Formats are told apart by their columns (docs/how-to/own_data_set.md): jsonl, ruletaker, leap_of_thought, xnli
    (wide, or `premise` and `hypothesis` as the Hub has them), pararule, parallel (one per language, or `translation`),
    tagged, and flat (`context_<language>`, `question_<language>`). For data in one language, give a dict of language
    to dataset, aligned by row. `name` starts the keys where the format has no name of its own. The names of a
    `ClassLabel` become the samples' `label_names`. Gives `ParallelSample`, for tagged text `Sample`. Raises `DataError`
    naming the row for a column that is missing or of another type.
    """
    codes = chosen(languages)
    several = isinstance(dataset, Mapping)
    streams = {
        chosen([code])[0] if several else "": _rows(rows, f"{name}, {code}" if several else name)  # type: ignore[index]
        for code, rows in (dataset.items() if isinstance(dataset, Mapping) else (("", dataset),))
    }
    if several and codes is not None:
        if missing := [code for code in codes if code not in streams]:
            raise DataError(f"{name} has the languages {' '.join(streams)}, not {' '.join(missing)}")
        streams = {code: streams[code] for code in codes}
    yield from read_streams(
        streams, format=format, languages=codes, name=name, max_depth=max_depth, rejections=rejections
    )


def read_streams(
    streams: Streams,
    *,
    format: str | None = None,
    languages: tuple[str, ...] | None = None,
    name: str = "dataset",
    max_depth: int | None = None,
    rejections: Rejections | None = None,
) -> Iterator[Any]:
    """Read rows with their places: of one data set (its language is ""), or of one for each language."""
    first_code = next(iter(streams), None)
    first = next(streams[first_code], None) if first_code is not None else None
    if first_code is None or first is None:
        raise DataError(f"{name} has no rows; expected at least one")
    form = format or format_of(first[1], first[0])
    streams[first_code] = chain([first], streams[first_code])
    table = _ONE if "" in streams else _SEVERAL
    if form not in table:
        known = ", ".join(table)
        how = "as one data set" if "" in streams else "by language"
        raise DataError(f"{name}: cannot read {form!r} {how}; only {known}")
    remarks = Rejections() if rejections is None else rejections
    for sample in table[form](_Asked(streams, languages, name, max_depth, remarks)):
        remarks.read += 1
        yield sample
    if rejections is None:
        remarks.say()


def _rows(dataset: Rows, name: str) -> Iterator[Row]:
    features = getattr(dataset, "features", None) or {}
    names = {column: tuple(feature.names) for column, feature in features.items() if hasattr(feature, "names")}
    return with_label_names(_plain_rows(dataset, name), names)


def _plain_rows(dataset: Rows, name: str) -> Iterator[Row]:
    if isinstance(dataset, Mapping):
        raise DataError(f"{name} is a dict of {', '.join(map(str, dataset))}; choose one of its splits")
    for number, row in enumerate(dataset):
        where = f"{name}, row {number}"
        if not isinstance(row, Mapping):
            raise DataError(f"{where}: got a {type(row).__name__}; expected a dict of columns")
        yield where, {column: _plain(value) for column, value in row.items()}


def _plain(value: Any) -> Any:
    """Undo what the columns' types do to rows: absent keys become None, a list of dicts may become a dict of lists."""
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items() if one is not None}
    return [_plain(one) for one in value] if isinstance(value, list) else value


@dataclass(frozen=True)
class _Asked:
    """Rows by language, of one data set as that of the language "", and how they are to be read."""

    streams: Streams
    languages: tuple[str, ...] | None
    name: str
    max_depth: int | None
    rejections: Rejections

    @property
    def rows(self) -> Iterator[Row]:
        return self.streams[""]


def _english_only(form: str, asked: _Asked) -> None:
    if asked.languages is not None and set(asked.languages) != {"en"}:
        raise DataError(
            f"{asked.name}: one dataset of {form} is in one language; got {' '.join(asked.languages)}. "
            "Give a dict of language to dataset"
        )


def _rules(asked: _Asked) -> Iterator[Any]:
    if asked.languages is None or set(asked.languages) == {"en"}:
        return rule_samples(asked.rows, "ruletaker", asked.max_depth)
    from xlprobe.samples.readers.verbalised import verbalised_samples

    return verbalised_samples(asked.rows, asked.languages, asked.max_depth, asked.rejections)


def _pararule(asked: _Asked) -> Iterator[Any]:
    _english_only("pararule", asked)
    return rule_samples(asked.rows, "pararule-plus", asked.max_depth)


def _leap(asked: _Asked) -> Iterator[Any]:
    if "" not in asked.streams:
        return leap_samples(asked.streams, asked.name, asked.rejections)
    _english_only("leap_of_thought", asked)
    return leap_samples({"en": asked.rows}, asked.name, asked.rejections)


def _tagged(asked: _Asked) -> Iterator[Any]:
    if asked.languages is not None:
        raise DataError(f"{asked.name}: tagged text holds its languages inside its sentences; leave out languages")
    return tagged_samples(asked.rows, asked.name)


_ONE: dict[str, Callable[[_Asked], Iterator[Any]]] = {
    "jsonl": lambda asked: own_samples(asked.rows, asked.languages),
    "ruletaker": _rules,
    "pararule": _pararule,
    "leap_of_thought": _leap,
    "xnli": lambda asked: xnli_samples(pairs_of(asked.rows, asked.languages), asked.name),
    "parallel": lambda asked: parallel_samples(asked.rows, asked.name, asked.languages),
    "tagged": _tagged,
    "flat": lambda asked: flat_samples(asked.rows, asked.name, asked.languages),
}
_SEVERAL: dict[str, Callable[[_Asked], Iterator[Any]]] = {
    "ruletaker": lambda asked: aligned_rules(asked.streams, asked.name, asked.max_depth, asked.rejections),
    "leap_of_thought": _leap,
    "xnli": lambda asked: xnli_samples(one_language_pairs(asked.streams, asked.name), asked.name),
    "flat": lambda asked: flat_samples(flat_by_language(asked.streams, asked.name), asked.name),
}

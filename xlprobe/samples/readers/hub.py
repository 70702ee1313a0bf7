"""Hugging Face `datasets` objects, or any rows, with the columns of one of the file formats."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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
from xlprobe.samples.types import ParallelSample

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
    found = Rejections() if rejections is None else rejections
    for sample in table[form](streams, languages, name, max_depth, found):
        found.read += 1
        yield sample
    if rejections is None:
        found.say()


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


def _english_only(form: str, codes: tuple[str, ...] | None, name: str) -> None:
    if codes is not None and set(codes) != {"en"}:
        raise DataError(
            f"{name}: one dataset of {form} is in one language; got {' '.join(codes)}. "
            "Give a dict of language to dataset"
        )


def _own(streams: Streams, codes: Any, name: str, max_depth: Any, found: Rejections) -> Iterator[Any]:
    return own_samples(streams[""], codes)


def _rules(streams: Streams, codes: Any, name: str, max_depth: Any, found: Rejections) -> Iterator[Any]:
    if codes is None or set(codes) == {"en"}:
        return rule_samples(streams[""], "ruletaker", max_depth)
    from xlprobe.samples.readers.verbalised import verbalised_samples

    return verbalised_samples(streams[""], codes, max_depth, found)


def _pararule(streams: Streams, codes: Any, name: str, max_depth: Any, found: Rejections) -> Iterator[Any]:
    _english_only("pararule", codes, name)
    return rule_samples(streams[""], "pararule-plus", max_depth)


def _leap(streams: Streams, codes: Any, name: str, max_depth: Any, found: Rejections) -> Iterator[Any]:
    if "" in streams:
        _english_only("leap_of_thought", codes, name)
        streams = {"en": streams[""]}
    return leap_samples(streams, name, found)


def _xnli(streams: Streams, codes: Any, name: str, max_depth: Any, found: Rejections) -> Iterator[Any]:
    return xnli_samples(pairs_of(streams[""], codes), name)


def _parallel(streams: Streams, codes: Any, name: str, max_depth: Any, found: Rejections) -> Iterator[Any]:
    return parallel_samples(streams[""], name, codes)


def _tagged(streams: Streams, codes: Any, name: str, max_depth: Any, found: Rejections) -> Iterator[Any]:
    if codes is not None:
        raise DataError(f"{name}: tagged text holds its languages inside its sentences; leave out languages")
    return tagged_samples(streams[""], name)


def _flat(streams: Streams, codes: Any, name: str, max_depth: Any, found: Rejections) -> Iterator[Any]:
    return flat_samples(streams[""], name, codes)


def _rules_by_language(streams: Streams, codes: Any, name: str, max_depth: Any, found: Rejections) -> Iterator[Any]:
    return aligned_rules(streams, name, max_depth, found)


def _flat_by_language(streams: Streams, codes: Any, name: str, max_depth: Any, found: Rejections) -> Iterator[Any]:
    return flat_samples(flat_by_language(streams, name), name)


def _xnli_by_language(streams: Streams, codes: Any, name: str, max_depth: Any, found: Rejections) -> Iterator[Any]:
    return xnli_samples(one_language_pairs(streams, name), name)


_ONE: dict[str, Callable[..., Iterator[ParallelSample]]] = {
    "jsonl": _own,
    "ruletaker": _rules,
    "pararule": _pararule,
    "leap_of_thought": _leap,
    "xnli": _xnli,
    "parallel": _parallel,
    "tagged": _tagged,
    "flat": _flat,
}
_SEVERAL: dict[str, Callable[..., Iterator[ParallelSample]]] = {
    "ruletaker": _rules_by_language,
    "leap_of_thought": _leap,
    "xnli": _xnli_by_language,
    "flat": _flat_by_language,
}

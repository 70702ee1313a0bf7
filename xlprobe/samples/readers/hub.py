"""Hugging Face `datasets` objects, or any rows, with the columns of one of the file formats."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from xlprobe.errors import DataError
from xlprobe.samples.readers.aligned import aligned, chosen
from xlprobe.samples.readers.columns import format_of
from xlprobe.samples.readers.jsonl import own_sample, own_samples
from xlprobe.samples.readers.leap_of_thought import leap_samples
from xlprobe.samples.readers.lines import Row, field_of
from xlprobe.samples.readers.parallel_text import parallel_samples
from xlprobe.samples.readers.rejected import Rejections
from xlprobe.samples.readers.ruletaker import aligned_rules, rule_samples, sentences
from xlprobe.samples.readers.token_tagged import tagged_samples
from xlprobe.samples.readers.xnli import Pair, class_of, wide_pairs, xnli_samples
from xlprobe.samples.types import ParallelSample

__all__ = ["read_dataset"]

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
    (wide, or `premise` and `hypothesis` as the hub has them), pararule, parallel (one per language, or `translation`),
    tagged, and flat (`context_<language>`, `question_<language>`). For data in one language, give a dict of language
    to dataset, aligned by row. `name` starts the keys where the format has no name of its own. Gives `ParallelSample`,
    for tagged text `Sample`. Raises `DataError` naming the row for a column that is missing or of another type.
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
    first_code = next(iter(streams), None)
    first = next(streams[first_code], None) if first_code is not None else None
    if first_code is None or first is None:
        raise DataError(f"{name} has no rows; expected at least one")
    form = format or format_of(first[1], first[0])
    streams[first_code] = _again(first, streams[first_code])
    table = _SEVERAL if several else _ONE
    if form not in table:
        known = ", ".join(table)
        raise DataError(f"{name}: cannot read {form!r} {'by language' if several else 'as one dataset'}; only {known}")
    found = Rejections() if rejections is None else rejections
    for sample in table[form](streams, codes, name, max_depth, found):
        found.read += 1
        yield sample
    if rejections is None:
        found.say()


def _rows(dataset: Rows, name: str) -> Iterator[Row]:
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


def _again(first: Row, rest: Iterator[Row]) -> Iterator[Row]:
    yield first
    yield from rest


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
        return rule_samples(_with_questions(streams[""]), "ruletaker", max_depth)
    from xlprobe.samples.readers.verbalised import verbalised_samples

    return verbalised_samples(_with_questions(streams[""]), codes, max_depth, found)


def _pararule(streams: Streams, codes: Any, name: str, max_depth: Any, found: Rejections) -> Iterator[Any]:
    _english_only("pararule", codes, name)
    return rule_samples(_with_questions(streams[""]), "pararule-plus", max_depth)


def _leap(streams: Streams, codes: Any, name: str, max_depth: Any, found: Rejections) -> Iterator[Any]:
    if "" in streams:
        _english_only("leap_of_thought", codes, name)
        streams = {"en": streams[""]}
    return leap_samples(streams, name, found)


def _xnli(streams: Streams, codes: Any, name: str, max_depth: Any, found: Rejections) -> Iterator[Any]:
    return xnli_samples(wide_pairs(map(_widened, streams[""]), codes), name)


def _parallel(streams: Streams, codes: Any, name: str, max_depth: Any, found: Rejections) -> Iterator[Any]:
    rows = ((where, row.get("translation", row)) for where, row in streams[""])
    return parallel_samples(rows, name, codes)


def _tagged(streams: Streams, codes: Any, name: str, max_depth: Any, found: Rejections) -> Iterator[Any]:
    if codes is not None:
        raise DataError(f"{name}: tagged text holds its languages inside its sentences; leave out languages")
    return tagged_samples(streams[""], name)


def _flat(streams: Streams, codes: Any, name: str, max_depth: Any, found: Rejections) -> Iterator[Any]:
    seen: set[str] = set()
    for number, (where, row) in enumerate(streams[""]):
        there = [column.removeprefix("context_") for column in row if column.startswith("context_")]
        context, question = {}, {}
        for code in codes or chosen(there) or ():
            text = field_of(row, f"context_{code}", (str, list), where)
            context[code] = list(sentences(text)) if isinstance(text, str) else text
            question[code] = field_of(row, f"question_{code}", str, where)
        kept = {column: row[column] for column in ("label", "depth", "group", "dataset") if row.get(column) is not None}
        key = str(row.get("key") or f"{name}-{number}")
        own = {"dataset": name, **kept, "key": key, "context": context, "question": question}
        if key in seen:
            raise DataError(f"{where}: the key {key!r} was there before; expected every key once")
        seen.add(key)
        yield own_sample(own, where)


def _rules_by_language(streams: Streams, codes: Any, name: str, max_depth: Any, found: Rejections) -> Iterator[Any]:
    return aligned_rules({code: _with_questions(rows) for code, rows in streams.items()}, name, max_depth, found)


def _xnli_by_language(streams: Streams, codes: Any, name: str, max_depth: Any, found: Rejections) -> Iterator[Any]:
    def pairs() -> Iterator[Pair]:
        for step in aligned(streams, name):
            where = next(iter(step.values()))[0]
            given = {code: row.get("label", row.get("gold_label")) for code, (_, row) in step.items()}
            labels = {code: class_of(label, step[code][0]) for code, label in given.items()}
            if len(set(labels.values())) > 1:
                raise DataError(f"{where}: has the labels {labels}; expected the same rows in the same order")
            texts = [
                {code: field_of(row, part, str, place) for code, (place, row) in step.items()}
                for part in ("premise", "hypothesis")
            ]
            yield Pair(where, texts[0], texts[1], next(iter(labels.values())), {})

    return xnli_samples(pairs(), name)


def _with_questions(rows: Iterable[Row]) -> Iterator[Row]:
    for where, row in rows:
        questions = row.get("questions")
        if isinstance(questions, dict) and all(isinstance(column, list) for column in questions.values()):
            lengths = set(map(len, questions.values()))
            if len(lengths) > 1:
                raise DataError(f"{where}: the columns of 'questions' have {sorted(lengths)} entries; expected as many")
            split = [dict(zip(questions, one, strict=True)) for one in zip(*questions.values(), strict=True)]
            row = {**row, "questions": split}
        yield where, row


def _widened(item: Row) -> Row:
    """Turn the hub's columns of all languages (`premise` a dict, `hypothesis` two lists) into one column each."""
    where, row = item
    if "premise" not in row:
        return item
    wide = {key: value for key, value in row.items() if key not in ("premise", "hypothesis")}
    for part in ("premise", "hypothesis"):
        texts = field_of(row, part, (dict, str), where)
        if isinstance(texts, str):
            raise DataError(f"{where}: {part} is one text; give a dict of language to dataset, such as {{'en': ...}}")
        if set(texts) == {"language", "translation"}:
            texts = dict(zip(texts["language"], texts["translation"], strict=True))
        wide.update({f"{part}_{code}": text for code, text in texts.items()})
    return where, wide


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
}

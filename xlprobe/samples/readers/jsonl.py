"""The project's own format: one parallel problem a line, as `xlprobe data` writes it (docs/how-to/own_data_set.md)."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from xlprobe.errors import DataError
from xlprobe.files import whole_file
from xlprobe.languages import get_language
from xlprobe.samples.readers.aligned import chosen
from xlprobe.samples.readers.containers import rows_of
from xlprobe.samples.readers.lines import Row, field_of, parsed
from xlprobe.samples.types import ParallelSample

__all__ = ["FORMAT", "narrowed", "own_samples", "read_jsonl", "write_jsonl"]

FORMAT = "xlprobe-1"
"""What the field `format` of each line says."""

_SEPARATORS = str.maketrans({"\u2028": "\\u2028", "\u2029": "\\u2029", "\x85": "\\u0085"})


def write_jsonl(samples: Iterable[ParallelSample], path: str | Path) -> int:
    """Write samples, one a line, and return how many; `read_jsonl` gives back equal ones.

    The file is gzipped where its name ends in .gz. It appears under its name once it is whole, and the same samples
    give the same bytes. Raises `DataError` for a sample that could not be read back as it is, and for a place that
    cannot be written to; what was there before then stays.
    """
    target = Path(path)
    try:
        with whole_file(target) as raw:
            return _write(samples, raw, target.suffix == ".gz")
    except OSError as error:
        raise DataError(f"cannot write {target}: {error.strerror}. Choose another place") from error


def _write(samples: Iterable[ParallelSample], raw: Any, zipped: bool) -> int:
    # No name and no time in the archive's header: the same samples give the same bytes.
    file = gzip.GzipFile("", "wb", fileobj=raw, mtime=0) if zipped else raw
    seen: set[str] = set()
    for sample in samples:
        line = _line(sample)
        if sample.key in seen:
            raise DataError(f"got two samples of the key {sample.key!r}; expected every key once in a file")
        seen.add(sample.key)
        file.write(line)
    if zipped:
        file.close()
    return len(seen)


def _line(sample: ParallelSample) -> bytes:
    if not isinstance(sample, ParallelSample):
        raise DataError(f"got a {type(sample).__name__}; expected a ParallelSample: the format holds parallel problems")
    row: dict[str, Any] = {
        "format": FORMAT,
        "key": sample.key,
        "group": sample.group,
        "dataset": sample.dataset,
        "context": {code: list(units) for code, units in sample.context.items()},
        "question": dict(sample.question),
        "label": sample.label,
        "depth": sample.depth,
    }
    if sample.label_names:
        row["label_names"] = list(sample.label_names)
    if sample.meta:
        row["meta"] = dict(sample.meta)
    try:
        # Unicode's line separators are escaped, so that programs that take them for ends of lines read the file too.
        text = json.dumps(row, ensure_ascii=False, allow_nan=False).translate(_SEPARATORS)
        line = (text + "\n").encode()
    except (TypeError, ValueError) as error:
        raise DataError(f"sample {sample.key!r} cannot be written as JSON: {error}") from error
    # Reading it back finds what would be refused (empty texts, unknown languages) or changed (tuples, numbers as keys).
    if own_sample(parsed(text, f"sample {sample.key!r}"), f"sample {sample.key!r}") != sample:
        raise DataError(
            f"sample {sample.key!r} would not come back as it is; expected tuples of units, and in meta only what "
            "JSON knows: texts, numbers, lists, and dicts with texts as keys"
        )
    return line


def read_jsonl(path: str | Path, *, languages: str | Sequence[str] | None = None) -> Iterator[ParallelSample]:
    """Read samples that `write_jsonl` wrote; `languages` keeps some of their languages.

    Raises `DataError`, naming file and line, for a broken line, a missing field, an unknown language, a repeated key.
    """
    return own_samples(rows_of(path), languages)


def own_samples(rows: Iterable[Row], languages: str | Sequence[str] | None = None) -> Iterator[ParallelSample]:
    """Turn rows of the own format into samples."""
    codes = chosen(languages)
    seen: set[str] = set()
    for where, row in rows:
        sample = own_sample(row, where)
        if sample.key in seen:
            raise DataError(f"{where}: the key {sample.key!r} was there before; expected every key once")
        seen.add(sample.key)
        yield sample if codes is None else narrowed(sample, codes, where)


def own_sample(row: dict[str, Any], where: str) -> ParallelSample:
    """Turn one row of the own format into a sample."""
    if row.get("format", FORMAT) != FORMAT:
        raise DataError(f"{where}: has format {row['format']!r:.40}; expected {FORMAT!r}")
    context = field_of(row, "context", dict, where)
    question = field_of(row, "question", dict, where) if "question" in row else {}
    for code in context:
        try:
            get_language(code)
        except DataError as error:
            raise DataError(f"{where}: {error}") from error
        units = field_of(context, code, list, f"{where}, context")
        if not units or not all(isinstance(unit, str) and unit.strip() for unit in units):
            raise DataError(f"{where}: the {code!r} context is {units!r:.60}; expected a list of sentences, none empty")
    for code in question:
        field_of(question, code, str, f"{where}, question")
    whole = (int, type(None))
    label, depth = (field_of(row, name, whole, where) if name in row else None for name in ("label", "depth"))
    names = field_of(row, "label_names", list, where) if row.get("label_names") is not None else []
    if not all(isinstance(name, str) and name.strip() for name in names) or len(set(names)) < len(names):
        raise DataError(f"{where}: 'label_names' is {names!r:.60}; expected different texts, none empty")
    key = field_of(row, "key", str, where)
    group = field_of(row, "group", str, where) if "group" in row else key
    dataset = field_of(row, "dataset", str, where) if "dataset" in row else "jsonl"
    meta = field_of(row, "meta", dict, where) if "meta" in row else {}
    try:
        units_by_language = {code: tuple(units) for code, units in context.items()}
        return ParallelSample(
            key, group, dataset, units_by_language, question, label, depth, meta, label_names=tuple(names)
        )
    except DataError as error:
        raise DataError(f"{where}: {error}") from error


def narrowed(sample: ParallelSample, languages: Sequence[str], where: str) -> ParallelSample:
    """Return the sample in some of its languages; raise `DataError` where one is missing."""
    for code in languages:
        if code not in sample.context:
            raise DataError(
                f"{where}: sample {sample.key!r} exists in {' '.join(sample.languages)}, not in {code!r}; "
                "choose other languages, or data that has them"
            )
    context = {code: sample.context[code] for code in languages}
    question = {code: sample.question[code] for code in languages} if sample.question else {}
    return replace(sample, context=context, question=question)

"""The project's own format: one parallel problem a line, as `xlprobe data` writes it."""

from __future__ import annotations

import gzip
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from xlprobe.errors import DataError
from xlprobe.languages import get_language
from xlprobe.samples.readers.lines import field_of, json_lines
from xlprobe.samples.types import ParallelSample

__all__ = ["read_jsonl", "write_jsonl"]

FORMAT = "xlprobe-1"


def write_jsonl(samples: Iterable[ParallelSample], path: str | Path) -> int:
    """Write samples, one a line, atomically (gzipped where the name ends in .gz); return how many."""
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    except OSError as error:
        raise DataError(f"cannot write {target}: {error.strerror}. Choose another place") from error
    count = 0
    try:
        with os.fdopen(handle, "wb") as raw:
            # No name and no time in the archive's header: the same samples give the same bytes.
            file: Any = gzip.GzipFile("", "wb", fileobj=raw, mtime=0) if target.suffix == ".gz" else raw
            for sample in samples:
                file.write((json.dumps(_row(sample), ensure_ascii=False) + "\n").encode())
                count += 1
            if file is not raw:
                file.close()
        os.chmod(name, 0o644)
        os.replace(name, target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return count


def _row(sample: ParallelSample) -> dict[str, Any]:
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
    if sample.meta:
        row["meta"] = dict(sample.meta)
    return row


def read_jsonl(path: str | Path, *, languages: Sequence[str] | None = None) -> Iterator[ParallelSample]:
    """Read samples that `write_jsonl` wrote; `languages` keeps some of their languages.

    Raises `DataError`, naming file and line, for a broken line, a missing field, an unknown language, a repeated key.
    """
    file = Path(path)
    seen: set[str] = set()
    for number, row in json_lines(file):
        where = f"{file}, line {number}"
        if row.get("format", FORMAT) != FORMAT:
            raise DataError(f"{where}: has format {row['format']!r}; expected {FORMAT!r}")
        sample = _sample(row, where)
        if sample.key in seen:
            raise DataError(f"{where}: the key {sample.key!r} was there before; expected every key once")
        seen.add(sample.key)
        yield sample if languages is None else narrowed(sample, languages)


def _sample(row: dict[str, Any], where: str) -> ParallelSample:
    context = field_of(row, "context", dict, where)
    question = field_of(row, "question", dict, where) if "question" in row else {}
    for code in context:
        get_language(code)
        units = field_of(context, code, list, f"{where}, context")
        if not units or not all(isinstance(unit, str) for unit in units):
            raise DataError(f"{where}: the {code!r} context is {units!r:.60}; expected a list of sentences")
    for code in question:
        field_of(question, code, str, f"{where}, question")
    whole = (int, type(None))
    label, depth = (field_of(row, name, whole, where) if name in row else None for name in ("label", "depth"))
    key = field_of(row, "key", str, where)
    group = field_of(row, "group", str, where) if "group" in row else key
    dataset = field_of(row, "dataset", str, where) if "dataset" in row else "jsonl"
    meta = field_of(row, "meta", dict, where) if "meta" in row else {}
    try:
        units_by_language = {code: tuple(units) for code, units in context.items()}
        return ParallelSample(key, group, dataset, units_by_language, question, label, depth, meta)
    except DataError as error:
        raise DataError(f"{where}: {error}") from error


def narrowed(sample: ParallelSample, languages: Sequence[str]) -> ParallelSample:
    """Return the sample in some of its languages; raise `DataError` where one is missing."""
    for code in languages:
        get_language(code)
        if code not in sample.context:
            raise DataError(
                f"sample {sample.key!r} of {sample.dataset} exists in {' '.join(sample.languages)}, not in {code!r}; "
                "choose other languages, or data that has them"
            )
    context = {code: sample.context[code] for code in languages}
    question = {code: sample.question[code] for code in languages} if sample.question else {}
    return ParallelSample(
        sample.key, sample.group, sample.dataset, context, question, sample.label, sample.depth, sample.meta
    )

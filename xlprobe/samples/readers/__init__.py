"""Readers of real data sets: each is an iterator of samples, and each error names file and line."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, overload

from xlprobe.errors import DataError
from xlprobe.samples.readers.aligned import chosen
from xlprobe.samples.readers.columns import format_of, language_of_file
from xlprobe.samples.readers.containers import rows_of
from xlprobe.samples.readers.directories import language_files
from xlprobe.samples.readers.flat import read_flat
from xlprobe.samples.readers.hub import read_dataset, read_streams
from xlprobe.samples.readers.jsonl import read_jsonl, write_jsonl
from xlprobe.samples.readers.leap_of_thought import read_leap_of_thought
from xlprobe.samples.readers.negation import negated
from xlprobe.samples.readers.parallel_text import read_parallel_text
from xlprobe.samples.readers.pararule import read_pararule
from xlprobe.samples.readers.rejected import Rejected, Rejections
from xlprobe.samples.readers.ruletaker import read_ruletaker
from xlprobe.samples.readers.token_tagged import read_token_tagged
from xlprobe.samples.readers.xnli import XNLI_LABELS, has_no_header, read_xnli
from xlprobe.samples.types import ParallelSample, Sample
from xlprobe.stores import address_of, fetched

__all__ = [
    "FORMATS",
    "XNLI_LABELS",
    "Rejected",
    "Rejections",
    "guess_format",
    "negated",
    "parse_spec",
    "read",
    "read_dataset",
    "read_flat",
    "read_jsonl",
    "read_leap_of_thought",
    "read_parallel_text",
    "read_pararule",
    "read_ruletaker",
    "read_token_tagged",
    "read_xnli",
    "write_jsonl",
]

FORMATS: dict[str, Callable[..., Iterator[Any]]] = {
    "jsonl": read_jsonl,
    "ruletaker": read_ruletaker,
    "leap_of_thought": read_leap_of_thought,
    "xnli": read_xnli,
    "pararule": read_pararule,
    "parallel": read_parallel_text,
    "tagged": read_token_tagged,
    "flat": read_flat,
}
"""The reader of each format by its name. All give `ParallelSample`, but "tagged" gives `Sample`."""

_IN_ONE_LANGUAGE = ("ruletaker", "leap_of_thought", "pararule")
_WITHOUT_LANGUAGES = {
    "pararule": "is in English only; ask for en",
    "tagged": "holds its languages inside its sentences; leave languages out, or use read_token_tagged",
}


def parse_spec(spec: str) -> tuple[Path, str | None]:
    """Split "PATH:FORMAT" into a path and a format; without a format it is guessed later.

    Raises `DataError` where what follows the last colon is no format and PATH alone exists.
    """
    path, colon, form = spec.rpartition(":")
    if colon and form in FORMATS:
        return Path(path), form
    if colon and not address_of(spec) and not Path(spec).exists() and Path(path).exists():
        raise DataError(f"got the format {form!r}; expected one of {', '.join(FORMATS)}")
    return Path(spec), None


@overload
def read(  # type: ignore[overload-overlap]
    path: str | Path, format: Literal["tagged"], languages: None = None, **options: Any
) -> Iterator[Sample]: ...


@overload
def read(
    path: str | Path, format: str | None = None, languages: str | Sequence[str] | None = None, **options: Any
) -> Iterator[ParallelSample]: ...


def read(
    path: str | Path, format: str | None = None, languages: str | Sequence[str] | None = None, **options: Any
) -> Iterator[Any]:
    """Read samples of any format, in some languages (all that there are, if None); an iterator, read as it goes.

    `path` may be an address that fsspec knows (s3://bucket/file), which is copied into the cache. `options` are those
    of the format's reader. Without `format` it is guessed from the first row. Raises `DataError` for what does not
    exist, is empty, of no known format, or holds nothing that can be used.
    """
    place = fetched(path, DataError)
    if not place.exists():
        raise DataError(f"{place} does not exist; expected a file or a directory of samples")
    name = format or guess_format(place)
    if name not in FORMATS:
        raise DataError(f"got the format {name!r}; expected one of {', '.join(FORMATS)}")
    codes = chosen(languages)
    if name in _IN_ONE_LANGUAGE and place.is_file() and (said := language_of_file(place)) not in (None, "en"):
        raise DataError(
            f"{place}: is in {said!r} by its name, and {name} files are read as English. Give the directory of a file "
            "for each language, or rename it"
        )
    if place.is_dir() and name in ("flat", "ruletaker", "leap_of_thought") and not _released(place):
        return _some(_by_language(place, name, codes, options), f"{place} holds no {name} samples", Rejections())
    if name not in _WITHOUT_LANGUAGES:
        options["languages"] = codes
    elif codes is not None and (name == "tagged" or set(codes) != {"en"}):
        raise DataError(f"{place}: {name} text {_WITHOUT_LANGUAGES[name]}; got the languages {' '.join(codes)}")
    own = Rejections()
    if name in ("ruletaker", "leap_of_thought") and options.get("rejections") is None:
        options["rejections"] = own
    return _some(FORMATS[name](place, **options), f"{place} holds no {name} samples that can be used", own)


def _some(samples: Iterator[Any], nothing: str, rejections: Rejections) -> Iterator[Any]:
    empty = True
    for sample in samples:
        empty = False
        yield sample
    if empty:
        raise DataError(f"{nothing}; expected at least one. {rejections.summary()}".rstrip(". "))
    rejections.say()


def _by_language(place: Path, name: str, codes: tuple[str, ...] | None, options: dict[str, Any]) -> Iterator[Any]:
    files = language_files(place, codes, options.pop("split", None)).files
    streams = {code: rows_of(file) for code, file in files.items()}
    return read_streams(streams, format=name, name=place.name, **options)


def _released(place: Path) -> str | None:
    """Return the format of a directory in the layout of arXiv 2310.15258's release."""
    for pattern, name in (
        ("*/original/*/*.jsonl*", "ruletaker"),
        ("*/randomized_hypernyms_*.jsonl*", "leap_of_thought"),
    ):
        if any(place.glob(pattern)):
            return name
    return None


def guess_format(path: str | Path) -> str:
    """Guess the format of a file or directory; raise `DataError` where nothing fits."""
    place = fetched(path, DataError)
    if place.is_dir():
        if (name := _released(place)) is not None:
            return name
        file = next(iter(language_files(place).files.values()))
        return "xnli" if has_no_header(file) else guess_format(file)
    where, row = next(rows_of(place))
    try:
        return format_of(row, where)
    except DataError as error:
        raise DataError(f"{error}: PATH:FORMAT with one of {', '.join(FORMATS)}") from error

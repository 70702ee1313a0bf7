"""Directories with a file for each language."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from xlprobe.errors import DataError
from xlprobe.languages import KNOWN_LANGUAGES
from xlprobe.samples.readers.aligned import english_first
from xlprobe.samples.readers.columns import language_in

__all__ = ["LanguageFiles", "language_files"]

_SUFFIXES = (".jsonl", ".json", ".tsv", ".csv", ".parquet")
_SPLITS = {"train": "train", "dev": "dev", "validation": "dev", "valid": "dev", "val": "dev", "test": "test"}


@dataclass(frozen=True)
class LanguageFiles:
    """One file for each language, English first, and the split that they are of, where their names say it."""

    files: dict[str, Path]
    split: str | None


def language_files(base: Path, languages: tuple[str, ...] | None = None, split: str | None = None) -> LanguageFiles:
    """Find the files of a directory that have a language in their name (train.fr.tsv), or in that of their folder.

    `split` is train, dev or test; without it there is one split, or dev is taken. Raises `DataError` where there are
    none, several of one language, or a language lacks its file.
    """
    candidates = [(code, _split_of(path), path) for code, path in _all(base)]
    there = list(dict.fromkeys(one for _, one, _ in candidates if one is not None))
    if split is not None:
        wanted: str | None = _SPLITS.get(split, split)
    elif len(there) > 1 and "dev" not in there:
        raise DataError(f"{base} has files of {', '.join(there)}; say which: split={there[0]!r}")
    else:
        wanted = "dev" if "dev" in there else next(iter(there), None)
    files: dict[str, Path] = {}
    for code, one, path in candidates:
        if one not in (wanted, None) or (languages is not None and code not in languages):
            continue
        if code in files:
            raise DataError(f"{base} has two files in {code!r}, {files[code].name} and {path.name}; expected one")
        files[code] = path
    if not files or (languages is not None and set(files) != set(languages)):
        missing = [code for code in languages or () if code not in files]
        raise DataError(
            f"{base} has no file {f'of {wanted} ' if wanted else ''}in {' '.join(missing) or 'any language'}; expected "
            f"one for each, such as {wanted or 'train'}.fr.tsv. It has {_some(path.name for _, _, path in candidates)}"
        )
    return LanguageFiles({code: files[code] for code in languages or english_first(files)}, wanted)


def _all(base: Path) -> list[tuple[str, Path]]:
    """Return the files with a language, of the directory itself and of folders named by a language."""
    own = [(language_in(path.name), path) for path in sorted(base.iterdir()) if _is_data(path)]
    below = [
        (folder.name, path)
        for folder in sorted(base.iterdir())
        if folder.name in KNOWN_LANGUAGES and folder.is_dir()
        for path in sorted(folder.iterdir())
        if _is_data(path)
    ]
    return [(code, path) for code, path in (*own, *below) if code is not None]


def _is_data(path: Path) -> bool:
    return path.name.removesuffix(".gz").endswith(_SUFFIXES) and path.is_file()


def _split_of(path: Path) -> str | None:
    return next((_SPLITS[part] for part in re.split(r"[._-]", path.name) if part in _SPLITS), None)


def _some(names: Iterable[str]) -> str:
    return ", ".join(list(names)[:5]) or "none with a language in its name"

"""A run that is done in parts by jobs that know nothing of each other (`--shard 3/64`), and put together afterwards."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from xlprobe.errors import ResultsError
from xlprobe.files import disk_errors, write_atomically
from xlprobe.measuring.processes import process_count
from xlprobe.stores import said

__all__ = ["MERGE", "Part", "finish_part", "forget_parts", "needed", "part_of", "recorded", "start_part"]

MERGE = "merge"
"""What `--shard` is when the parts are put together."""

_RECORD = ".parts.json"
_PLACE = re.compile(r"^\.shards-[^/]+/[^/]*-(\d+)/")
_SHARD = re.compile(r"(\d{1,6})/(\d{1,6})")

Part = tuple[int, int] | Literal["merge"] | None
"""Number (from 0) and count of a part, or that all are put together, or neither."""


def part_of(shard: str | None) -> Part:
    """Read "3/64", the third of 64 parts; raises `ResultsError` for what is none."""
    if shard is None or shard == MERGE:
        return None if shard is None else "merge"
    found = _SHARD.fullmatch(shard.strip())
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise ResultsError(f"got the shard {shard!r:.40}; expected NUMBER/COUNT from 1/COUNT on, such as '3/64'")
    if process_count() > 1:
        raise ResultsError(
            f"got the shard {shard!r} in one of {process_count()} processes of a launcher, which share a run already; "
            "use one or the other"
        )
    return int(found[1]) - 1, int(found[2])


def needed(shard: str | None) -> Callable[[str], bool]:
    """Return what says of a file, by its name in a run's directory, whether the run needs it: a part its own shards."""
    part = part_of(shard)

    def is_needed(name: str) -> bool:
        number = _PLACE.search(name)
        return number is None or not isinstance(part, tuple) or int(number[1]) % part[1] == part[0]

    return is_needed


def start_part(command: str, options: Mapping[str, Any]) -> bool:
    """Where `options` ask for a part, write down in their `out` of what, so that the parts can be put together.

    Returns whether they do. Raises `ResultsError` where the directory holds parts of another command.
    """
    part, directory = part_of(options["shard"]), options["out"]
    if not isinstance(part, tuple):
        return False
    plain = {name: str(value) if isinstance(value, Path) else value for name, value in options.items()}
    plain = {name: value for name, value in plain.items() if name not in ("shard", "debug", "out")}
    about = {"command": command, "parts": part[1], "options": plain, "from": os.getcwd()}
    file = directory / _RECORD
    if file.is_file() and (known := json.loads(file.read_text(encoding="utf-8"))) != json.loads(json.dumps(about)):
        differs = [name for name in plain if plain[name] != known["options"].get(name)] or ["the number of parts"]
        raise ResultsError(
            f"{directory} holds parts of another run, with other values of {', '.join(differs)}; give all jobs of an "
            "array the same options but --shard, or choose another directory with --out"
        )
    write_atomically(file, json.dumps(about))
    return True


def finish_part(directory: Path, shard: str, out: str | Path) -> str:
    """Write down that a part is done; return what to say, of a directory that was given as `out`."""
    part = part_of(shard)
    assert isinstance(part, tuple)
    write_atomically(directory / _done(part), "")
    count = len(list(directory.glob(_done(("*", part[1])))))
    return f"shard {shard} is done, as are {count} of {part[1]}; put them together with: xlprobe merge {said(out)}"


def recorded(directory: Path) -> dict[str, Any]:
    """Return what command the parts in a directory are of; raise `ResultsError` unless all of them are done."""
    try:
        about: dict[str, Any] = json.loads((directory / _RECORD).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ResultsError(
            f"{directory} holds no parts of a run; expected the --out of measure or evaluate with --shard"
        ) from error
    count = about["parts"]
    lacking = [f"{one + 1}/{count}" for one in range(count) if not (directory / _done((one, count))).exists()]
    if lacking:
        raise ResultsError(
            f"{len(lacking)} of {count} parts in {directory} are not done: --shard {', '.join(lacking[:8])}"
            f"{', ...' if len(lacking) > 8 else ''}. Run these (again); the others are kept"
        )
    return about


def forget_parts(directory: Path) -> None:
    """Remove what `start_part` and `finish_part` wrote."""
    with disk_errors(directory):
        for file in [directory / _RECORD, *directory.glob(".part-*-of-*")]:
            file.unlink(missing_ok=True)


def _done(part: tuple[int | str, int]) -> str:
    number = part[0] + 1 if isinstance(part[0], int) else part[0]
    return f".part-{number}-of-{part[1]}"

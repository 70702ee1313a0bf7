"""A run that is done in parts by jobs that know nothing of each other (`--shard 3/64`), and put together afterwards."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from xlprobe.errors import ResultsError
from xlprobe.files import disk_errors, write_atomically
from xlprobe.measuring.processes import pin_device, process_count, process_number, refuse_processes
from xlprobe.stores import Directory, address_of, said, staged

__all__ = ["MERGE", "CommandRun", "Part", "command_run", "forget_parts", "part_of", "recorded", "staged_run"]

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
    match = _SHARD.fullmatch(shard.strip())
    if not match or not 1 <= int(match[1]) <= int(match[2]):
        raise ResultsError(f"got the shard {shard!r:.40}; expected NUMBER/COUNT from 1/COUNT on, such as '3/64'")
    if process_count() > 1:
        raise ResultsError(
            f"got the shard {shard!r} in one of {process_count()} processes of a launcher, which share a run already; "
            "use one or the other"
        )
    return int(match[1]) - 1, int(match[2])


@contextmanager
def staged_run(out: str | Path | None, shard: str | None, what: str) -> Iterator[Directory]:
    """Yield the directory in which a run is made (see `xlprobe.stores.staged`).

    Raises `ResultsError` where the processes of a launcher would put `what` to one address.
    """
    if out is not None and address_of(out):
        refuse_processes(f"{what} to {said(out)}", "let each do a part of its own: --shard 1/2")
    with staged(out, _needed(shard)) as place:
        yield place


@dataclass
class CommandRun:
    """A command at work: the directory of its files, whether they are all there at its end, and what it says then."""

    directory: Path
    is_whole: bool
    said: str = ""


@contextmanager
def command_run(command: str, options: Mapping[str, Any]) -> Iterator[CommandRun]:
    """Run a command with these options, `out` and `shard` among them, and say what came of it.

    A part is written down before its work and after it; of the processes of a launcher the first speaks.
    """
    pin_device()
    out, shard = options["out"], options["shard"]
    with staged(out, _needed(shard)) as made:
        in_part = _start_part(command, {**options, "out": made.path})
        run = CommandRun(made.path, not in_part and process_number() == 0)
        yield run
        if in_part:
            run.said = _finish_part(made.path, str(shard), out)
    if process_number() == 0:
        print(run.said)


def _needed(shard: str | None) -> Callable[[str], bool]:
    """Return what says of a file, by its name in a run's directory, whether the run needs it: a part its own shards."""
    part = part_of(shard)

    def is_needed(name: str) -> bool:
        number = _PLACE.search(name)
        return number is None or not isinstance(part, tuple) or int(number[1]) % part[1] == part[0]

    return is_needed


def _start_part(command: str, options: Mapping[str, Any]) -> bool:
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


def _finish_part(directory: Path, shard: str, out: str | Path) -> str:
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
    """Remove what `command_run` wrote."""
    with disk_errors(directory):
        for file in [directory / _RECORD, *directory.glob(".part-*-of-*")]:
            file.unlink(missing_ok=True)


def _done(part: tuple[int | str, int]) -> str:
    number = part[0] + 1 if isinstance(part[0], int) else part[0]
    return f".part-{number}-of-{part[1]}"

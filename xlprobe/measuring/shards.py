"""Sharing one run among processes: `accelerate launch -m xlprobe measure ...` and `... evaluate ...`.

The work is cut into shards that depend on the data alone. Process r of n takes every n-th shard and writes each, when
it is finished, into a hidden directory beside the table; the first process puts them together in their order. What a
run that broke off has finished is found there and not done again. Directories must be shared by all machines. The
numbers are those of a single process, because a single process sums over the same shards in the same order.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd

from xlprobe.errors import ResultsError
from xlprobe.results import COLUMNS, Results, ResultsWriter

__all__ = ["Shards", "pin_device", "process_count", "process_number", "refuse_processes"]

SHARD_BATCHES = 16
"""Batches to a shard: few enough that little is lost with a process, many enough that files stay few."""

_POLL, _PATIENCE = 0.5, 6 * 3600.0
PATIENCE = "XLPROBE_SHARD_TIMEOUT"

State = dict[str, Any]


class Target(Protocol):
    """Where rows go: the table's writer, or a list in memory."""

    def append_table(self, table: Any) -> None:
        """Take the rows of an Arrow table."""


Work = Callable[[Any, Any], State]


def process_count() -> int:
    """Return how many processes share this run, as accelerate and torchrun say it in $WORLD_SIZE."""
    return max(1, int(os.environ.get("WORLD_SIZE", "1") or 1))


def process_number() -> int:
    """Return the number of this process among those that share the run, from 0."""
    return int(os.environ.get("RANK", "0") or 0) if process_count() > 1 else 0


def pin_device() -> None:
    """Leave this process only the GPU of its own, so that "cuda" is another one in each; call before CUDA starts."""
    if process_count() == 1:
        return
    local = int(os.environ.get("LOCAL_RANK", "0") or 0)
    visible = [part for part in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if part.strip()]
    os.environ["CUDA_VISIBLE_DEVICES"] = visible[local % len(visible)] if visible else str(local)


def refuse_processes(command: str, instead: str) -> None:
    """Raise `ResultsError` where several processes run a command that only one can."""
    if process_count() > 1:
        raise ResultsError(f"{process_count()} processes run {command}, which is for one; {instead}")


@dataclass(frozen=True)
class Shards:
    """The shards of one run; with one process (`count` 1) nothing is written beside the table.

    `fingerprint` tells runs apart: checkpoints, data, options and versions. Shards of another one are never used.
    """

    directory: Path
    fingerprint: str
    number: int = 0
    count: int = 1
    patience: float = _PATIENCE
    _own: list[Path] = field(default_factory=list, repr=False)

    @classmethod
    def of_run(cls, directory: str | Path | None, about: Mapping[str, Any]) -> Shards:
        """Return the shards of a run whose table goes to `directory`; `about` is what identifies the run.

        Raises `ResultsError` where several processes have no directory that all of them know.
        """
        count = process_count()
        if count > 1 and directory is None:
            raise ResultsError(
                f"{count} processes share this run and have no directory in common; say out=DIRECTORY (--out), on a "
                "disk that all of them see"
            )
        known = {key: value for key, value in about.items() if key != "created"}
        fingerprint = hashlib.sha256(json.dumps(known, sort_keys=True, default=str).encode()).hexdigest()[:16]
        place = Path(directory or ".") / f".shards-{fingerprint}"
        return cls(place, fingerprint, process_number(), count, float(os.environ.get(PATIENCE, _PATIENCE)))

    @property
    def is_first(self) -> bool:
        """Whether this process puts the table together."""
        return self.number == 0

    def writer(self, directory: str | Path, manifest: Mapping[str, Any]) -> ResultsWriter:
        """Return the table's writer; the other processes get one whose table nobody reads."""
        if self.is_first:
            return ResultsWriter(directory, manifest)
        return ResultsWriter(tempfile.mkdtemp(prefix="xlprobe-"), manifest)

    def states(self, name: str, parts: Sequence[Any], work: Work, writer: Target) -> Iterator[State]:
        """Do the work, part by part, and yield each part's state in order.

        `work(part, writer)` writes rows and returns sums: nested mappings of numbers and arrays. `name` tells the
        passes of a run apart. Processes other than the first yield nothing: they do their parts and leave them to it.
        """
        if self.count == 1:
            for part in parts:
                yield work(part, writer)
            return
        for place, part in enumerate(parts):
            if place % self.count == self.number:
                self._own.append(self._finish(self._path(name, place), part, work))
        if not self.is_first:
            return
        for place in range(len(parts)):
            table = self._wait(self._path(name, place), len(parts))
            for rows in table.tables():
                writer.append_table(rows)
            yield _decoded(table.manifest["state"])

    def close(self) -> Results | None:
        """Remove the shards once the table is written; other processes than the first return their own rows."""
        if self.is_first:
            if self.count > 1:
                shutil.rmtree(self.directory, ignore_errors=True)
            return None
        own = [Results.load(path) for path in self._own if path.is_dir()]
        return Results.concat(own) if own else Results(pd.DataFrame({name: [] for name in COLUMNS}))

    def _path(self, name: str, place: int) -> Path:
        # Names of models may hold slashes.
        plain = re.sub(r"[^A-Za-z0-9.-]+", "_", name)
        return self.directory / f"{plain}-{zlib.crc32(name.encode()):08x}-{place:05d}"

    def _finish(self, path: Path, part: Any, work: Work) -> Path:
        """Do one part and give its directory its name when it is whole."""
        if path.is_dir():
            return path
        self.directory.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(dir=self.directory, prefix=f".{path.name}."))
        try:
            with ResultsWriter(partial, {"fingerprint": self.fingerprint}) as writer:
                writer.manifest["state"] = _encoded(work(part, writer))
            partial.rename(path)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        return path

    def _wait(self, path: Path, parts: int) -> Results:
        """Wait for a shard of another process for as long as any shard is being finished."""
        latest, since = -1, time.monotonic()
        while not path.is_dir():
            finished = sum(1 for _ in self.directory.glob("[!.]*"))
            if finished != latest:
                latest, since = finished, time.monotonic()
            if time.monotonic() - since > self.patience:
                raise ResultsError(
                    f"waited {self.patience:.0f} s for {path.name} (one of {parts} shards) of another process, which "
                    f"seems to have failed. Run again: the {finished} finished ones in {self.directory} are used"
                )
            time.sleep(_POLL)
        return Results.load(path)


def _encoded(value: Any) -> Any:
    """Turn sums into what JSON holds without loss; keys may be tuples, arrays keep their type and shape."""
    if isinstance(value, Mapping):
        return {"map": [[_encoded(key), _encoded(entry)] for key, entry in value.items()]}
    if isinstance(value, tuple):
        return {"tuple": [_encoded(entry) for entry in value]}
    if isinstance(value, (np.ndarray, np.generic)):
        array = np.asarray(value)
        return {"array": array.tolist(), "dtype": str(array.dtype), "shape": list(array.shape)}
    if isinstance(value, list):
        return {"list": [_encoded(entry) for entry in value]}
    return value


def _decoded(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if "map" in value:
        return {_decoded(key): _decoded(entry) for key, entry in value["map"]}
    if "tuple" in value:
        return tuple(_decoded(entry) for entry in value["tuple"])
    if "list" in value:
        return [_decoded(entry) for entry in value["list"]]
    return np.array(value["array"], dtype=value["dtype"]).reshape(value["shape"])

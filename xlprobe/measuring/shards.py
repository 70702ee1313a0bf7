"""The work of a run, cut into shards that are kept until its table is whole: to go on after a stop, and to share it.

Shards depend on the data alone. Each is written, when it is finished, into a hidden directory beside the table; what a
run that broke off has finished is there when the same command runs again, and is not done twice. Where several
processes share a run (`accelerate launch -m xlprobe measure ...`), process r of n takes every n-th shard, and the first
puts them together in their order; directories must then be shared by all machines. The numbers are those of a single
process, because a single process sums over the same shards in the same order."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from xlprobe.errors import ResultsError
from xlprobe.files import disk_errors
from xlprobe.interrupts import interrupts_held
from xlprobe.measuring.job_array import MERGE, Part, part_of
from xlprobe.measuring.processes import process_count, process_number
from xlprobe.measuring.states import decoded, encoded
from xlprobe.results import COLUMNS, Results, ResultsWriter
from xlprobe.results.patterns import PATTERNS
from xlprobe.results.schema import CODED
from xlprobe.results.writer import RowGatherer
from xlprobe.stores import put_now

__all__ = ["SHARD_BATCHES", "Shards"]

SHARD_BATCHES = 16
"""Batches to a shard: few enough that little is lost with a process, many enough that files stay few."""

_POLL, _PATIENCE = 0.5, 6 * 3600.0
PATIENCE = "XLPROBE_SHARD_TIMEOUT"
ROWS, STATE = "rows.arrow", "state.json"

State = dict[str, Any]
Work = Callable[[Any, Any], State]


class ShardWriter(RowGatherer):
    """Writes the rows of one shard, quickly rather than small; `directory` may take further files of the shard."""

    def __init__(self, directory: Path) -> None:
        super().__init__()
        self.directory = directory
        options = pa.ipc.IpcWriteOptions(compression="lz4")
        self._stream = pa.ipc.new_stream(str(directory / ROWS), CODED, options=options)

    def _store(self, table: pa.Table) -> None:
        with disk_errors(self.directory / ROWS):
            self._stream.write_table(table.unify_dictionaries())

    def close(self) -> None:
        """Write what is left."""
        try:
            self._flush_all()
        finally:
            self._thread.shutdown()
            with disk_errors(self.directory / ROWS):
                self._stream.close()


def rows_of(shard: Path) -> Iterator[pa.Table]:
    """Yield the rows of a finished shard, piece by piece."""
    with pa.memory_map(str(shard / ROWS)) as file, pa.ipc.open_stream(file) as stream:
        for batch in stream:
            yield pa.Table.from_batches([batch])


@dataclass(frozen=True)
class Shards:
    """The shards of one run, of which this process does every `count`-th from `number`.

    Without a `directory` none is kept. `fingerprint` tells runs apart: data, options and versions. Shards of another
    one are never used.
    """

    directory: Path | None = None
    fingerprint: str = ""
    number: int = 0
    count: int = 1
    patience: float = _PATIENCE
    said: bool = False
    """Whether the run has a place to say that it goes on."""
    part: Part = None
    """Where jobs do a run in parts: which of them this is, or that they are put together."""
    _own: list[Path] = field(default_factory=list, repr=False)

    @classmethod
    def of_run(
        cls, directory: str | Path | None, about: Mapping[str, Any], *, say: bool = False, shard: str | None = None
    ) -> Shards:
        """Return the shards of a run whose table goes to `directory`; `about` is what identifies the run.

        With `say` the run tells on standard error what it need not do again. `shard`: "3/64" does the third of 64
        parts and no more, "merge" takes what all parts have done. Raises `ResultsError` where several processes have no
        directory that all of them know.
        """
        part = part_of(shard)
        number, count = part if isinstance(part, tuple) else (process_number(), process_count())
        if directory is None:
            if count == 1 and part is None:
                return cls()
            raise ResultsError(
                f"{count} processes share this run and have no directory in common; say out=DIRECTORY (--out), on a "
                "disk that all of them see"
            )
        known = {key: value for key, value in about.items() if key != "created"}
        fingerprint = hashlib.sha256(json.dumps(known, sort_keys=True, default=str).encode()).hexdigest()[:16]
        place = Path(directory) / f".shards-{fingerprint}"
        done = sum(1 for _ in place.glob("[!.]*"))
        if say and done and count == 1:
            print(f"going on in {directory}: {done} shards of this run were finished before", file=sys.stderr)
        patience = float(os.environ.get(PATIENCE, _PATIENCE))
        return cls(place, fingerprint, number, count, patience, part=part)

    @property
    def is_first(self) -> bool:
        """Whether this process puts the table together."""
        return self.number == 0 and not isinstance(self.part, tuple)

    def writer(self, directory: str | Path, manifest: Mapping[str, Any]) -> ResultsWriter:
        """Return the table's writer; the other processes get one whose table nobody reads."""
        if self.is_first:
            return ResultsWriter(directory, manifest)
        return ResultsWriter(tempfile.mkdtemp(prefix="xlprobe-"), manifest)

    def states(self, name: str, pieces: Sequence[Any], work: Work, writer: Any) -> Iterator[State]:
        """Do the work, piece by piece, and yield each one's state in order.

        `work(piece, writer)` writes rows and returns sums: nested mappings of numbers and arrays. `name` tells the
        passes of a run apart. Processes other than the first yield nothing: they do their shards and leave them to it.
        """
        if self.directory is None:
            for piece in pieces:
                yield work(piece, writer)
            return
        if self.part == MERGE:
            self._refuse_missing(name, len(pieces))
        alone = self.count == 1 and self.is_first
        for place, piece in enumerate(pieces):
            if place % self.count == self.number:
                self._own.append(self._finish(self._path(name, place), piece, work))
            if alone:
                yield self._collect(self._path(name, place), writer)
        if alone or not self.is_first:
            return
        for place in range(len(pieces)):
            self._wait(self._path(name, place), len(pieces))
            yield self._collect(self._path(name, place), writer)

    def finished(self) -> list[Path]:
        """Return the directories of the shards that are finished."""
        return [] if self.directory is None else sorted(self.directory.glob("[!.]*"))

    def close(self) -> Results | None:
        """Remove the shards once the table is written; other processes than the first return their own rows."""
        if self.is_first:
            if self.directory is not None:
                shutil.rmtree(self.directory, ignore_errors=True)
            return None
        own = [table for path in self._own if path.is_dir() for table in rows_of(path)]
        return Results(pa.concat_tables(own)) if own else Results(pd.DataFrame({name: [] for name in COLUMNS}))

    def _refuse_missing(self, name: str, count: int) -> None:
        """Raise `ResultsError` where a pass of the run was not done as a whole."""
        missing = [place for place in range(count) if not _is_whole(self._path(name, place))]
        if missing:
            raise ResultsError(
                f"{len(missing)} of {count} pieces of {name.rsplit('-', 1)[0]} are not in {self.directory}: they were "
                "done with other checkpoints, data, options or versions of libraries, or not at all. Run the parts "
                "(--shard) again as this is run, or the command without --shard, which does what is missing"
            )

    def _path(self, name: str, place: int) -> Path:
        assert self.directory is not None
        # Names of models may hold slashes.
        plain = re.sub(r"[^A-Za-z0-9.-]+", "_", name)[:80]
        return self.directory / f"{plain}-{zlib.crc32(name.encode()):08x}-{place:05d}"

    def _finish(self, path: Path, piece: Any, work: Work) -> Path:
        """Do one piece and give its directory its name when it is whole."""
        if _is_whole(path):
            return path
        shutil.rmtree(path, ignore_errors=True)  # half of one, as a store may have it
        partial: Path | None = None
        try:
            with disk_errors(path):
                path.parent.mkdir(parents=True, exist_ok=True)
                with interrupts_held():  # until it is known what there is to remove
                    partial = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
            writer = ShardWriter(partial)
            try:
                state = work(piece, writer)
            finally:
                writer.close()
            with disk_errors(path):
                (partial / STATE).write_text(json.dumps(encoded(state)), encoding="utf-8")
                partial.rename(path)
            put_now(path)
        except BaseException:
            if partial is not None:
                shutil.rmtree(partial, ignore_errors=True)
            raise
        return path

    def _collect(self, path: Path, writer: Any) -> State:
        for rows in rows_of(path):
            writer.append_table(rows)
        state: State = decoded(json.loads((path / STATE).read_text(encoding="utf-8")))
        return state

    def _wait(self, path: Path, shards: int) -> None:
        """Wait for a shard of another process for as long as any shard is being finished."""
        latest, since = -1, time.monotonic()
        while not path.is_dir():
            done = len(self.finished())
            if done != latest:
                latest, since = done, time.monotonic()
            if time.monotonic() - since > self.patience:
                raise ResultsError(
                    f"waited {self.patience:.0f} s for {path.name} (one of {shards} shards) of another process, which "
                    f"seems to have failed. Run again: the {done} finished ones in {self.directory} are used"
                )
            time.sleep(_POLL)


def _is_whole(shard: Path) -> bool:
    return (shard / STATE).is_file()


def sweep(directory: Path) -> None:
    """Remove what writers that were killed left in a table's directory."""
    for pattern in (".results.parquet.*", ".manifest.json.*", f".{PATTERNS}", ".shards-*/.*"):
        for left in directory.glob(pattern):
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
            else:
                with suppress(OSError):
                    left.unlink()

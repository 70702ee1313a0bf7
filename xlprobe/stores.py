"""Object stores by address (s3://bucket/run), as fsspec knows them: a directory of this machine stands in for each.

What is read is copied into the cache, and again where the store's has changed. What is written is made in a temporary
directory, and put into the store when it is whole: the same files, in an order in which what says that something is
finished comes after it.
"""

from __future__ import annotations

import atexit
import json
import os
import re
import secrets
import shutil
import sys
import tempfile
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

from xlprobe.errors import ResultsError, XlprobeError
from xlprobe.files import cache_directory

__all__ = ["Directory", "address_of", "fetched", "local_path", "put_now", "refuse_address", "said", "staged"]

_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/{1,2}(.*)", re.DOTALL)
"""A `Path` has lost one of the two strokes; a single letter is a drive."""
_HERE = ("file", "local")
_WHOLE = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss"})
"""Stores in which an object is there when all of it came; in others a file is sent under another name, then moved."""
_LAST = "manifest.json"
_CHANGES = ("ETag", "etag", "md5Hash", "mtime", "LastModified", "last_modified", "updated", "created")
"""What stores tell of a file that is another when it was written again."""
_UNUSED = 24 * 3600.0


def address_of(path: str | Path) -> str | None:
    """Return the address that a text or a path is; None for a path of this machine, which file:// is, too."""
    match = _match(path)
    return f"{match[1]}://{match[2].rstrip('/')}" if match and match[1] not in _HERE else None


def local_path(path: str | Path) -> Path:
    """Return a path of this machine as a `Path`, without file://."""
    match = _match(path)
    if match is None or match[1] not in _HERE:
        return Path(path)
    return Path(match[2].lstrip("/") if os.name == "nt" else f"/{match[2].lstrip('/')}")


def _match(path: str | Path) -> re.Match[str] | None:
    return _ADDRESS.match(path.as_posix() if isinstance(path, Path) else str(path))


def said(path: str | Path) -> str:
    """Return a path or an address as it is written."""
    return address_of(path) or str(path)


def refuse_address(path: str | Path, error: type[XlprobeError] = ResultsError) -> None:
    """Raise `error` for an address where a path of this machine is needed; a directory of that name would be made."""
    if address := address_of(path):
        raise error(f"got the address {address}; expected a path of this machine. Copy it to the store afterwards")


class Directory:
    """A directory; a temporary one is removed with the last who holds it, and at the latest when the program ends."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or Path(tempfile.mkdtemp(prefix="xlprobe-"))
        self.removal = None if path else weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)

    def finish(self, failed: BaseException | None) -> None:
        """Remove a temporary directory at once where the work in it failed."""
        if failed is not None and self.removal is not None:
            self.removal()


class _Stage(Directory):
    """The directory in which what goes to an address is made, with what a run goes on from of what is there."""

    def __init__(self, address: str, needed: Callable[[str], bool]) -> None:
        super().__init__()
        self.address = address
        with _asking(address, "write to"):
            self.fs, self.root = _opened(address)
            protocol = self.fs.protocol
            self.whole = not _WHOLE.isdisjoint([protocol] if isinstance(protocol, str) else protocol)
            # Whether results can be kept is known before the long work.
            probe = self.path / f".xlprobe.{secrets.token_hex(4)}"
            probe.touch()
            self._send(probe.name)
            self.fs.rm_file(f"{self.root}/{probe.name}")
            probe.unlink()
            names = [name for name in _files(self.fs, self.root) if name.startswith(".") and needed(name)]
            _copy(self.fs, self.root, names, self.path)
        self.known = {name: _stamp(self.path / name) for name in names}
        """The files that are the same here and there, with their stamps here."""

    def put(self, below: Path | None = None) -> None:
        """Put what is new into the store, and remove from it what was there and is not here any more."""
        paths = [path for path in (below or self.path).rglob("*") if path.is_file()]
        names = [path.relative_to(self.path).as_posix() for path in paths]
        # Rows before the state that makes them a shard, shards before the note that a part is done, the table before
        # its manifest: who is stopped in between leaves what can be gone on from.
        for name in sorted(names, key=lambda name: (-name.count("/"), name == _LAST, name)):
            if self.known.get(name) != (stamp := _stamp(self.path / name)):
                self._send(name)
                self.known[name] = stamp
        for name in [] if below else sorted(set(self.known) - set(names)):
            with suppress(FileNotFoundError):
                self.fs.rm_file(f"{self.root}/{name}")
            del self.known[name]

    def _send(self, name: str) -> None:
        path, target = str(self.path / name), f"{self.root}/{name}"
        if self.whole:
            self.fs.put_file(path, target)
            return
        parent, _, last = target.rpartition("/")
        partial = f"{parent}/.{last}.{secrets.token_hex(4)}"
        self.fs.makedirs(parent, exist_ok=True)
        try:
            self.fs.put_file(path, partial)
            self.fs.mv(partial, target)
        except BaseException:
            with suppress(Exception):
                self.fs.rm_file(partial)
            raise

    def finish(self, failed: BaseException | None) -> None:
        """Put everything into the store; what cannot be put stays here, and where it is is said."""
        if isinstance(failed, XlprobeError) and str(self.path) in str(failed):
            failed.args = (f"{failed} ({self.path} stood in for {self.address})",)
        try:
            with _asking(self.address, "write to"):
                self.put()
        except BaseException as error:
            assert self.removal is not None
            self.removal.detach()
            text = f"{error or 'interrupted'}. What was made is kept in {self.path}; copy it, or go on there"
            if failed is None and isinstance(error, XlprobeError):
                raise ResultsError(text) from error
            print(text, file=sys.stderr)
            if failed is None:
                raise
        else:
            super().finish(failed)


_OPEN: dict[str | None, _Stage] = {}


@contextmanager
def staged(out: str | Path | None, needed: Callable[[str], bool] = lambda name: True) -> Iterator[Directory]:
    """Yield the directory in which to make what goes to `out`: itself for a path, a temporary one for None.

    For an address it is a temporary one, which begins with those hidden files of the address that are `needed`, by
    name, and is put there at the end, also that of a failure. Within the `with` block the same address is the same
    directory. Raises `ResultsError` where the store cannot be written, and says where what was made is kept.
    """
    address = None if out is None else address_of(out)
    if address in _OPEN:
        yield _OPEN[address]
        return
    if address is None:
        place = Directory(None if out is None else local_path(out))
    else:
        place = _OPEN[address] = _Stage(address, needed)
    try:
        yield place
    except BaseException as error:
        place.finish(error)
        raise
    else:
        place.finish(None)
    finally:
        _OPEN.pop(address, None)


def put_now(directory: Path) -> None:
    """Put a finished directory into the store if it is part of what goes there: who is killed puts nothing any more."""
    for stage in _OPEN.values():
        if stage.path in directory.parents:
            with suppress(Exception):  # it is tried again at the end
                stage.put(directory)


def fetched(path: str | Path, error: type[XlprobeError] = ResultsError, names: Sequence[str] = ()) -> Path:
    """Return a path of this machine: itself, or of an address the copy in the cache, made again where that changed.

    `names`: all that is copied of a directory, the first of which must be there, and what is copied with a file. Raises
    `error` where nothing is there, or the store cannot be read.
    """
    address = address_of(path)
    if address is None:
        return local_path(path)
    with _asking(address, "read", error):
        fs, root = _opened(address)
        base, _, file = root.rpartition("/") if fs.info(root)["type"] == "file" else (root, "", "")
        if file or names:
            must, *may = [file, *names[1:]] if file else names
            there = [must, *(name for name in may if fs.exists(f"{base}/{name}"))]
            about = {name: fs.info(f"{base}/{name}") for name in there}
        else:
            about = {name: info for name, info in _files(fs, root).items() if not name.startswith(".")}
            if not about:
                raise FileNotFoundError(root)
        state = sorted([name, *(str(info.get(key)) for key in ("size", *_CHANGES))] for name, info in about.items())
        if any(set(one[2:]) == {"None"} for one in state):
            state.append([secrets.token_hex()])  # what tells of no change is copied every time
        keys = [sha256(json.dumps(one).encode()).hexdigest()[:16] for one in (address, state)]
        return _cached(fs, base, list(about), keys) / base.rpartition("/")[2] / file


def _cached(fs: Any, base: str, names: Sequence[str], keys: Sequence[str]) -> Path:
    """Return the directory that has the copy of these files, in one of their directory's name."""
    cache = cache_directory()
    place = None if cache is None else cache / "stores" / "-".join(keys)
    if place is not None and place.is_dir():
        os.utime(place)
        return place
    partial = None
    if place is not None:
        with suppress(OSError):  # a cache that cannot be written is none
            place.parent.mkdir(parents=True, exist_ok=True)
            partial = Path(tempfile.mkdtemp(dir=place.parent, prefix=".xlprobe-"))
    if partial is None:
        place = partial = Path(tempfile.mkdtemp(prefix="xlprobe-"))
        atexit.register(shutil.rmtree, partial, ignore_errors=True)
    try:
        _copy(fs, base, names, partial / base.rpartition("/")[2])
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    if place is None or place == partial:
        return partial
    with suppress(OSError):  # another process was faster
        partial.rename(place)
    shutil.rmtree(partial, ignore_errors=True)
    for old in place.parent.glob(f"{keys[0]}-*"):
        with suppress(OSError):
            if time.time() - old.stat().st_mtime > _UNUSED:
                shutil.rmtree(old, ignore_errors=True)
    return place


def _opened(address: str) -> tuple[Any, str]:
    """Return the store and the path within it, of which nothing is remembered from before."""
    import fsspec

    fs, root = fsspec.core.url_to_fs(address)
    fs.invalidate_cache()
    return fs, root.rstrip("/")


def _files(fs: Any, root: str) -> dict[str, dict[str, Any]]:
    """Return what the store says of each file below a path, by its name from there."""
    files = {path[len(root) :].lstrip("/"): about for path, about in fs.find(root, detail=True).items()}
    return {name: about for name, about in files.items() if name and ".." not in name.split("/")}


def _copy(fs: Any, root: str, names: Sequence[str], directory: Path) -> None:
    targets = [directory / name for name in names]
    for target in targets:
        target.parent.mkdir(parents=True, exist_ok=True)
    if names:
        fs.get([f"{root}/{name}" for name in names], [str(target) for target in targets])


def _stamp(path: Path) -> tuple[int, int]:
    about = path.stat()
    return about.st_mtime_ns, about.st_size


@contextmanager
def _asking(address: str, what: str, error: type[XlprobeError] = ResultsError) -> Iterator[None]:
    """Raise `error` for whatever a store's package raises: which address, why, and what to do."""
    try:
        yield
    except XlprobeError:
        raise
    except Exception as failed:
        if isinstance(failed, ImportError):
            from fsspec.registry import known_implementations

            package = known_implementations.get(address.split(":")[0], {"class": ""})["class"].split(".")[0]
            todo = f"pip install {package}" if package not in ("", "fsspec") else "Install what it names with pip"
        elif isinstance(failed, FileNotFoundError):
            todo = "Nothing is there, or the bucket does not exist; check the address"
        elif isinstance(failed, PermissionError):
            todo = "Access is denied; check the credentials, and what they allow"
        else:
            todo = "Check the address, the network and the credentials"
        raise error(f"cannot {what} {address}: {type(failed).__name__}: {failed!s:.300}. {todo}") from failed

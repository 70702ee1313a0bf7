"""What a format is given to read a checkpoint from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from xlprobe.checkpoints.checkpoint import Checkpoint
from xlprobe.encoders.heads import Head
from xlprobe.errors import CheckpointError

__all__ = ["Format", "Request", "named"]


@dataclass(frozen=True)
class Request:
    """A specification and the options that go with it.

    `base` is the encoder that a delta or `query.pt` goes onto, `pair` the languages that `query.pt` serves in a model
    with a Q_cross per pair. `load` reads another checkpoint, `within` are those that wait for this one.
    """

    spec: str
    head: Head | None
    base: str | Checkpoint | None
    pair: str | None
    load: Callable[[Request], Checkpoint]
    within: tuple[str, ...] = ()

    @property
    def path(self) -> Path:
        """The specification as a path."""
        return Path(self.spec)

    def base_checkpoint(self, what: str, named: str | None = None, head: Head | None = None) -> Checkpoint:
        """Return the base: the one that was asked for, else the one that the file has `named`.

        Raises `CheckpointError` where there is none, or where a chain of bases leads back to its start.
        """
        base = self.base if self.base is not None else named
        if base is None:
            raise CheckpointError(f"{self.spec} holds {what}; say which encoder it belongs to: load(spec, base=...)")
        if isinstance(base, Checkpoint):
            return base
        chain = (*self.within, _place(self.spec))
        if _place(base) in chain:
            raise CheckpointError(
                f"{self.spec} names itself as its base ({' -> '.join((*chain, base))}); expected the encoder that it "
                "was made from. Say which: load(spec, base=...)"
            )
        return self.load(Request(base, head, None, None, self.load, chain))


@dataclass(frozen=True)
class Format:
    """One way to keep a checkpoint: whether a request is of this kind, and how it is read."""

    recognise: Callable[[Request], bool]
    read: Callable[[Request], Checkpoint]


def named(checkpoint: Checkpoint, name: str, spec: str) -> Checkpoint:
    """Return a checkpoint that another specification led to, under the name and specification that were asked for."""
    checkpoint.model.name_or_path = spec
    return replace(checkpoint, name=name, spec=spec)


def _place(spec: str) -> str:
    return str(Path(spec).resolve()) if Path(spec).exists() else spec

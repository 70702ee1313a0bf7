"""Several checkpoints of one command, each under a name of its own, read as the user says."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from xlprobe.checkpoints.checkpoint import Checkpoint
from xlprobe.checkpoints.loading import load
from xlprobe.errors import CheckpointError

__all__ = ["Reading", "as_said", "load_named"]

_NAMED = re.compile(r"([\w][\w .+-]*)=(.+)", re.DOTALL)


@dataclass(frozen=True)
class Reading:
    """How checkpoints are fed instead of as they say: options of `xlprobe.samples.Encoder`, the classes' names.

    `part` as in `xlprobe.load`.
    """

    token_types: str | None = None
    layout: str | None = None
    prefix: str | None = None
    template: str | None = None
    answers: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    part: str | None = None

    @property
    def encoding(self) -> dict[str, Any]:
        """The options that were given."""
        given = {"token_types": self.token_types, "layout": self.layout, "prefix": self.prefix,
                 "template": self.template, "answers": self.answers or None}  # fmt: skip
        return {name: value for name, value in given.items() if value is not None}


def as_said(specs: Sequence[str], device: str, reading: Reading) -> list[Checkpoint] | list[str]:
    """Return specifications as they are where nothing is said about them, so that one is in memory at a time."""
    plain = reading == Reading() and not any(map(_name_and_spec, specs))
    return list(specs) if plain else load_named(specs, device, reading)


def _name_and_spec(text: str) -> tuple[str, str] | None:
    # A path with an equals sign, as hyperparameter sweeps have them, is a path.
    named = None if os.path.exists(os.path.expanduser(text)) else _NAMED.fullmatch(text)
    return (named[1], named[2]) if named else None


def load_named(specs: Sequence[str], device: str = "cpu", reading: Reading | None = None) -> list[Checkpoint]:
    """Load checkpoints of "SPEC" or "NAME=SPEC" and check that they can be fed.

    Raises `CheckpointError` where two have one name (and training seed), as tables and figures tell them apart by it.
    """
    reading = reading or Reading()
    checkpoints = []
    for text in specs:
        name, spec = _name_and_spec(text) or (None, text)
        part: dict[str, Any] = {} if reading.part is None else {"part": reading.part}
        checkpoint = load(spec, name=name, device=device, labels=reading.labels, **part)
        if reading.encoding:
            checkpoint = replace(checkpoint, encoding={**checkpoint.encoding, **reading.encoding})
            checkpoint.encoder()
        checkpoints.append(checkpoint)
    names = Counter((checkpoint.name, checkpoint.provenance.get("seed")) for checkpoint in checkpoints)
    if twice := [name for (name, _), count in names.items() if count > 1]:
        several = ", ".join(checkpoint.spec for checkpoint in checkpoints if checkpoint.name == twice[0])
        raise CheckpointError(
            f"got several checkpoints named {twice[0]} ({several}); expected different names. Say them, as in "
            f"--checkpoint first={checkpoints[0].spec}"
        )
    return checkpoints

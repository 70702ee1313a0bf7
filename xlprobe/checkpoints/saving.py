"""How checkpoints are saved: a directory, all of it or nothing."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from xlprobe.checkpoints.checkpoint import Checkpoint
from xlprobe.checkpoints.delta import FILES, Delta, make_delta, save_delta
from xlprobe.checkpoints.foreign import first_line
from xlprobe.checkpoints.loading import load
from xlprobe.checkpoints.tensor_files import read_tensors, write_tensors
from xlprobe.errors import CheckpointError

__all__ = ["save"]

_OURS = (".json", ".safetensors", ".bin", ".txt", ".model", ".jinja")
"""Endings of the files of which a saved checkpoint is made."""


def save(checkpoint: Checkpoint, path: str | Path, *, delta: bool = False, base: Checkpoint | None = None) -> Path:
    """Save a checkpoint into a directory, all of it or nothing.

    Whole: the model and its tokenizer as transformers writes them. With `delta`: one file of what differs from
    `base` (by default the base that the checkpoint says it was made from), with the base's name and hash; load it with
    `xlprobe.load(path)`. An older checkpoint there is replaced. Raises `CheckpointError` where no base is known, where
    the directory holds anything that is not a checkpoint's, and where it cannot be written; what was there then stays.
    """
    target = Path(path).expanduser()
    if strange := [p.name for p in _entries(target) if p.is_dir() or p.suffix not in _OURS]:
        raise CheckpointError(f"{target} holds {strange[:3]}; expected a new directory, or one with a checkpoint only")
    if "int8" in checkpoint.provenance:
        raise CheckpointError(
            f"got {checkpoint.name}, whose weights were rounded to int8 when it was loaded; expected those that it was "
            "trained with. Load it without dtype='int8' to save it"
        )
    difference = _difference(checkpoint, base) if delta else None
    scratch = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
        if difference is not None:
            save_delta(difference, scratch / FILES[0])
        else:
            _save_whole(checkpoint, scratch)
        scratch.chmod(0o755)
        _replace_directory(scratch, target)
    except BaseException as error:
        if scratch is not None:
            shutil.rmtree(scratch, ignore_errors=True)
        if isinstance(error, OSError) or type(error).__name__ == "SafetensorError":
            raise CheckpointError(
                f"{target} cannot be written ({first_line(error)}); nothing there was changed. Make room, or name "
                "another directory"
            ) from error
        raise
    return target


def _save_whole(checkpoint: Checkpoint, directory: Path) -> None:
    config = checkpoint.model.config
    config.xlprobe_encoding = dict(checkpoint.encoding)
    if checkpoint.labels:
        config.id2label = dict(enumerate(checkpoint.labels))
        config.label2id = {name: place for place, name in enumerate(checkpoint.labels)}
    checkpoint.model.save_pretrained(directory)
    checkpoint.tokenizer.save_pretrained(directory)
    for file in directory.glob("*.safetensors"):  # once more, with a hash of the weights
        write_tensors(file, *read_tensors(file))


def _difference(checkpoint: Checkpoint, base: Checkpoint | None) -> Delta:
    named = checkpoint.provenance.get("base")
    if base is None and not isinstance(named, str):
        raise CheckpointError(
            f"{checkpoint.name} does not say which encoder it was made from; name it: save(path, delta=True, base=...)"
        )
    meta = {"encoding": dict(checkpoint.encoding), "name": checkpoint.name}
    return make_delta(base or load(str(named)), checkpoint.model, meta)


def _entries(path: Path) -> list[Path]:
    if path.exists() and not path.is_dir():
        raise CheckpointError(f"{path} is a file; expected a directory to save a checkpoint into")
    return sorted(path.iterdir()) if path.is_dir() else []


def _replace_directory(new: Path, target: Path) -> None:
    """Put a finished directory in the place of another one, which stays until the new one is whole."""
    if not target.exists():
        os.replace(new, target)
        return
    old = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}.old."))
    os.replace(target, old / "was")
    os.replace(new, target)
    shutil.rmtree(old, ignore_errors=True)

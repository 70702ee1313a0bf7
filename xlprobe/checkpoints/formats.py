"""Checkpoints in files: deltas and packed weights, the released `query.pt` and `model.pt`; and how they are saved."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from xlprobe.checkpoints.deltas import Delta, apply_delta, is_delta, make_delta, read_delta, save_delta
from xlprobe.checkpoints.shipped import find_packed, load_packed
from xlprobe.errors import CheckpointError

if TYPE_CHECKING:
    from torch import Tensor

    from xlprobe.checkpoints.checkpoint import Checkpoint, Head

__all__ = ["is_file_format", "load_file", "save"]

_SUFFIXES = (".pt", ".pth", ".bin", ".safetensors")
_OURS = (".json", ".safetensors", ".bin", ".txt", ".model", ".jinja")
"""Endings of the files of which a saved checkpoint is made."""


def is_file_format(spec: str) -> bool:
    """Whether a specification is a delta, packed weights, or a file of the released kinds."""
    path = Path(spec)
    return is_delta(path) or (path.is_file() and path.suffix in _SUFFIXES) or find_packed(path) is not None


def load_file(spec: str, base: str | Checkpoint | None, pair: str | None, head: Head | None = None) -> Checkpoint:
    """Load a delta, packed weights, `query.pt` or `model.pt`; see `xlprobe.load`."""
    if is_delta(spec):
        return _load_delta(spec, base)
    if (packed := find_packed(spec)) is not None:
        name = Path(spec).stem if Path(spec).is_file() else Path(spec).name
        return load_packed(packed, name, spec, None if base is None else _base(spec, base, "packed weights"))
    from xlprobe.checkpoints.released import read_query

    try:
        query = read_query(spec)
    except CheckpointError as not_a_query:
        if spec.endswith(".safetensors"):
            raise
        try:
            return _load_released(spec, base)
        except CheckpointError as error:
            raise CheckpointError(f"{spec} is neither: as query.pt, {not_a_query}; as model.pt, {error}") from error
    return _load_query(spec, query, _base(spec, base, "the tensors of Q_cross only", head), pair)


def _base(spec: str, base: str | Checkpoint | None, what: str, head: Head | None = None) -> Checkpoint:
    from xlprobe.checkpoints.checkpoint import Checkpoint, load

    if base is None:
        raise CheckpointError(f"{spec} holds {what}; say which encoder it belongs to: load(spec, base=...)")
    return base if isinstance(base, Checkpoint) else load(base, head=head)


def _load_delta(spec: str, base: str | Checkpoint | None) -> Checkpoint:
    from xlprobe.checkpoints.checkpoint import Checkpoint

    delta = read_delta(spec)
    found = _base(spec, base or delta.base, "a delta")
    model = _empty_model(dict(delta.config), spec)
    tensors = apply_delta(delta, _named_for(model, found.model.state_dict()))
    try:
        model.to(next(tensor.dtype for tensor in tensors.values() if tensor.is_floating_point()))
        model.load_state_dict(tensors)
    except RuntimeError as error:
        raise CheckpointError(f"{spec}: its weights do not fit {type(model).__name__}: {error}") from error
    model.name_or_path = spec
    path = Path(spec)
    name = path.name if path.is_dir() else path.parent.name
    provenance = {"base": found.spec, "base_sha256": delta.base_hash, **delta.meta}
    return Checkpoint(name, spec, model.eval(), found.tokenizer, provenance, delta.meta.get("encoding", found.encoding))


def _empty_model(config: dict[str, Any], spec: str) -> Any:
    import transformers

    from xlprobe.encoders import cross_query

    names = config.get("architectures") or []
    home: Any = cross_query if str(config.get("model_type", "")).startswith("cross-query") else transformers
    made = getattr(home, names[0], None) if names else None
    if made is None:
        raise CheckpointError(f"{spec}: names the architecture {names}; expected one class of BERT or XLM-R")
    with torch.random.fork_rng(devices=[]):  # loading leaves the caller's random numbers alone
        return made(made.config_class.from_dict(config))


def _named_for(model: Any, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Name a base's tensors as a model with, or without, a head names them."""
    prefix = f"{model.base_model_prefix}."
    prefixed = any(name.startswith(prefix) for name in tensors)
    wanted = any(name.startswith(prefix) for name in model.state_dict())
    if wanted and not prefixed:
        return {prefix + name: tensor for name, tensor in tensors.items()}
    if prefixed and not wanted:
        return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
    return dict(tensors)


def _load_query(spec: str, query: dict[str, Tensor], found: Checkpoint, pair: str | None) -> Checkpoint:
    from xlprobe.checkpoints.checkpoint import Checkpoint
    from xlprobe.checkpoints.released import apply_query
    from xlprobe.encoders.convert import to_cross_query

    model: Any = found.model
    if not found.is_cross_query:
        own = sorted({key.split("queries.")[1].split(".")[0] for key in query if ".cross_lingual_queries." in key})
        pairs = own or ([pair] if pair else None)
        model = to_cross_query(model, None, pairs=pairs)
    model = apply_query(model, query, pair)
    provenance = {**found.provenance, "base": found.spec, "query": Path(spec).name}
    return Checkpoint(
        f"{found.name}+{Path(spec).stem}", spec, model.eval(), found.tokenizer, provenance, found.encoding
    )


def _load_released(spec: str, base: str | Checkpoint | None) -> Checkpoint:
    from xlprobe.checkpoints.checkpoint import Checkpoint
    from xlprobe.checkpoints.released import build_released, read_released

    model = build_released(read_released(spec))
    # A pickled model brings no tokenizer; it is its base's.
    found = _base(spec, base, "a whole model without its tokenizer", "none")
    if len(found.tokenizer) > model.config.vocab_size:
        raise CheckpointError(
            f"{spec} has a vocabulary of {model.config.vocab_size} and {found.name}'s tokenizer has "
            f"{len(found.tokenizer)} pieces; name the base that the model was trained from"
        )
    provenance = {"base": found.spec, "format": "released model.pt", "architecture": type(model).__name__}
    return Checkpoint(Path(spec).stem, spec, model, found.tokenizer, provenance, found.encoding)


def save(checkpoint: Checkpoint, path: str | Path, *, delta: bool = False, base: Checkpoint | None = None) -> Path:
    """Save a checkpoint into a directory, all of it or nothing.

    Whole: the model and its tokenizer as transformers writes them. With `delta`: one file of what differs from
    `base` (by default the base that the checkpoint says it was made from), with the base's name and hash; load it with
    `xlprobe.load(path)`. An older checkpoint there is replaced. Raises `CheckpointError` where no base is known, and
    where the directory holds anything that is not a checkpoint's.
    """
    target = Path(path)
    if strange := [p.name for p in _entries(target) if p.is_dir() or p.suffix not in _OURS]:
        raise CheckpointError(f"{target} holds {strange[:3]}; expected a new directory, or one with a checkpoint only")
    difference = _difference(checkpoint, base) if delta else None
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
    try:
        if difference is not None:
            save_delta(difference, scratch)
        else:
            checkpoint.model.config.xlprobe_encoding = dict(checkpoint.encoding)
            checkpoint.model.save_pretrained(scratch)
            checkpoint.tokenizer.save_pretrained(scratch)
        scratch.chmod(0o755)
        _replace_directory(scratch, target)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise
    return target


def _difference(checkpoint: Checkpoint, base: Checkpoint | None) -> Delta:
    config = checkpoint.model.config.to_dict() | {"architectures": [type(checkpoint.model).__name__]}
    found = base or _base(checkpoint.spec, checkpoint.provenance.get("base"), "a model of its own")
    tensors = checkpoint.model.state_dict()
    meta = {"encoding": dict(checkpoint.encoding), "name": checkpoint.name}
    return make_delta(
        found.spec, _named_for(checkpoint.model, found.model.state_dict()), tensors, config=config, meta=meta
    )


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

"""Trained weights as what differs from a base, exact or rounded to a few bits: one safetensors file.

It holds the base's name and hash, the configuration, and the tensors that are new or changed. `xlprobe.save` writes
`delta.safetensors`, a training run keeps `weights.safetensors`; both are the same format.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from xlprobe.checkpoints.building import build, named_for
from xlprobe.checkpoints.checkpoint import Checkpoint
from xlprobe.checkpoints.foreign import called
from xlprobe.checkpoints.pages import let_go
from xlprobe.checkpoints.request import Format, Request
from xlprobe.checkpoints.rounding import restored, rounded
from xlprobe.checkpoints.tensor_files import read_description, read_tensors, write_tensors
from xlprobe.encoders.heads import SUFFIXES, Head
from xlprobe.errors import CheckpointError

__all__ = ["DELTA", "FILES", "WEIGHTS", "Delta", "apply_delta", "make_delta", "read_delta", "save_delta"]

WEIGHTS = "weights.safetensors"
"""The name of a training run's delta, in its directory and its archive."""

FILES = ("delta.safetensors", WEIGHTS)
_FORMAT = "xlprobe-delta-2"


@dataclass(frozen=True)
class Delta:
    """What turns a base into a trained model.

    `stored`: the tensors that are new or changed, whole or rounded (see `rounding`). `dropped`: the base's that the
    model has not. `base`, `base_head` and `base_hash` name the base, its head and the hash of its weights
    (`Checkpoint.hash`). `config` holds the fields of the model's configuration that are not the base's, with its
    class in `architectures`; `meta` is about the training, as JSON can hold it; it becomes the provenance.
    """

    base: str
    base_hash: str
    stored: Mapping[str, Tensor]
    dropped: Sequence[str] = ()
    config: Mapping[str, Any] = field(default_factory=dict)
    meta: Mapping[str, Any] = field(default_factory=dict)
    base_head: Head | None = None


def make_delta(base: Checkpoint, model: Any, meta: Mapping[str, Any], bits: int | None = None) -> Delta:
    """Return what differs between a base and a trained model; with `bits` (2 to 8) its matrices are rounded."""
    given, tensors = named_for(model, base.model.state_dict()), model.state_dict()
    changed = {
        name: tensor.detach().cpu().contiguous().clone()
        for name, tensor in tensors.items()
        if name not in given or not _same(given[name], tensor)
    }
    fields, of_base = model.config.to_dict(), base.model.config.to_dict()
    config = {name: value for name, value in fields.items() if name not in of_base or of_base[name] != value}
    return Delta(
        base=base.spec,
        base_hash=base.hash,
        stored=changed if bits is None else rounded(changed, given, bits),
        dropped=tuple(sorted(set(given) - set(tensors))),
        config=config | {"architectures": [type(model).__name__]},
        meta=dict(meta),
        base_head=base.head,
    )


def apply_delta(delta: Delta, given: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the trained model's tensors; `given` are the base's, named as the model names them."""
    kept = {name: tensor for name, tensor in given.items() if name not in set(delta.dropped)}
    return kept | restored(delta.stored, given)


def save_delta(delta: Delta, path: Path) -> Path:
    """Write a delta, all of it or nothing."""
    about = {name: value for name, value in asdict(delta).items() if name != "stored"}
    about["dropped"] = list(delta.dropped)
    write_tensors(
        path, delta.stored, {"format": "pt", "xlprobe": json.dumps({"format": _FORMAT, **about}, sort_keys=True)}
    )
    return path


def read_delta(path: str | Path) -> Delta:
    """Read a delta from its file or directory; raises `CheckpointError` if it is none, or is damaged."""
    file = _file(Path(path)) or Path(path)
    tensors, description = read_tensors(file)
    if "xlprobe" not in description:
        raise CheckpointError(f"{file} was not written by xlprobe; expected a delta with its base's name")
    try:
        about = json.loads(description["xlprobe"])
        if about.get("format") is None:
            about = _of_first_version(about)
        elif about["format"] != _FORMAT:
            raise CheckpointError(
                f"{file} has the format {about['format']!r:.80}; expected {_FORMAT!r}. Update xlprobe"
            )
        dropped, config, meta = about["dropped"], about["config"], about["meta"]
        base, base_hash = about["base"], about["base_hash"]
        head = about.get("base_head")
        sound = (
            (head is None or head in SUFFIXES)
            and isinstance(dropped, list)
            and isinstance(config, dict)
            and isinstance(meta, dict)
        )
        if not sound or not isinstance(base, str) or not isinstance(base_hash, str):
            raise ValueError("its fields have other types")
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise CheckpointError(
            f"{file}: the delta's description is damaged ({type(error).__name__}: {error!s:.80}); get the file again"
        ) from error
    return Delta(base, base_hash, tensors, tuple(map(str, dropped)), config, meta, head)


def _of_first_version(about: Mapping[str, Any]) -> dict[str, Any]:
    """Read what xlprobe 0.1 said about the weights that a training run kept; it named no class."""
    crossed = about["mechanism"] == "cross-query"
    return {
        "base": about["base"],
        "base_hash": about["base_hash"],
        "dropped": [],
        "config": {**about["config"], **about.get("cross_query", {}), "xlprobe_cross_query": crossed},
        "meta": dict(about),
    }


def _file(path: Path) -> Path | None:
    files = [path / name for name in FILES] if path.is_dir() else [path]
    return next((f for f in files if f.suffix == ".safetensors" and "xlprobe" in read_description(f)), None)


def _recognise(request: Request) -> bool:
    return _file(request.path) is not None


def _read(request: Request) -> Checkpoint:
    delta = read_delta(request.path)
    base = request.base_checkpoint("a delta", delta.base, delta.base_head)
    if base.hash != delta.base_hash:
        raise CheckpointError(
            f"{request.spec} belongs to the base {delta.base!r} with hash {delta.base_hash[:12]}; got {base.spec!r} "
            f"with {base.hash[:12]}. Load it on the base that it was trained from, or install the versions of "
            "constraints.txt"
        )
    make, config = _model_of(delta, base, request.spec)
    empty = called(f"{request.spec}: its configuration makes no model", lambda: _on_meta(make, config))
    given = named_for(empty, base.model.state_dict())
    tensors = apply_delta(delta, given)
    kept = {name for name, tensor in given.items() if tensors.get(name) is tensor}
    model = build(request.spec, config, tensors, make, shared=not isinstance(request.base, Checkpoint), finite=kept)
    model.name_or_path = request.spec
    let_go(given.values())  # what was read of the base to add the difference to
    path = request.path
    name = path.name if path.is_dir() else path.stem if path.name not in FILES else path.parent.name
    provenance = {**base.provenance, "base": base.spec, "base_hash": delta.base_hash, **delta.meta}
    encoding = delta.meta.get("encoding", base.encoding)
    return Checkpoint(name, request.spec, model, base.tokenizer, provenance, encoding)


def _model_of(delta: Delta, base: Checkpoint, spec: str) -> tuple[Any, Any]:
    """Return the class and the configuration of a delta's model."""
    import transformers

    from xlprobe.encoders import cross_query

    fields = dict(delta.config)
    crossed = fields.pop("xlprobe_cross_query", None)
    names = fields.get("architectures") or []
    if crossed is not None:
        family = type(base.model.base_model).__name__.removesuffix("Model").removeprefix("CrossQuery")
        names = [("CrossQuery" if crossed else "") + family + "ForSequenceClassification"]
    name = names[0] if isinstance(names, list) and names and isinstance(names[0], str) else ""
    home: Any = cross_query if name.startswith("CrossQuery") else transformers
    made: Any = getattr(home, name, None) if name.isidentifier() else None
    if not (isinstance(made, type) and issubclass(made, transformers.PreTrainedModel)):
        raise CheckpointError(f"{spec}: names the architecture {name[:80]!r}; expected a model's class of transformers")
    of_base = base.model.config.to_dict()
    own = {key: value for key, value in of_base.items() if key not in ("model_type", "architectures")}
    if "num_labels" in fields:
        own = {key: value for key, value in own.items() if key not in ("id2label", "label2id")}
    what = f"{spec}: its configuration is damaged"
    kind: Any = made.config_class
    config = called(what, lambda: kind.from_dict({**own, **fields, "architectures": [name]}))
    return made, config


def _on_meta(make: Any, config: Any) -> Any:
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        return make(config)


def _same(one: Tensor, other: Tensor) -> bool:
    return one.dtype == other.dtype and one.shape == other.shape and torch.equal(one.cpu(), other.cpu())


DELTA = Format(_recognise, _read)

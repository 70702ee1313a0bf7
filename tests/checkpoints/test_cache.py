from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from xlprobe.checkpoints import cache
from xlprobe.checkpoints.e5 import bundled_file, read_bundled, read_e5
from xlprobe.checkpoints.hashing import hash_file, hash_tensors

HASH = "ab" * 32


@pytest.fixture(autouse=True)
def directory(tmp_path, monkeypatch):
    monkeypatch.setenv("XLPROBE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def write(value=1.0):
    return cache.write_entry("thing", HASH, {"a": [1, "x"]}, {"w": torch.full((3,), value)}, lambda: '{"tokenizer": 1}')


def only_entry(directory):
    (path,) = directory.iterdir()
    return path


def test_what_was_written_is_read(directory):
    assert cache.read_entry("thing", HASH) is None
    assert write()
    entry = cache.read_entry("thing", HASH)
    assert entry.about == {"a": [1, "x"]}
    assert entry.tensors["w"].tolist() == [1, 1, 1]
    assert entry.tokenizer_file.read_text() == '{"tokenizer": 1}'
    # Other users of a shared cache can read it; no partial entry stays behind.
    assert stat.S_IMODE(only_entry(directory).stat().st_mode) == 0o755


def test_other_files_and_other_formats_have_other_entries(monkeypatch):
    write()
    assert cache.read_entry("thing", "cd" * 32) is None
    assert cache.read_entry("other", HASH) is None
    monkeypatch.setattr(cache, "FORMAT", cache.FORMAT + 1)
    assert cache.read_entry("thing", HASH) is None


def test_writing_to_what_was_read_leaves_the_entry_as_it_is():
    write()
    cache.read_entry("thing", HASH).tensors["w"].zero_()
    assert cache.read_entry("thing", HASH).tensors["w"].tolist() == [1, 1, 1]


@pytest.mark.parametrize("name", ["weights.safetensors", "tokenizer.json", "about.json"])
@pytest.mark.parametrize("damage", ["cut", "gone"])
def test_a_broken_entry_is_removed_and_made_again(directory, name, damage):
    write()
    path = only_entry(directory) / name
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-3])
    else:
        path.unlink()
    assert cache.read_entry("thing", HASH) is None
    assert write(2.0)
    assert cache.read_entry("thing", HASH).tensors["w"].tolist() == [2, 2, 2]


def test_the_first_of_two_writers_wins_and_both_succeed(directory):
    assert write(1.0)
    assert write(2.0)
    assert cache.read_entry("thing", HASH).tensors["w"].tolist() == [1, 1, 1]
    assert len(list(directory.iterdir())) == 1


@pytest.mark.slow
def test_several_processes_at_once_make_one_whole_entry(directory):
    code = """
import torch
from xlprobe.checkpoints import cache
for turn in range(20):
    name = f"{turn:02d}" * 32
    assert cache.write_entry("t", name, {}, {"w": torch.full((5000,), 7.0)}, lambda: "x" * 5000)
    assert cache.read_entry("t", name).tensors["w"].sum() == 35000
"""
    running = [subprocess.Popen([sys.executable, "-c", code], env=os.environ) for _ in range(2)]
    assert [process.wait(120) for process in running] == [0, 0]
    assert len(list(directory.iterdir())) == 20


def test_a_place_that_cannot_be_written_costs_nothing_but_the_entry(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XLPROBE_CACHE", str(tmp_path / "file"))
    assert not write()
    assert cache.read_entry("thing", HASH) is None


def test_a_full_disk_leaves_nothing_behind(directory, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache, "_fill", full)
    assert not write()
    assert list(directory.iterdir()) == []


def test_abandoned_pieces_are_removed_only_when_old(directory):
    old, new = directory / ".thing-v1-x.aaa", directory / ".thing-v1-x.bbb"
    for path in (old, new):
        path.mkdir(parents=True)
    os.utime(old, (time.time() - 90_000,) * 2)
    write()
    assert not old.exists()
    assert new.exists()


def test_where_the_cache_is(tmp_path, monkeypatch):
    assert cache.cache_directory() == tmp_path / "cache"
    monkeypatch.setenv("XLPROBE_CACHE", "off")
    assert cache.cache_directory() is None
    assert not write()
    monkeypatch.delenv("XLPROBE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.cache_directory() == tmp_path / "xlprobe"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache.cache_directory() == tmp_path / "home" / ".cache" / "xlprobe"


@pytest.mark.slow
def test_the_cached_encoder_is_the_decoded_one(bundled_encoder, directory):
    path = bundled_file()
    digest = hash_file(path)
    decoded = read_bundled(path, digest)
    # What is decoded is read back, so that the rows that nobody uses need not be in memory.
    assert all(_is_mapped(tensor) for tensor in decoded.state_dict.values())
    cached = read_bundled(path, digest)
    assert cached.sha256 == decoded.sha256 == hash_tensors(read_e5(path).state_dict)
    assert only_entry(directory).name.startswith("bundled-encoder-v2-")
    assert cached.config.to_dict() == decoded.config.to_dict()
    assert cached.state_dict.keys() == decoded.state_dict.keys()
    for name, tensor in decoded.state_dict.items():
        assert torch.equal(tensor, cached.state_dict[name]), name
    text = "Hello 生活 cafe\u0301 a\u200cb <mask> </s> مرحبا"
    for encode in (lambda t: t(text)["input_ids"], lambda t: t("a", text)["input_ids"], lambda t: t.model_max_length):
        assert encode(cached.tokenizer) == encode(decoded.tokenizer)
    assert cached.tokenizer.special_tokens_map == decoded.tokenizer.special_tokens_map


def _is_mapped(tensor):
    """Whether a tensor lies in a mapped file, as /proc/self/maps has it."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        start, stop = (int(place, 16) for place in line.split()[0].split("-"))
        if start <= tensor.data_ptr() < stop:
            return line.endswith(cache.WEIGHTS)
    return False

from __future__ import annotations

import pytest
import torch

from xlprobe.checkpoints.deltas import apply_delta, is_delta, make_delta, read_delta, save_delta
from xlprobe.errors import CheckpointError


@pytest.fixture
def base():
    return {"a.weight": torch.arange(12.0).reshape(4, 3), "a.bias": torch.zeros(3), "old": torch.ones(2)}


@pytest.fixture
def tuned(base):
    return {
        "a.weight": base["a.weight"],
        "a.bias": torch.full((3,), 0.1),
        "classifier": torch.ones(2, dtype=torch.bfloat16),
    }


def test_a_delta_holds_only_what_differs_and_comes_back_bit_for_bit(base, tuned, tmp_path):
    delta = make_delta("bundled:encoder", base, tuned, config={"num_labels": 2}, meta={"seed": 3})
    assert set(delta.tensors) == {"a.bias", "classifier"}
    assert delta.dropped == ("old",)
    path = save_delta(delta, tmp_path / "run")
    assert is_delta(path)
    assert is_delta(tmp_path / "run")
    assert not is_delta(tmp_path)
    again = read_delta(tmp_path / "run")
    assert (again.base, again.config, again.meta) == ("bundled:encoder", {"num_labels": 2}, {"seed": 3})
    result = apply_delta(again, base)
    assert result.keys() == tuned.keys()
    for name, tensor in tuned.items():
        assert result[name].dtype == tensor.dtype
        assert torch.equal(result[name], tensor)


def test_another_base_is_refused(base, tuned):
    delta = make_delta("mine", base, tuned)
    other = {**base, "a.bias": torch.full((3,), 1e-7)}
    with pytest.raises(CheckpointError, match="belongs to the base 'mine'"):
        apply_delta(delta, other)


def test_a_changed_delta_is_refused(base, tuned):
    delta = make_delta("mine", base, tuned)
    delta.tensors["a.bias"][0] = 9.0
    with pytest.raises(CheckpointError, match="does not give the weights"):
        apply_delta(delta, base)


def test_damaged_and_foreign_files_are_refused(base, tuned, tmp_path):
    from safetensors.torch import save_file

    path = save_delta(make_delta("mine", base, base), tmp_path)
    whole = path.read_bytes()
    for size in (0, 7, 40, len(whole) - 3):
        path.write_bytes(whole[:size])
        with pytest.raises(CheckpointError, match="cannot read the weights"):
            read_delta(path)
    with pytest.raises(CheckpointError, match="cannot read the weights"):
        read_delta(tmp_path / "nothing")
    save_file(base, path)
    with pytest.raises(CheckpointError, match="format None"):
        read_delta(path)
    save_file(base, path, metadata={"format": "xlprobe-delta-1", "dropped": "[]", "config": "{", "meta": "{}"})
    with pytest.raises(CheckpointError, match="description is damaged"):
        read_delta(path)


def test_a_failed_save_leaves_the_old_file(base, tmp_path, monkeypatch):
    import os

    path = save_delta(make_delta("mine", base, base), tmp_path)
    before = path.read_bytes()

    def fail(*args, **kwargs):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        save_delta(make_delta("mine", base, {}), tmp_path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == [path.name]

from __future__ import annotations

import json
import os

import pytest
import torch

from xlprobe import load, save
from xlprobe.checkpoints.checkpoint import Checkpoint
from xlprobe.checkpoints.delta import FILES, apply_delta, make_delta, read_delta, save_delta
from xlprobe.checkpoints.tensor_files import read_tensors, write_tensors
from xlprobe.encoders.convert import to_cross_query
from xlprobe.errors import CheckpointError, XlprobeError


@pytest.fixture
def base(tiny_checkpoints, tmp_path):
    save(tiny_checkpoints("bert"), tmp_path / "base")
    return load(tmp_path / "base")


@pytest.fixture
def tuned(base):
    """A cross-query encoder whose biases and Q_cross differ from the base."""
    torch.manual_seed(3)
    model = to_cross_query(base.model, q_p_mask=0.7)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "cross_lingual" in name or name.endswith("bias"):
                parameter.add_(torch.randn_like(parameter) * 0.1)
    return model


def test_a_delta_holds_only_what_differs_and_comes_back_bit_for_bit(base, tuned, tmp_path):
    delta = make_delta(base, tuned, {"seed": 3})
    assert all("cross_lingual" in name or name.endswith("bias") for name in delta.stored)
    assert "hidden_size" not in delta.config
    assert delta.config["q_p_mask"] == 0.7
    again = read_delta(save_delta(delta, tmp_path / FILES[0]))
    assert (again.base, again.base_hash, again.config, again.meta) == (base.spec, base.hash, delta.config, {"seed": 3})
    loaded = load(tmp_path / FILES[0])
    expected = tuned.state_dict()
    assert loaded.model.state_dict().keys() == expected.keys()
    assert all(torch.equal(loaded.model.state_dict()[name], tensor) for name, tensor in expected.items())
    assert loaded.provenance["seed"] == 3


@pytest.mark.parametrize("bits", [3, 8])
def test_a_rounded_delta_computes_what_was_kept(base, tuned, tmp_path, bits):
    delta = make_delta(base, tuned, {}, bits)
    expected = apply_delta(delta, base.model.state_dict())
    for directory in (tmp_path / "run", tmp_path / "file"):
        save_delta(delta, directory / FILES[1])
    loaded = load(tmp_path / "run").model.state_dict()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in expected.items())
    error = max(float((loaded[name] - tensor).abs().max()) for name, tensor in tuned.state_dict().items())
    assert 0 < error < (0.25 if bits == 3 else 0.01)


def test_another_base_is_refused(base, tuned, tmp_path):
    save_delta(make_delta(base, tuned, {}), tmp_path / FILES[0])
    other = load(base.spec)
    with torch.no_grad():
        next(other.model.parameters()).add_(1)
    with pytest.raises(CheckpointError, match="belongs to the base"):
        load(tmp_path / FILES[0], base=other)


def test_every_flipped_bit_of_a_delta_is_refused(base, tuned, tmp_path):
    path = save_delta(make_delta(base, tuned, {}, 4), tmp_path / FILES[0])
    whole, generator = path.read_bytes(), torch.Generator().manual_seed(0)
    start = 8 + int.from_bytes(whole[:8], "little")
    for place in torch.randint(start, len(whole), (25,), generator=generator).tolist():
        changed = bytearray(whole)
        changed[place] ^= 1 << (place % 8)
        path.write_bytes(changed)
        with pytest.raises(CheckpointError, match="damaged"):
            load(path)


def test_damaged_and_foreign_files_are_refused(base, tuned, tmp_path):
    path = save_delta(make_delta(base, tuned, {}), tmp_path / FILES[0])
    whole, (tensors, description) = path.read_bytes(), read_tensors(path)
    for size in (0, 7, 40, len(whole) - 3):
        path.write_bytes(whole[:size])
        with pytest.raises(CheckpointError, match="cannot read the weights"):
            read_delta(path)
    with pytest.raises(CheckpointError, match="cannot read the weights"):
        read_delta(tmp_path / "nothing")
    about = json.loads(description["xlprobe"])
    for change in (
        {"format": "xlprobe-delta-9"}, {"config": 5}, {"meta": []}, {"base": None}, {"base_head": "tail"},
        {"dropped": "x"}, {"config": {"architectures": ["os"]}}, {"config": {"architectures": 7}},
        {"config": about["config"] | {"num_hidden_layers": 3000}}, {"config": about["config"] | {"hidden_size": "x"}},
        {"config": about["config"] | {"vocab_size": 10**9}}, {"base": "bundled:nothing"},
    ):  # fmt: skip
        write_tensors(path, tensors, {"xlprobe": json.dumps(about | change)})
        with pytest.raises(CheckpointError):
            load(path)
    for text in ("{", "[]", "[" * 100_000, "7"):
        write_tensors(path, tensors, {"xlprobe": text})
        with pytest.raises(CheckpointError, match="description is damaged"):
            load(path)
    for name in ("bert.encoder.layer.9.x", "encoder.layer.0.attention.self.query.weight|4", "a|scale", "|", "a|99"):
        write_tensors(path, tensors | {name: torch.ones(3)}, {"xlprobe": description["xlprobe"]})
        if name != "a|scale":
            with pytest.raises(CheckpointError):
                load(path)


def test_a_delta_that_is_its_own_base_is_refused(base, tuned, tmp_path):
    first, second = tmp_path / "first" / FILES[0], tmp_path / "second" / FILES[0]
    delta = make_delta(base, tuned, {})
    for path, of in ((first, second.parent), (second, first.parent)):
        save_delta(type(delta)(str(of), "0" * 64, delta.stored, (), delta.config), path)
    with pytest.raises(CheckpointError, match="names itself as its base"):
        load(first)
    save_delta(type(delta)(str(first), "0" * 64, delta.stored, (), delta.config), first)
    with pytest.raises(CheckpointError, match="names itself as its base"):
        load(first)


def test_what_a_run_of_version_0_1_kept_still_loads(base, tmp_path):
    from transformers import BertForSequenceClassification

    base = load(base.spec)
    model = BertForSequenceClassification(base.model.config)
    model.bert.load_state_dict(base.model.state_dict())
    delta = make_delta(base, model, {})
    about = {"base": base.spec, "base_hash": base.hash, "mechanism": "baseline", "config": {"num_labels": 2}, "seed": 4}
    write_tensors(tmp_path / FILES[1], delta.stored, {"format": "pt", "xlprobe": json.dumps(about)})
    loaded = load(tmp_path / FILES[1])
    assert loaded.provenance["seed"] == 4
    assert loaded.head == "classification"
    assert all(torch.equal(loaded.model.state_dict()[name], tensor) for name, tensor in model.state_dict().items())


def test_a_failed_save_leaves_the_old_file(base, tuned, tmp_path, monkeypatch):
    def fail(*args, **kwargs):
        raise OSError("disk full")

    path = save_delta(make_delta(base, tuned, {}), tmp_path / "out" / FILES[0])
    before = path.read_bytes()
    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(XlprobeError, match="disk full"):
        save_delta(make_delta(base, tuned, {}, 4), path)
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    with pytest.raises(XlprobeError, match="cannot (be written|write)"):
        save(Checkpoint("x", "x", tuned, base.tokenizer), tmp_path / "new", delta=True, base=base)

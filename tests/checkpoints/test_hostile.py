"""Files made to harm: nothing of theirs runs, hangs, fills the memory or gets into the weights."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pickle
import struct
import time
import zipfile

import pytest
import torch

from xlprobe import load
from xlprobe.checkpoints.pickles import read_pickle
from xlprobe.errors import CheckpointError


def archive(path, program, members=(), compressed=()):
    """Write what torch.save would write around a pickle."""
    with zipfile.ZipFile(path, "w") as target:
        for name, data in {"data.pkl": program, "byteorder": b"little", "version": b"3", **dict(members)}.items():
            kind = zipfile.ZIP_DEFLATED if name in compressed else zipfile.ZIP_STORED
            target.writestr(f"archive/{name}", data, compress_type=kind)
    return path


def text(value):
    raw = value.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


TENSOR = (
    b"ctorch._utils\n_rebuild_tensor_v2\n((" + text("storage") + b"ctorch\nFloatStorage\n" + text("0") + text("cpu")
    + b"K\x04tQK\x00K\x04\x85K\x01\x85\x89}tR"
)  # fmt: skip
DOUBLED = b")q\x00" + b"0h\x00h\x00\x86q\x00" * 60
"""A tuple of a tuple of ..., each twice the one before: its hash takes for ever."""
STORAGE = b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text("0") + text("cpu") + b"K\x04tQ"
PROGRAMS = {
    "a tensor changed after it was made": b"\x80\x02}" + text("a") + TENSOR + b"(K\x00K\x09tb" + b"s.",
    "a tensor's attributes set": b"\x80\x02}" + text("a") + TENSOR + b"}" + text("tensor") + b"K\x01sb" + b"s.",
    "a storage changed": b"\x80\x02" + STORAGE + b"}b.",
    "a class of ours changed": b"\x80\x02ccollections\nOrderedDict\n}" + text("get") + b"K\x01sb.",
    "nested tuples as a key": b"\x80\x02}" + DOUBLED + b"K\x01s.",
    "nested tuples in a set": b"\x80\x02cbuiltins\nset\n](" + DOUBLED + b"e\x85R.",
    "nested tuples as a storage": b"\x80\x02(" + DOUBLED + b"ctorch\nFloatStorage\n" + DOUBLED + b"K\x01K\x01tQ.",
    "a hundred thousand tuples deep": b"\x80\x02}" + b")" + b"\x85" * 100_000 + b"K\x01s.",
    "a huge place in the memo": b"\x80\x02}r" + struct.pack("<I", 3_000_000_000) + b"K\x01K\x02s.",
    "a text of four gigabytes": b"\x80\x02X\xff\xff\xff\xffabc.",
    "a number of a gigabyte": b"\x80\x02\x8b\xff\xff\xff\x3fabc.",
    "os.system": b"\x80\x02cos\nsystem\n" + text("true") + b"\x85R.",
    "a name that is no text": b"\x80\x04K\x01K\x02\x93.",
    "a very long name": b"\x80\x02c" + b"a" * 600_000 + b"\nb\n)R.",
    "an old instruction": b"(S'true'\nios\nsystem\n.",
    "a tensor as a function": b"\x80\x02" + TENSOR + b")R.",
    "nothing": b"",
    "no end": b"\x80\x02}",
}


@pytest.mark.parametrize("what", PROGRAMS)
def test_a_hostile_pickle_is_refused_at_once(tmp_path, what):
    path = archive(tmp_path / "model.pt", PROGRAMS[what], {"data/0": bytes(16)})
    start = time.monotonic()
    with pytest.raises(CheckpointError) as caught:
        load(path, base="bundled:nothing")
    assert time.monotonic() - start < 5
    assert "bundled:nothing" not in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_the_tensor_of_these_programs_is_read_where_nothing_is_wrong_with_it(tmp_path):
    values = torch.arange(4.0)
    path = archive(tmp_path / "q.pt", b"\x80\x02}" + text("a") + TENSOR + b"s.", {"data/0": values.numpy().tobytes()})
    assert torch.equal(read_pickle(path)["a"].tensor, values)


@pytest.mark.parametrize("member", ["byteorder", "data.pkl", "data/0"])
def test_a_compressed_member_is_refused(tmp_path, member):
    members = {"data/0": bytes(16), "byteorder": b"little" if member != "byteorder" else bytes(10**8)}
    path = archive(tmp_path / "q.pt", b"\x80\x02}" + text("a") + TENSOR + b"s.", members, [member])
    with pytest.raises(CheckpointError, match="compressed|larger than the file"):
        read_pickle(path)


def test_random_changes_of_a_pickle_never_give_a_traceback(tmp_path):
    sound = io.BytesIO()
    torch.save({"encoder.layer.0.attention.self.cross_lingual_query.weight": torch.ones(2, 2)}, sound)
    with zipfile.ZipFile(sound) as source:
        program = next(source.read(name) for name in source.namelist() if name.endswith("data.pkl"))
    generator = torch.Generator().manual_seed(0)
    for _ in range(300):
        changed = bytearray(program)
        for place in torch.randint(0, len(program), (3,), generator=generator).tolist():
            changed[place] = int(torch.randint(0, 256, (), generator=generator))
        path = archive(tmp_path / "q.pt", bytes(changed), {"data/0": bytes(16)})
        try:
            load(path, base="bundled:nothing")
        except CheckpointError:
            continue
        pytest.fail("a changed pickle was loaded")


def test_every_flipped_bit_of_query_pt_is_refused(tmp_path):
    name = "encoder.layer.0.attention.self.cross_lingual_query."
    torch.save({name + "weight": torch.randn(64, 64), name + "bias": torch.randn(64)}, tmp_path / "query.pt")
    whole, generator = (tmp_path / "query.pt").read_bytes(), torch.Generator().manual_seed(1)
    with zipfile.ZipFile(tmp_path / "query.pt") as source:
        first = min(item.header_offset for item in source.infolist() if "/data/" in item.filename)
    for place in torch.randint(first + 200, first + 200 + 64 * 64 * 4 - 200, (25,), generator=generator).tolist():
        changed = bytearray(whole)
        changed[place] ^= 1 << (place % 8)
        (tmp_path / "query.pt").write_bytes(changed)
        with pytest.raises(CheckpointError, match="cannot be read"):
            read_pickle(tmp_path / "query.pt")


def test_code_of_a_checkpoint_is_neither_run_nor_asked_about(saved, tmp_path, monkeypatch):
    witness = tmp_path / "witness"
    (saved / "own.py").write_text(f"open({str(witness)!r}, 'w')\nclass C: pass\n")
    monkeypatch.setattr("builtins.input", lambda *asked: pytest.fail("asked on the terminal"))
    config = json.loads((saved / "config.json").read_text())
    own = {"AutoConfig": "own.C", "AutoModel": "own.C", "AutoModelForSequenceClassification": "own.C"}
    (saved / "config.json").write_text(json.dumps({**config, "model_type": "theirs", "auto_map": own}))
    with pytest.raises(CheckpointError, match="never runs"):
        load(saved)
    (saved / "config.json").write_text(json.dumps({**config, "auto_map": own}))
    assert type(load(saved).model).__name__ == "BertForSequenceClassification"
    assert not witness.exists()


def test_weights_with_nan_are_refused_by_name(saved):
    from safetensors.torch import load_file, save_file

    weights = load_file(saved / "model.safetensors")
    weights["bert.encoder.layer.1.attention.self.key.bias"][3] = float("nan")
    save_file(weights, saved / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"NaN or infinite values in bert\..*layer\.1\.attention\.self\.key"):
        load(saved)


def test_pytorch_model_bin_is_read_without_unpickling_it(saved, tmp_path):
    from safetensors.torch import load_file

    weights = load_file(saved / "model.safetensors")
    (saved / "model.safetensors").unlink()
    torch.save(weights, saved / "pytorch_model.bin")
    assert torch.equal(load(saved).model.state_dict()["classifier.bias"], weights["classifier.bias"])

    class Runs:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path / 'witness'}",)

    torch.save({**weights, "more": Runs()}, saved / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="refused"):
        load(saved)
    assert not (tmp_path / "witness").exists()


@pytest.mark.parametrize(
    "change",
    [{"num_hidden_layers": 3000}, {"vocab_size": 10**9}, {"hidden_size": "32"}, {"num_attention_heads": 5},
     {"hidden_act": "no such"}, {"id2label": 7}, {"architectures": 3}, {"layer_norm_eps": None},
     {"xlprobe_encoding": [1]}, {"num_hidden_layers": -1}, {"max_position_embeddings": 10**12}],
)  # fmt: skip
def test_a_configuration_that_does_not_fit_is_one_line(saved, change):
    config = json.loads((saved / "config.json").read_text())
    (saved / "config.json").write_text(json.dumps({**config, **change}))
    start = time.monotonic()
    with pytest.raises(CheckpointError) as caught:
        load(saved)
    assert time.monotonic() - start < 10
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("file", ["config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"])
def test_random_damage_of_a_directory_never_gives_a_traceback(saved, file):
    whole, generator = (saved / file).read_bytes(), torch.Generator().manual_seed(2)
    for turn in range(20):
        place = int(torch.randint(0, len(whole), (), generator=generator))
        changed = bytearray(whole)
        if turn % 2:
            changed = changed[:place]
        else:
            changed[place : place + 2] = pickle.dumps(turn)[:2]
        (saved / file).write_bytes(changed)
        with contextlib.suppress(CheckpointError):
            load(saved)

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from xlprobe import load
from xlprobe.checkpoints.hashing import hash_tensors
from xlprobe.errors import CheckpointError

CASES = [
    (family, head)
    for family in ("bert", "xlm-roberta")
    for head in ("Model", "ForSequenceClassification", "ForMaskedLM")
]
HEADS = {"Model": "none", "ForSequenceClassification": "classification", "ForMaskedLM": "mlm"}


@pytest.fixture
def saved(tmp_path):
    """Save a tiny checkpoint made by the root conftest and return its directory."""

    def save(checkpoint):
        checkpoint.model.save_pretrained(tmp_path)
        checkpoint.tokenizer.save_pretrained(tmp_path)
        return tmp_path

    return save


@pytest.mark.parametrize(("family", "head"), CASES)
def test_every_head_of_bert_and_xlm_r_loads_with_its_weights(tiny_checkpoints, saved, family, head):
    checkpoint = tiny_checkpoints(family, head)
    again = load(saved(checkpoint))
    assert type(again.model) is type(checkpoint.model)
    assert again.head == HEADS[head]
    assert again.hash == checkpoint.hash
    assert not again.model.training


@pytest.mark.parametrize(("family", "head"), [case for case in CASES if case[1] != "Model"])
def test_a_missing_head_is_an_error_and_the_bare_encoder_still_loads(tiny_checkpoints, saved, family, head):
    path = saved(tiny_checkpoints(family, head))
    weights = load_file(path / "model.safetensors")
    kept = {name: tensor for name, tensor in weights.items() if name.startswith(("bert.", "roberta."))}
    assert len(kept) < len(weights)
    save_file(kept, path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match="lacks .* tensors that .*" + head):
        load(path)
    bare = load(path, head="none")
    assert bare.head == "none"
    for name, tensor in bare.model.state_dict().items():
        assert torch.equal(tensor, kept[f"{bare.model.base_model_prefix}.{name}"]), name


def test_a_head_that_was_never_trained_is_not_made_up(tiny_checkpoints, saved):
    path = saved(tiny_checkpoints("bert", "Model"))
    for head in ("classification", "mlm"):
        with pytest.raises(CheckpointError, match="lacks"):
            load(path, head=head)


def test_missing_encoder_weights_and_unknown_tensors_are_errors(tiny_checkpoints, saved):
    path = saved(tiny_checkpoints("bert", "Model"))
    weights = load_file(path / "model.safetensors")
    without = {name: tensor for name, tensor in weights.items() if "layer.1.attention.self.key" not in name}
    save_file(without, path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"lacks 2 tensors .*layer\.1\.attention\.self\.key"):
        load(path)
    save_file(
        weights | {"encoder.adapter.weight": torch.ones(2)}, path / "model.safetensors", metadata={"format": "pt"}
    )
    with pytest.raises(CheckpointError, match="has no place for: encoder.adapter.weight"):
        load(path)


def test_weights_of_another_width_are_an_error(tiny_checkpoints, saved):
    path = saved(tiny_checkpoints("bert", "Model"))
    config = json.loads((path / "config.json").read_text())
    config["intermediate_size"] = 48
    (path / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="another shape than the configuration says"):
        load(path)


def test_another_architecture_is_an_error(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "gpt2", "architectures": ["GPT2Model"]}))
    with pytest.raises(CheckpointError, match="no model.safetensors"):
        load(tmp_path)


@pytest.mark.parametrize("spec", ["bundled:nothing", "./not/there", "/not/there", "a/b/c"])
def test_an_unknown_specification_is_an_error_that_names_what_is_known(spec):
    with pytest.raises(CheckpointError, match="bundled:encoder"):
        load(spec)


def test_a_directory_without_tokenizer_is_an_error(tiny_checkpoints, tmp_path):
    tiny_checkpoints("bert", "Model").model.save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match="tokenizer"):
        load(tmp_path)


def test_a_broken_weights_file_is_an_error(tiny_checkpoints, saved):
    path = saved(tiny_checkpoints("bert", "Model"))
    file = path / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(CheckpointError):
        load(path)


def test_the_hash_sees_names_shapes_and_values():
    one = {"a": torch.arange(4.0), "b": torch.ones(1)}
    assert hash_tensors(one) == hash_tensors(dict(reversed(one.items())))
    for other in (
        {"a": torch.arange(4.0).reshape(2, 2), "b": torch.ones(1)},
        {"a": torch.arange(4.0), "c": torch.ones(1)},
        {"a": torch.arange(4.0), "b": torch.zeros(1)},
        {"a": torch.arange(4.0), "b": torch.ones(1, dtype=torch.float64)},
    ):
        assert hash_tensors(other) != hash_tensors(one)


def test_the_encoder_of_a_checkpoint_knows_its_positions_and_options(tiny_checkpoints, tiny):
    checkpoint = tiny_checkpoints("xlm-roberta")
    sample = tiny.problems(1)[0].pair("en", "fr")
    assert checkpoint.encoder().max_length == 128  # of 130 rows, two are before the first token's
    assert checkpoint.encoder(20).max_length == 20
    assert checkpoint.encoder(1000).max_length == 128
    plain = checkpoint.encoder().encode([sample]).input_ids[0].tolist()
    own = replace(checkpoint, encoding={"layout": "method", "max_length": 64}).encoder()
    assert own.max_length == 64
    assert len(own.encode([sample]).input_ids[0]) == len(plain) - 1
    checkpoint.model.config.type_vocab_size = 1
    for encoding, message in (
        ({"token_types": "segments"}, "a model with 1 token types"),
        ({"tokentypes": "zeros"}, r"got the encoding options \['tokentypes'\]"),
    ):
        with pytest.raises(CheckpointError, match=message):
            replace(checkpoint, encoding=encoding).encoder()

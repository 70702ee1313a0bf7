"""Directories as users have them: what is nearly a checkpoint is read right, or refused with what to do."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from xlprobe import load, save
from xlprobe.errors import CheckpointError


def rewrite(directory, change):
    weights = load_file(directory / "model.safetensors")
    save_file(change(weights), directory / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module."])
def test_what_wrappers_put_before_the_names_comes_off(saved, prefix):
    whole = load(saved).hash
    rewrite(saved, lambda weights: {prefix + name: tensor for name, tensor in weights.items()})
    assert load(saved).hash == whole


def test_weights_in_several_files_are_read_whole(saved, tiny_checkpoints, tmp_path):
    whole = load(saved)
    whole.model.save_pretrained(tmp_path / "parts", max_shard_size="30KB")
    whole.tokenizer.save_pretrained(tmp_path / "parts")
    assert len(list((tmp_path / "parts").glob("*.safetensors"))) > 2
    assert load(tmp_path / "parts").hash == whole.hash
    next((tmp_path / "parts").glob("model-00002*")).unlink()
    with pytest.raises(CheckpointError, match="names 'model-00002.*which is not there"):
        load(tmp_path / "parts")


def test_whole_numbers_in_the_place_of_weights_are_refused(saved):
    rewrite(saved, lambda weights: {name: (tensor * 10).to(torch.int8) for name, tensor in weights.items()})
    with pytest.raises(CheckpointError, match=r"its weights are quantised: .* hold torch\.int8"):
        load(saved)


@pytest.mark.parametrize("field", ["dtype", "torch_dtype"])
@pytest.mark.parametrize("said", ["float16", "bfloat16", None])
def test_the_precision_of_the_configuration_is_not_that_of_the_measurement(saved, field, said):
    config = json.loads((saved / "config.json").read_text())
    config.pop("dtype", None)
    (saved / "config.json").write_text(json.dumps({**config, field: said}))
    found = load(saved)
    assert found.model.dtype == torch.float32
    assert found.provenance["dtype"] == "float32"


@pytest.mark.parametrize("part", ["model.safetensors", "config.json", "pytorch_model.bin"])
def test_a_part_of_a_checkpoint_names_its_directory(saved, part):
    (saved / part).touch()
    with pytest.raises(CheckpointError, match=f"part of a checkpoint; expected its directory, {saved}"):
        load(saved / part)


def test_a_directory_of_checkpoints_names_them(saved, tmp_path):
    shutil.copytree(saved, tmp_path / "run" / "checkpoint-100")
    with pytest.raises(CheckpointError, match="It holds checkpoints, of which one can be named: checkpoint-100"):
        load(tmp_path / "run")


def test_files_of_trainings_and_adapters_say_what_they_are(saved, tmp_path):
    state = load_file(saved / "model.safetensors")
    torch.save({"state_dict": state, "epoch": 3}, tmp_path / "lightning.ckpt")
    with pytest.raises(CheckpointError, match="a dictionary of state_dict, epoch; .*Lightning"):
        load(tmp_path / "lightning.ckpt", base=saved)
    save_file({"base_model.model.x.lora_A.weight": torch.zeros(1)}, tmp_path / "adapter_model.safetensors")
    with pytest.raises(CheckpointError, match="PEFT adapter"):
        load(tmp_path / "adapter_model.safetensors", base=saved)


def test_tokenizers_without_places_in_the_text_or_damaged_are_refused_at_once(saved):
    (saved / "tokenizer.json").unlink()
    (saved / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "BertJapaneseTokenizer"}))
    (saved / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n")
    with pytest.raises(CheckpointError, match="BertJapaneseTokenizer, has no fast version"):
        load(saved)
    (saved / "vocab.txt").unlink()
    (saved / "tokenizer_config.json").unlink()
    (saved / "sentencepiece.bpe.model").write_bytes(b"no model")
    with pytest.raises(CheckpointError, match="knows special tokens only"):
        load(saved)


def test_a_damaged_vocabulary_does_not_send_to_another_library(tiny_checkpoints, tmp_path):
    place = save(tiny_checkpoints("xlm-roberta"), tmp_path / "c")
    (place / "tokenizer.json").unlink()
    (place / "tokenizer_config.json").unlink()
    (place / "sentencepiece.bpe.model").write_bytes(b"no model")
    with pytest.raises(CheckpointError, match="no sentencepiece model, or is damaged") as caught:
        load(place)
    assert "tiktoken" not in str(caught.value)

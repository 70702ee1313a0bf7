"""From a recipe to files that can be loaded again."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file

from xlprobe.checkpoints.loading import load
from xlprobe.errors import CheckpointError, DataError, TrainingError
from xlprobe.training.recipes import make_recipe
from xlprobe.training.runs import run_finetune, run_pretrain


def _recipe(data, routine, **more):
    source = {"pretrain": "texts.jsonl", "finetune": "problems.jsonl"}[routine]
    stage = {"source": "file", "path": source, "format": "jsonl"}
    settings = {"steps": 3, "batch_size": 4, "dropout": 0.0, "device": "cpu"}
    return make_recipe(
        {"routine": routine, "base": str(data / "base"), "settings": settings, "stages": [stage], **more}
    )


def test_pretrain_then_finetune_then_load(data):
    query = run_pretrain(_recipe(data, "pretrain", pairs=["en-fr"], head={"steps": 2}), data / "pre", data)
    tensors = load_file(query)
    assert len(tensors) == 4
    recipe = _recipe(data, "finetune", mechanism="cross-query", mix={"en-en": 1, "en-fr": 1})
    made = run_finetune(recipe, data / "out", data, query)
    again = load(data / "out" / "model")
    assert again.is_cross_query
    assert again.head == "classification"
    for name, tensor in made.model.state_dict().items():
        assert torch.equal(again.model.state_dict()[name], tensor)
    manifest = json.loads((data / "out" / "manifest.json").read_text())
    assert manifest["report"]["run"]["steps"] == 3
    assert len(manifest["report"]["data_sha256"]) == 64
    with pytest.raises(TrainingError, match="--query"):
        run_finetune(recipe, data / "other", data)


def test_packed_weights_are_what_is_returned(data):
    made = run_finetune(_recipe(data, "finetune", store="4-bit", tuning="full"), data / "out", data)
    from xlprobe.checkpoints.delta import read_delta

    delta = read_delta(data / "out" / "weights.safetensors")
    assert delta.base_hash == load(data / "base").hash
    assert delta.meta["mechanism"] == "baseline"
    assert any(key.endswith("|4") for key in delta.stored)
    again = load(data / "out" / "weights.safetensors").model.state_dict()
    for name, tensor in made.model.state_dict().items():
        assert torch.equal(again[name], tensor), name


def test_a_recipe_says_how_texts_are_read_and_what_is_kept_says_it_too(data):
    recipe = _recipe(data, "finetune", encoding={"layout": "method", "prefix": "query: "}, store="4-bit")
    made = run_finetune(recipe, data / "out", data)
    assert made.encoding == {"layout": "method", "prefix": "query: "}
    assert load(data / "out").encoding == made.encoding
    with pytest.raises(CheckpointError, match="encoding options"):
        run_finetune(_recipe(data, "finetune", encoding={"separators": "1"}), data / "other", data)
    with pytest.raises(DataError, match="got layout='one'"):
        run_pretrain(_recipe(data, "pretrain", pairs=["en-fr"], encoding={"layout": "one"}), data / "other", data)
    with pytest.raises(TrainingError, match=r"encoding\.layout"):
        _recipe(data, "finetune", encoding={"layout": 1})

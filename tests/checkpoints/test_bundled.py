"""The checkpoints that come with xlprobe: what is in them, and that they answer."""

from __future__ import annotations

import pytest
import torch

from xlprobe import load, samples
from xlprobe.checkpoints import bundled
from xlprobe.checkpoints.bundled import BUNDLED_NAMES, SHIPPED, shipped_file
from xlprobe.checkpoints.hashing import hash_file
from xlprobe.encoders import is_cross_query
from xlprobe.errors import CheckpointError

NAMES = [
    pytest.param("cross-query"),
    pytest.param("baseline", marks=pytest.mark.slow),
    pytest.param("baseline-en", marks=pytest.mark.slow),
]


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_checkpoint_answers_better_than_chance(bundled_encoder, name):
    if name not in BUNDLED_NAMES:
        pytest.skip(f"{name} is not among the weights of this installation")
    checkpoint = load(f"bundled:{name}")
    assert checkpoint.head == "classification"
    assert checkpoint.is_cross_query == is_cross_query(checkpoint.model) == (name == "cross-query")
    assert checkpoint.provenance["base_hash"] == bundled_encoder.hash
    assert checkpoint.model.base_model.embeddings.position_ids[0, :3].tolist() == [0, 1, 2]
    assert all(tensor.isfinite().all() for tensor in checkpoint.model.state_dict().values())
    if checkpoint.is_cross_query:
        for layer in checkpoint.model.bert.encoder.layer:
            attention = layer.attention.self
            assert not torch.equal(attention.cross_lingual_query.weight, attention.query.weight)
    problems = samples.generate(theories=12, questions=2, depth=0, languages=("en",), kinds=("attributes",), seed=7)
    batch = checkpoint.encoder().encode([p.pair("en", "en") for p in problems])
    with torch.no_grad():
        logits = checkpoint.model(**batch.model_inputs(checkpoint.is_cross_query)).logits
    assert (logits.argmax(dim=1) == batch.labels).float().mean() > 0.6


def test_the_files_that_are_there_are_those_that_were_shipped():
    assert BUNDLED_NAMES[0] == "encoder"
    for name in BUNDLED_NAMES[1:]:
        assert hash_file(shipped_file(name)) == SHIPPED[name]


def test_the_shipped_run_has_its_seed_for_another_name(bundled_encoder, monkeypatch, tmp_path):
    monkeypatch.setenv("XLPROBE_RUNS", str(tmp_path))  # where no archive is
    seed = bundled.SEEDS["baseline"]
    assert load(f"bundled:baseline@{seed}").provenance["seed"] == seed
    with pytest.raises(CheckpointError, match="not in the package"):
        load(f"bundled:baseline@{seed + 1}")


def test_a_shipped_file_with_one_bit_changed_is_refused(tmp_path, monkeypatch):
    whole = bytearray(shipped_file("baseline").read_bytes())
    whole[-5] ^= 4
    (tmp_path / "baseline.safetensors").write_bytes(whole)
    monkeypatch.setattr(bundled, "shipped_file", lambda name: tmp_path / f"{name}.safetensors")
    with pytest.raises(CheckpointError, match="not the file that came with xlprobe"):
        load("bundled:baseline")


def test_checkpoints_on_one_base_share_its_tokenizer_and_what_one_writes_no_other_sees(bundled_encoder):
    one, other = load("bundled:encoder"), load("bundled:encoder")
    assert one.tokenizer is other.tokenizer
    weight = one.model.embeddings.word_embeddings.weight
    with torch.no_grad():
        weight[5, 7] += 1
    assert weight[5, 7] == other.model.embeddings.word_embeddings.weight[5, 7] + 1
    # The hash is that of the weights that are there, not of those that were read.
    assert other.hash == bundled_encoder.hash != one.hash
    assert weight[5, 7] == other.model.embeddings.word_embeddings.weight[5, 7] + 1

"""The fine-tuned checkpoints that come with xlprobe: what is in them, and that they answer."""

from __future__ import annotations

import pytest
import torch

from xlprobe import encode, load, samples
from xlprobe.checkpoints.checkpoint import BUNDLED
from xlprobe.checkpoints.shipped import SHIPPED, shipped_file
from xlprobe.encoders import is_cross_query

NAMES = [
    pytest.param("cross-query"),
    pytest.param("baseline", marks=pytest.mark.slow),
    pytest.param("baseline-en", marks=pytest.mark.slow),
]


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_checkpoint_answers_better_than_chance(bundled_encoder, name):
    if not shipped_file(name).is_file():
        pytest.skip(f"{name} is not among the weights of this installation")
    checkpoint = load(f"bundled:{name}")
    assert checkpoint.head == "classification"
    assert checkpoint.is_cross_query == is_cross_query(checkpoint.model) == (name == "cross-query")
    assert checkpoint.provenance["base_hash"] == bundled_encoder.hash
    assert all(tensor.isfinite().all() for tensor in checkpoint.model.state_dict().values())
    if checkpoint.is_cross_query:
        for layer in checkpoint.model.bert.encoder.layer:
            attention = layer.attention.self
            assert not torch.equal(attention.cross_lingual_query.weight, attention.query.weight)
    problems = samples.generate(theories=12, questions=2, depth=0, languages=("en",), kinds=("attributes",), seed=7)
    batch = encode([p.pair("en", "en") for p in problems], checkpoint.tokenizer, **checkpoint.encoding)
    with torch.no_grad():
        logits = checkpoint.model(**batch.model_inputs(checkpoint.is_cross_query)).logits
    assert (logits.argmax(dim=1) == batch.labels).float().mean() > 0.6


def test_only_files_that_are_there_have_a_name():
    assert {name for name in BUNDLED if name != "encoder"} <= {name for name in SHIPPED if shipped_file(name).is_file()}

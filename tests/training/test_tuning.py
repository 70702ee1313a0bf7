"""What is trained and what is not."""

from __future__ import annotations

import pytest
import torch

from xlprobe.errors import TrainingError
from xlprobe.training.tuning import check_frozen, frozen_hash, select


def test_bitfit_trains_biases_and_the_head_only(tiny):
    model = tiny.checkpoint("bert", "ForSequenceClassification", cross_query=True).model
    names = select(model, "bitfit", ("embeddings",))
    assert all(name.endswith("bias") or "classifier" in name or "pooler" in name for name in names)
    assert "bert.encoder.layer.0.attention.self.cross_lingual_query.bias" in names
    assert "bert.encoder.layer.0.attention.self.cross_lingual_query.weight" not in names
    assert "classifier.weight" in names
    assert "bert.pooler.dense.weight" in names
    assert not any("embeddings" in name for name in names)


def test_other_tunings(tiny):
    model = tiny.checkpoint("bert", "ForSequenceClassification", cross_query=True).model
    assert len(select(model, "full")) == len(list(model.parameters()))
    attention = select(model, "attention")
    assert "bert.encoder.layer.1.attention.self.query.weight" in attention
    assert "bert.encoder.layer.1.attention.self.cross_lingual_query.weight" not in attention
    assert "bert.encoder.layer.1.intermediate.dense.weight" not in attention
    cross = select(model, "cross-query")
    assert len(cross) == 4
    assert all("cross_lingual_query" in name for name in cross)


@pytest.mark.parametrize("family", ["bert", "xlm-roberta"])
def test_lm_head_leaves_the_tied_embedding(tiny, family):
    model = tiny.checkpoint(family, "ForMaskedLM").model
    names = select(model, "lm-head")
    assert names
    assert not any("embeddings" in name or "encoder" in name for name in names)
    assert not model.get_input_embeddings().weight.requires_grad


def test_errors(tiny):
    model = tiny.checkpoint("bert", "ForSequenceClassification").model
    with pytest.raises(TrainingError, match="bitfit"):
        select(model, "lora")
    with pytest.raises(TrainingError, match="embedings"):
        select(model, "full", ("embedings",))
    with pytest.raises(TrainingError, match="no parameter"):
        select(model, "cross-query")


def test_a_changed_frozen_tensor_is_found(tiny):
    model = tiny.checkpoint("bert", "ForSequenceClassification").model
    select(model, "bitfit")
    before = frozen_hash(model)
    with torch.no_grad():
        model.classifier.weight.add_(1.0)
    check_frozen(model, before)
    with torch.no_grad():
        model.bert.encoder.layer[0].output.dense.weight[0, 0] += 1e-3
    with pytest.raises(TrainingError, match="frozen"):
        check_frozen(model, before)

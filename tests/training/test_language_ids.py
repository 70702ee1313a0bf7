from __future__ import annotations

import pytest
import torch

from xlprobe.errors import DataError
from xlprobe.samples import Encoder
from xlprobe.training.language_ids import LanguageCollator, features_of


def test_features_padded_are_the_batch(tiny):
    encoder = Encoder(tiny.tokenizers["bert"]())
    samples = [problem.pair("en", code) for problem in tiny.problems(3, 2) for code in ("fr", "zh")]
    collate = LanguageCollator(encoder.tokenizer.pad_token_id)
    batch, made = encoder.encode(samples), collate([features_of(sample, encoder) for sample in samples])
    for name, tensor in {**batch.model_inputs(True), "labels": batch.labels}.items():
        assert torch.equal(made[name], tensor), name
    assert (made["language_ids"][made["attention_mask"] == 0] == 0).all()
    assert len(set(batch.lengths.tolist())) > 1


def test_features_without_language_ids_or_labels_are_padded_too():
    made = LanguageCollator(9)([{"input_ids": [1, 2], "label": 1}, {"input_ids": [3], "label": 0}])
    assert made["input_ids"].tolist() == [[1, 2], [3, 9]]
    assert made["labels"].tolist() == [1, 0]
    assert set(made) == {"input_ids", "labels"}
    with pytest.raises(DataError, match=r"with and without \['language_ids'\]"):
        LanguageCollator(9)([{"input_ids": [1]}, {"input_ids": [3], "language_ids": [7]}])

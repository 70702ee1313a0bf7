"""Trimming the vocabulary changes nothing that can be seen, and can be undone."""

from __future__ import annotations

import pytest
import torch

from xlprobe.errors import TrainingError
from xlprobe.samples import encode
from xlprobe.training.vocabulary import Vocabulary


@pytest.mark.parametrize("family", ["bert", "xlm-roberta"])
def test_trim_and_restore(tiny, family):
    checkpoint = tiny.checkpoint(family, "ForMaskedLM")
    model, problems = checkpoint.model, tiny.problems(2, languages=("en",))
    batch = encode([problem.pair("en", "en") for problem in problems], checkpoint.tokenizer)
    inputs = batch.model_inputs()
    vocabulary = Vocabulary.of(batch.input_ids.flatten().tolist(), checkpoint.tokenizer, model.config.vocab_size)
    assert len(vocabulary) < vocabulary.size
    with torch.no_grad():
        before = model(**inputs).logits
        state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        whole = vocabulary.trim(model)
        short = model(**{**inputs, "input_ids": vocabulary.encode(batch.input_ids)}).logits
        assert short.shape[-1] == len(vocabulary)
        torch.testing.assert_close(short, before[..., list(vocabulary.kept)])
        vocabulary.restore(model, whole)
    assert model.config.vocab_size == vocabulary.size
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight
    for name, tensor in model.state_dict().items():
        if name.endswith("bias") and ("predictions" in name or "lm_head" in name) and len(tensor) == vocabulary.size:
            kept = list(vocabulary.kept)
            assert torch.equal(tensor[kept], state[name][kept])
        else:
            assert torch.equal(tensor, state[name]), name


def test_ids_map_back():
    vocabulary = Vocabulary((0, 3, 7), 9)
    ids = torch.tensor([[7, 0], [3, 7]])
    assert torch.equal(vocabulary.encode(ids), torch.tensor([[2, 0], [1, 2]]))
    assert torch.equal(torch.tensor(vocabulary.kept)[vocabulary.encode(ids)], ids)


def test_missing_pieces_are_named():
    with pytest.raises(TrainingError, match=r"\[4\]"):
        Vocabulary((0, 3, 7), 9).encode(torch.tensor([0, 4]))


@pytest.mark.parametrize("kept", [(), (3, 1), (1, 1), (1, 9)])
def test_bad_vocabularies(kept):
    with pytest.raises(TrainingError, match="expected"):
        Vocabulary(kept, 9)

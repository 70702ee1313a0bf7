from __future__ import annotations

import pytest
import torch

from xlprobe.encoders import to_cross_query
from xlprobe.errors import CheckpointError


@pytest.mark.parametrize("family", ["bert", "xlm-roberta"])
@pytest.mark.parametrize("head", ["Model", "ForSequenceClassification", "ForMaskedLM"])
@pytest.mark.parametrize("wanted", [None, "none", "classification", "mlm"])
def test_converted_encoder_equals_the_plain_one_in_language(tiny, inputs, family, head, wanted):
    plain = tiny.make_plain(family, head)
    made = to_cross_query(plain, wanted, pairs=["en-fr"])
    in_language = {**inputs, "language_ids": inputs["attention_mask"] * 149}
    with torch.no_grad():
        got = made.base_model(**in_language).last_hidden_state
        expected = plain.base_model(**tiny.without_languages(inputs)).last_hidden_state
        torch.testing.assert_close(got, expected, atol=1e-6, rtol=0)
        if wanted is None:
            assert type(made).__name__.endswith(head)
            torch.testing.assert_close(made(**in_language)[0], plain(**tiny.without_languages(inputs))[0])
    layer = made.base_model.encoder.layer[1].attention.self
    assert torch.equal(layer.cross_lingual_queries["en-fr"].weight, layer.query.weight)
    if wanted == "mlm":
        assert made.get_output_embeddings().weight is made.get_input_embeddings().weight
    assert not made.training


def test_number_of_labels_can_be_chosen(tiny):
    made = to_cross_query(tiny.make_plain("bert", "Model"), "classification", num_labels=5)
    assert made.config.num_labels == 5
    assert made.classifier.out_features == 5


def test_other_architectures_are_refused(tiny):
    from transformers import DebertaV2Config, DebertaV2Model

    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 9}
    with pytest.raises(CheckpointError, match="DebertaV2Model cannot be given a Q_cross: .* code of its own"):
        to_cross_query(DebertaV2Model(DebertaV2Config(**sizes)))
    made = to_cross_query(tiny.make_plain("bert", "Model"))
    with pytest.raises(CheckpointError, match="cross-query-bert"):
        to_cross_query(made)

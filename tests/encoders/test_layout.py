from __future__ import annotations

import pytest
import torch
import transformers

from xlprobe.encoders.layout import position_limit

SMALL = {
    "vocab_size": 40, "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4, "intermediate_size": 37,
    "max_position_embeddings": 34, "pad_token_id": 1,
}  # fmt: skip


@pytest.mark.parametrize(
    "family", ["Bert", "Roberta", "XLMRoberta", "Camembert", "XLMRobertaXL", "Electra", "DistilBert"]
)
def test_a_model_reads_as_many_tokens_as_its_limit_says_and_no_more(family):
    cls = getattr(transformers, family + "Model")
    model = cls(cls.config_class(**SMALL)).eval()
    limit = position_limit(model)
    assert limit == (32 if "oberta" in family or family == "Camembert" else 34)
    with torch.no_grad():
        model(torch.full((1, limit), 7))
        with pytest.raises((IndexError, RuntimeError)):
            model(torch.full((1, limit + 1), 7))

"""Tiny random encoders of every architecture, saved to disk with a tokenizer of their kind."""

from __future__ import annotations

import torch
import transformers

SIZES = {
    "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 40,
    "max_position_embeddings": 258, "initializer_range": 0.3,
}  # fmt: skip
OWN = {
    "Bert": {}, "Roberta": {}, "XLMRoberta": {}, "XLMRobertaXL": {}, "Camembert": {}, "Electra": {"embedding_size": 16},
    "Xmod": {"languages": ("en_XX", "fr_XX"), "default_language": "en_XX"},
    "DistilBert": {"dim": 32, "n_heads": 4, "n_layers": 3, "hidden_dim": 40},
    "Albert": {"embedding_size": 16, "num_hidden_groups": 1},
    "ModernBert": {"local_attention": 8, "global_attn_every_n_layers": 2},
    "EuroBert": {"num_key_value_heads": 2, "head_dim": 8},
    "NomicBert": {},
}  # fmt: skip
HEADS = {"none": "Model", "classification": "ForSequenceClassification", "mlm": "ForMaskedLM"}


def save_encoder(directory, tokenizers, name, head="classification", **options):
    """Save a tiny random model of an architecture with a fitting tokenizer, and return its directory."""
    kind = "xlm-roberta" if "oberta" in name or name in ("Camembert", "Xmod") else "bert"
    tokenizer = tokenizers[kind]()
    cls = getattr(transformers, name + HEADS[head])
    values = {**SIZES, **OWN.get(name, {}), "vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id}
    special = {f"{part}_token_id": getattr(tokenizer, f"{part}_token_id") for part in ("cls", "sep", "bos", "eos")}
    values |= {key: value for key, value in special.items() if value is not None}
    torch.manual_seed(0)
    model = cls(cls.config_class(**{**values, **options}))
    model.save_pretrained(directory / name)
    tokenizer.save_pretrained(directory / name)
    return directory / name

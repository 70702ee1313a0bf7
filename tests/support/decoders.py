"""Tiny random causal models saved to disk with a tokenizer of their kind."""

from __future__ import annotations

import torch
import transformers

SIZES = {
    "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 40, "head_dim": 8,
    "max_position_embeddings": 256, "initializer_range": 0.3, "num_key_value_heads": 2,
}  # fmt: skip
OWN = {
    "Llama": {}, "Qwen2": {}, "Qwen3": {}, "Gemma": {}, "Mistral": {"sliding_window": 12},
    "Gemma3": {"sliding_window": 8, "layer_types": ["sliding_attention", "full_attention", "sliding_attention"]},
    "Gemma2": {"attn_logit_softcapping": 2.0, "sliding_window": 8, "query_pre_attn_scalar": 8},
    "GPT2": {}, "XGLM": {"d_model": 32, "attention_heads": 4, "num_layers": 3, "ffn_dim": 40, "init_std": 0.3},
}  # fmt: skip
CLASSES = {
    "none": "Model", "classification": "ForSequenceClassification", "causal": "ForCausalLM",
}  # fmt: skip
NAMES = {("GPT2", "causal"): "GPT2LMHeadModel", ("Gemma3", "none"): "Gemma3TextModel"}
BYTES = ("GPT2", "Qwen2", "Qwen3")
"""Families whose texts begin without a token of the tokenizer's own."""


def byte_tokenizer(begins: bool = True):
    """A byte-level tokenizer as GPT-2 and Llama 3 have it; `begins`: whether it puts a first token before a text."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    texts = ["Anne is kind. Bob is big. Erin is red. Question: Anne is kind. True / False? Answer: True"]
    texts += ["Anne est gentil. Bob est grand. Question : Erin est rouge. Vrai / Faux? Réponse : Vrai"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=330, special_tokens=["<pad>", "<s>", "</s>"], initial_alphabet=alphabet)
    backend.train_from_iterator(texts * 3, trainer)
    if begins:
        backend.post_processor = processors.TemplateProcessing(
            single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", 1)]
        )
    return PreTrainedTokenizerFast(tokenizer_object=backend, bos_token="<s>", eos_token="</s>", pad_token="<pad>")


def save_decoder(directory, name="Llama", head="causal", **options):
    """Save a tiny random causal model of an architecture with a fitting tokenizer, and return its directory."""
    tokenizer = byte_tokenizer(name not in BYTES)
    cls = getattr(transformers, NAMES.get((name, head), name + CLASSES[head]))
    values = {**SIZES, **OWN.get(name, {}), "vocab_size": len(tokenizer) + 6, "pad_token_id": tokenizer.pad_token_id}
    if name == "GPT2":
        values |= {"n_embd": 32, "n_head": 4, "n_layer": 3}
        del values["num_key_value_heads"], values["head_dim"]
    values |= {"bos_token_id": 1, "eos_token_id": 2}
    torch.manual_seed(0)
    cls(cls.config_class(**{**values, **options})).save_pretrained(directory / name)
    tokenizer.save_pretrained(directory / name)
    return directory / name

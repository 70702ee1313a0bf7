"""Tiny random encoder-decoders saved to disk with a tokenizer of their kind."""

from __future__ import annotations

import torch
import transformers
from decoders import byte_tokenizer

T5_SIZES = {"d_model": 32, "d_kv": 6, "num_layers": 3, "num_heads": 4, "d_ff": 40, "initializer_factor": 1.0}
BART_SIZES = {
    "d_model": 32, "encoder_layers": 3, "decoder_layers": 2, "encoder_attention_heads": 4, "decoder_attention_heads": 2,
    "encoder_ffn_dim": 40, "decoder_ffn_dim": 40, "max_position_embeddings": 256, "init_std": 0.3,
}  # fmt: skip
OWN = {
    "T5": T5_SIZES | {"num_decoder_layers": 2}, "MT5": T5_SIZES, "UMT5": T5_SIZES, "Bart": BART_SIZES,
    "MBart": BART_SIZES, "M2M100": BART_SIZES, "Marian": BART_SIZES, "Pegasus": BART_SIZES,
}  # fmt: skip
HEADS = {"seq2seq": "ForConditionalGeneration", "classification": "ForSequenceClassification", "none": "Model",
         "encoder": "EncoderModel"}  # fmt: skip
NAMES = {("Marian", "seq2seq"): "MarianMTModel"}


def sequence_tokenizer(name):
    """A byte-level tokenizer that puts before and after a text what this family's does."""
    from tokenizers import processors

    tokenizer = byte_tokenizer()
    texts = {"Bart": ("<s> $A </s>", "<s> $A </s> </s> $B </s>"), "MBart": ("$A </s> en_XX", "$A $B </s> en_XX"),
             "M2M100": ("en_XX $A </s>", "en_XX $A $B </s>")}  # fmt: skip
    single, pair = texts.get(name, ("$A </s>", "$A </s> $B </s>"))
    tokenizer.add_special_tokens({"additional_special_tokens": ["en_XX"]})
    used = [(token, tokenizer.convert_tokens_to_ids(token)) for token in ("<s>", "</s>", "en_XX")]
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single=single, pair=pair, special_tokens=[one for one in used if one[0] in pair]
    )
    return tokenizer


def save_sequence_model(directory, name="T5", head="seq2seq", **options):
    """Save a tiny random encoder-decoder of an architecture with a fitting tokenizer, and return its directory."""
    tokenizer = sequence_tokenizer(name)
    cls = getattr(transformers, NAMES.get((name, head), name + HEADS[head]))
    values = {**OWN[name], "vocab_size": len(tokenizer) + 6, "pad_token_id": 0, "eos_token_id": 2, "bos_token_id": 1}
    values |= {"decoder_start_token_id": 0 if "T5" in name else 2}
    torch.manual_seed(0)
    cls(cls.config_class(**{**values, **options})).save_pretrained(directory / name)
    tokenizer.save_pretrained(directory / name)
    return directory / name

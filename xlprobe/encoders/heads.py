"""The heads that a model may have, and the names of the classes that have them."""

from __future__ import annotations

from typing import Literal

__all__ = ["SUFFIXES", "Head", "head_of"]

Head = Literal["none", "classification", "mlm", "causal", "seq2seq"]

SUFFIXES: dict[Head, str] = {
    "none": "Model",
    "classification": "ForSequenceClassification",
    "mlm": "ForMaskedLM",
    "causal": "ForCausalLM",
    "seq2seq": "ForConditionalGeneration",
}
"""How transformers ends the name of a class with each head."""


def head_of(class_name: str) -> Head | None:
    """Return the head of a class of transformers by its name; None for any other head, such as a tagger's."""
    if class_name.endswith("ForPreTraining"):
        return "mlm"
    if class_name.endswith("LMHeadModel"):  # GPT-2's name for it
        return "causal"
    if class_name.endswith("MTModel"):  # Marian's
        return "seq2seq"
    return next((head for head, suffix in SUFFIXES.items() if class_name.endswith(suffix)), None)

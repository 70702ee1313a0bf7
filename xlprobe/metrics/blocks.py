"""The blocks of an attention pattern that metrics are of, and the ways to pool; imports nothing heavy."""

from __future__ import annotations

__all__ = [
    "BLOCKS",
    "CLOSED_TO_CAUSAL",
    "CLOSED_TO_CROSS",
    "CLOSED_WITHOUT_CLS",
    "COMPARED_BLOCKS",
    "MASS_BLOCKS",
    "POOLINGS",
    "SHAPE_BLOCKS",
    "SHARE_BLOCKS",
]

BLOCKS: dict[str, tuple[str, str]] = {
    "context->context": ("context", "context"),
    "context->question": ("context", "question"),
    "question->context": ("question", "context"),
    "question->question": ("question", "question"),
    "cls->context": ("cls", "context"),
    "cls->question": ("cls", "question"),
    "": ("text", "text"),
}
"""The blocks of an attention pattern by name: (queries, keys). Text is context and question together."""

CLOSED_TO_CAUSAL = {
    "context->question": "the context comes before the question and cannot see it in a causal model",
    "cls->context": "the first token sees only itself in a causal model",
    "cls->question": "the first token sees only itself in a causal model",
    "cls->both": "the first token sees only itself in a causal model",
}
"""The blocks, and edges, that a causal model has not, with the reason."""

CLOSED_TO_CROSS = dict.fromkeys(
    (*(block for block in BLOCKS if not block.startswith("cls")), "last->context", "last->question", "last->both"),
    "cross attention has one query, the decoder's position that answers, which stands in the place of cls",
)
"""The blocks, and edges, that cross attention has not, with the reason."""

CLOSED_WITHOUT_CLS = dict.fromkeys(
    ("cls->context", "cls->question", "cls->both"),
    "the encoder puts no token of its own before a text, so its first token is a word like others",
)
"""The blocks, and edges, that an encoder such as T5's has not, with the reason."""

MASS_BLOCKS = ("question->context", "context->question", "cls->context", "cls->question")
"""The directions in which mass is measured."""

COMPARED_BLOCKS = ("context->context", "cls->context", "question->context")
"""The blocks in which two versions are compared: the context has the same tokens, or the same units, in both."""

SHAPE_BLOCKS = ("context->context", "question->context")
"""The blocks whose rows of tokens are described."""

SHARE_BLOCKS = (*MASS_BLOCKS, "context->context", "question->question")
"""The blocks for which the two queries' shares are told apart."""

POOLINGS = ("token", "mass", "density")
"""Token by token, or unit by unit by mass or by density (see `xlprobe.metrics.unit_pool`)."""

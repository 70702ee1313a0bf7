"""Where the parts of an encoder are, found by what its modules can do, not by the model's name."""

from __future__ import annotations

from typing import Any

from torch import nn

__all__ = ["position_limit", "token_type_count"]


def position_limit(model: nn.Module) -> int:
    """Return how many tokens a model can read at a time, special tokens included.

    A table of positions that has a padding row is numbered from the row after it (RoBERTa, XLM-R, CamemBERT: 514 rows,
    512 tokens). Models that rotate their positions have no table; theirs is what the configuration says.
    """
    config: Any = model.config
    positions = int(getattr(config, "max_position_embeddings", None) or _UNLIMITED)
    for name, module in model.named_modules():
        if name.rsplit(".", 1)[-1] == "position_embeddings" and isinstance(module, nn.Embedding):
            used_up = 0 if module.padding_idx is None else module.padding_idx + 1
            return min(positions, module.num_embeddings) - used_up
    return positions


def token_type_count(model: nn.Module) -> int:
    """Return how many token types a model knows; 0 where it takes none."""
    config: Any = model.config
    return int(getattr(config, "type_vocab_size", 0) or 0)


_UNLIMITED = 10**9
"""For models that say no limit: relative positions without a table."""

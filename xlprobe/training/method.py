"""What a fine-tuning does: which mechanism, which weights, which languages (arXiv 2310.15258, section 4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from xlprobe.errors import TrainingError

__all__ = ["Mechanism", "Method"]

Mechanism = Literal["baseline", "cross-query"]


@dataclass(frozen=True)
class Method:
    """How a classifier is trained, beside the numbers of `TrainSettings`.

    `tuning` is "full" or "bitfit". `mix` gives the shares of language pairs (default: English in-language); each
    example goes to one pair for the whole run. `p_mask` and `cross_p_mask` close Q's cross-language and Q_cross's
    same-language pairs in training with these probabilities; `structured_dropout` does so for a baseline. `pairs` are
    the language pairs that have a Q_cross of their own (none: a shared one). `freeze` names what stays as it is.
    `validation_pair` is the pair in which validation decides which weights are best.
    """

    mechanism: Mechanism = "baseline"
    tuning: str = "bitfit"
    mix: Mapping[str, float] = field(default_factory=lambda: {"en-en": 1.0})
    p_mask: float = 0.7
    cross_p_mask: float = 0.7
    structured_dropout: float = 0.0
    pairs: tuple[str, ...] = ()
    freeze: tuple[str, ...] = ("embeddings",)
    validation_pair: str = "en-en"

    def __post_init__(self) -> None:
        if self.mechanism not in ("baseline", "cross-query"):
            raise TrainingError(f"got mechanism={self.mechanism!r}; expected 'baseline' or 'cross-query'")
        for name in ("p_mask", "cross_p_mask", "structured_dropout"):
            if not 0 <= getattr(self, name) <= 1:
                raise TrainingError(f"got {name}={getattr(self, name)}; expected a probability from 0 to 1")
        if self.structured_dropout and self.is_cross_query:
            raise TrainingError(
                "structured_dropout is for baselines; a cross-query model has p_mask and cross_p_mask for it"
            )

    @property
    def is_cross_query(self) -> bool:
        """Whether the model gets a Q_cross."""
        return self.mechanism == "cross-query"

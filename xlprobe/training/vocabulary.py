"""Trimming a vocabulary to the pieces that a study needs, and putting it back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor, nn

from xlprobe.errors import TrainingError

__all__ = ["Vocabulary"]


@dataclass(frozen=True)
class Vocabulary:
    """The token ids that are kept, in rising order; trimmed ids are places in this list.

    `size` is the whole vocabulary's. `Vocabulary.whole(size)` keeps everything.
    """

    kept: tuple[int, ...]
    size: int

    def __post_init__(self) -> None:
        if (
            not self.kept
            or list(self.kept) != sorted(set(self.kept))
            or not 0 <= self.kept[0] <= self.kept[-1] < self.size
        ):
            raise TrainingError(
                f"got {len(self.kept)} kept token ids; expected different ones, rising, below {self.size}"
            )

    @classmethod
    def whole(cls, size: int) -> Vocabulary:
        """Return the vocabulary that keeps every piece."""
        return cls(tuple(range(size)), size)

    @classmethod
    def of(cls, ids: Iterable[int], tokenizer: Any, size: int) -> Vocabulary:
        """Return the vocabulary of the given ids and the tokenizer's special tokens."""
        return cls(tuple(sorted({*map(int, ids), *map(int, tokenizer.all_special_ids)})), size)

    def __len__(self) -> int:
        return len(self.kept)

    @cached_property
    def _table(self) -> Int[Tensor, " size"]:
        table = torch.full((self.size,), -1, dtype=torch.long)
        table[torch.tensor(self.kept)] = torch.arange(len(self.kept))
        return table

    def encode(self, ids: Int[Tensor, "*shape"]) -> Int[Tensor, "*shape"]:
        """Return trimmed ids; raises `TrainingError` for a piece that was trimmed away."""
        trimmed = self._table[ids]
        if bool((trimmed < 0).any()):
            missing = sorted(set(ids[trimmed < 0].tolist()))
            raise TrainingError(
                f"{len(missing)} token ids are not in the trimmed vocabulary, such as {missing[:5]}; make it from all "
                "the text that will be read"
            )
        return trimmed

    def trim(self, model: nn.Module) -> Tensor:
        """Cut a model's word embedding (and what is tied to it) down, in place; return the whole embedding."""
        embedding: Any = model.get_input_embeddings()  # type: ignore[operator]
        whole = embedding.weight.detach()
        if len(whole) != self.size:
            raise TrainingError(f"got a model with {len(whole)} pieces; expected {self.size}, the vocabulary's")
        self._resize(model, whole[torch.tensor(self.kept)].clone())
        bias = self._bias(model)
        if bias is not None and len(bias) == self.size:
            self._set_bias(model, bias.detach()[torch.tensor(self.kept)].clone())
        return whole

    def restore(self, model: nn.Module, whole: Tensor) -> None:
        """Put the whole embedding back, with what was learned in the rows that were kept (new bias rows are 0)."""
        embedding: Any = model.get_input_embeddings()  # type: ignore[operator]
        full = whole.clone()
        full[torch.tensor(self.kept)] = embedding.weight.detach()
        bias = self._bias(model)
        self._resize(model, full)
        if bias is not None and len(bias) == len(self.kept):
            spread = torch.zeros(self.size, dtype=bias.dtype)
            spread[torch.tensor(self.kept)] = bias.detach()
            self._set_bias(model, spread)

    def _resize(self, model: Any, weight: Tensor) -> None:
        embedding = model.get_input_embeddings()
        trained = embedding.weight.requires_grad
        pad = embedding.padding_idx
        if pad is not None:
            pad = int(self._table[pad]) if len(weight) == len(self.kept) else self._whole_pad(pad)
        fresh = nn.Embedding.from_pretrained(weight, freeze=not trained, padding_idx=pad)
        model.set_input_embeddings(fresh)
        model.config.vocab_size = len(weight)
        decoder = model.get_output_embeddings() if hasattr(model, "get_output_embeddings") else None
        if decoder is not None:
            decoder.weight, decoder.out_features = fresh.weight, len(weight)

    def _whole_pad(self, pad: int) -> int:
        return int(self.kept[pad]) if len(self.kept) != self.size else pad

    def _bias(self, model: Any) -> Tensor | None:
        decoder = model.get_output_embeddings() if hasattr(model, "get_output_embeddings") else None
        return None if decoder is None else decoder.bias

    def _set_bias(self, model: Any, bias: Tensor) -> None:
        decoder = model.get_output_embeddings()
        parameter = nn.Parameter(bias, requires_grad=decoder.bias.requires_grad)
        decoder.bias = parameter
        for module in model.modules():
            # BERT and XLM-R keep the decoder's bias a second time, one level up.
            if module is not decoder and getattr(module, "decoder", None) is decoder and "bias" in module._parameters:
                module.bias = parameter

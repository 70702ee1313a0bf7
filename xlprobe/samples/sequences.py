"""From samples to what an encoder-decoder reads, and what its decoder begins with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from xlprobe.samples.batch import Batch
from xlprobe.samples.prompts import PromptEncoder
from xlprobe.samples.types import Sample

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["SequenceEncoder", "own_tokens"]


class SequenceEncoder(PromptEncoder):
    """Encodes samples as texts of one tokenizer: a template with context and question in it, as `PromptEncoder`.

    Before and after the text stand the tokenizer's own special tokens, such as T5's end or the token of the language
    that an NLLB tokenizer is set to; they are the same whatever the languages of a sample. Where there is none before
    it, the first token is text. With `answering` the decoder is given `decoder_start` and what all answers begin with,
    and answers by the first tokens in which they differ.
    """

    _begins_with_sink = False

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, *, decoder_start: Sequence[int] = (), **options: Any
    ) -> None:
        super().__init__(tokenizer, **options)
        self.decoder_start = tuple(decoder_start)

    @property
    def begins_with_special(self) -> bool:
        """Whether the tokenizer puts a special token before each text."""
        return bool(self._before)

    def encode(self, samples: Sequence[Sample]) -> Batch:
        """Encode samples as one batch, as `PromptEncoder.encode`; with `answering` also what the decoder is given."""
        batch = super().encode(samples)
        if not self.answering:
            return batch
        starts = [(*self.decoder_start, *self._answers_of(sample).shared) for sample in samples]
        width = max(map(len, starts))
        padded = [[*one, *[-1] * (width - len(one))] for one in starts]
        return replace(batch, decoder_ids=torch.tensor(padded, dtype=torch.long))

    def _own_tokens(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        return own_tokens(self.tokenizer)

    def _continuation(self, sample: Sample) -> tuple[int, ...]:
        return ()

    def _spelled(self, sample: Sample) -> list[list[int]]:
        return [
            list(self.tokenizer(text_target=word, add_special_tokens=False, verbose=False)["input_ids"])
            for word in self._words(sample)
        ]


def own_tokens(tokenizer: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the special tokens that a tokenizer puts before and after a text."""
    probe = tokenizer("a", return_special_tokens_mask=True)
    ids, special = probe["input_ids"], probe["special_tokens_mask"]
    text = [place for place, one in enumerate(special) if one == 0]
    return tuple(ids[: text[0]]), tuple(ids[text[-1] + 1 :])

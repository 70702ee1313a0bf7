"""The tokenizer of the bundled encoder: XLM-R's, rebuilt from the vocabulary in its file."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

__all__ = ["E5Vocabulary", "build_tokenizer", "tokenizer_options"]


@dataclass(frozen=True)
class E5Vocabulary:
    """Pieces with their scores, what characters are replaced by, and the ids of `<s>`, `</s>`, `<pad>`, `<unk>`."""

    pieces: list[tuple[str, float]]
    normaliser: dict[str, str]
    special_ids: tuple[int, int, int, int]

    @property
    def special_tokens(self) -> list[str]:
        """The pieces of `special_ids`."""
        return [self.pieces[number][0] for number in self.special_ids]


@dataclass(frozen=True)
class _Given:
    """Hands a tokenizer over where transformers would copy it, which takes as long as building it."""

    tokenizer: Tokenizer

    def __deepcopy__(self, memo: dict[int, Any]) -> Tokenizer:
        return self.tokenizer


def build_tokenizer(vocabulary: E5Vocabulary, positions: int) -> PreTrainedTokenizerFast:
    """Rebuild XLM-R's sentencepiece unigram tokenizer (Conneau et al. 2020)."""
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    # The table is NFKC character by character, but for these; whole-text NFKC also composes accents, as XLM-R does.
    normaliser, (bos_id, eos_id, _, unk_id) = vocabulary.normaliser, vocabulary.special_ids
    special = {old: new for old, new in normaliser.items() if unicodedata.normalize("NFKC", old) != new}
    steps = []
    for new in sorted(set(special.values())):
        olds = "".join(re.escape(old) for old in sorted(special) if special[old] == new)
        steps.append(normalizers.Replace(Regex(f"[{olds}]"), new))
    bos, eos, _, _ = special_tokens = vocabulary.special_tokens
    backend = Tokenizer(models.Unigram(vocabulary.pieces, unk_id=unk_id, byte_fallback=False))
    backend.normalizer = normalizers.Sequence([*steps, normalizers.NFKC()])
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")]
    )
    backend.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always")
    backend.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A {eos}",
        pair=f"{bos} $A {eos} {eos} $B {eos}",
        special_tokens=[(bos, bos_id), (eos, eos_id)],
    )
    return PreTrainedTokenizerFast(tokenizer_object=_Given(backend), **tokenizer_options(special_tokens, positions))


def tokenizer_options(special_tokens: list[str], positions: int) -> dict[str, Any]:
    """Return what transformers is told of the tokenizer: its special tokens (bos, eos, pad, unk) and its length."""
    from tokenizers import AddedToken

    bos, eos, pad, unk = special_tokens
    return {
        "bos_token": bos,
        "eos_token": eos,
        "cls_token": bos,
        "sep_token": eos,
        "pad_token": pad,
        "unk_token": unk,
        "mask_token": AddedToken("<mask>", lstrip=True, special=True),
        "model_max_length": positions,
        "clean_up_tokenization_spaces": False,
        "model_input_names": ["input_ids", "attention_mask"],
    }

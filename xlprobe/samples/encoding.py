"""From samples to batches: token ids with the segment, language and unit of every token."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

import torch

from xlprobe.errors import DataError
from xlprobe.languages import language_id
from xlprobe.samples.batch import Batch
from xlprobe.samples.segments import Segment, Text, check_tokenizer, segment
from xlprobe.samples.types import Sample

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["Encoder", "batches", "encode", "separates"]

Layout = Literal["tokenizer", "method"]
TokenTypes = Literal["zeros", "segments", "tokenizer", "none"]
ClassOf = Callable[[tuple[str, ...]], tuple[int, ...]]
"""Gives, for the names of samples' labels, the class index of each in a model; raises `DataError` without one."""


class Encoder:
    """Encodes samples for one tokenizer, remembering each text that it has tokenised.

    The sentences of a text follow each other as its language has it: with a blank, in Chinese and Japanese without.
    A token belongs to the unit and the language of its last character.

    `layout="tokenizer"` puts the separators where the tokenizer does ([CLS] a [SEP] b [SEP] for BERT,
    `<s> a </s></s> b </s>` for XLM-R); `layout="method"` is [CLS] context [SEP] question [SEP] for every tokenizer
    (arXiv 2310.15258, section 3). `token_types="segments"` numbers the question's tokens 1, as BERT's pre-training
    does, "tokenizer" does as the tokenizer does for a pair, "zeros" is the method's recipe, "none" is for models that
    take no token types. `prefix` goes before the context (such as "query: "), as ordinary tokens that belong to no
    unit. `class_of` turns labels into a classifier's class indices; without it a label is the index.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        *,
        max_length: int = 512,
        layout: Layout = "tokenizer",
        token_types: TokenTypes = "zeros",
        prefix: str = "",
        class_of: ClassOf | None = None,
    ) -> None:
        check_tokenizer(tokenizer)
        if layout not in ("tokenizer", "method"):
            raise DataError(f"got layout={layout!r}; expected 'tokenizer' or 'method'")
        if token_types not in ("zeros", "segments", "tokenizer", "none"):
            raise DataError(f"got token_types={token_types!r}; expected 'zeros', 'segments', 'tokenizer' or 'none'")
        self.tokenizer: Any = tokenizer
        self.max_length = max_length
        self.prefix = prefix
        self._class_of = class_of
        self._orders: dict[tuple[str, ...], tuple[int, ...]] = {}
        probe, between = _pair_of_texts(tokenizer)
        ids = probe["input_ids"]
        if not separates(tokenizer):
            raise DataError(
                f"got a tokenizer that encodes a pair as {tokenizer.convert_ids_to_tokens(ids)}; expected "
                "[CLS] a [SEP] b [SEP]. xlprobe reads BERT-like encoders"
            )
        if token_types == "tokenizer":
            token_types = "segments" if 1 in probe.get("token_type_ids", ()) else "zeros"
        self.token_types: TokenTypes = token_types
        self._first, self._last = ids[0], ids[-1]
        self._between = between if layout == "tokenizer" else 1
        self._pad = int(tokenizer.pad_token_id or 0)
        self._cache: dict[Text, Segment] = {}

    @property
    def begins_with_special(self) -> bool:
        """Whether each text begins with a special token, such as [CLS]."""
        return True

    def length(self, sample: Sample) -> int:
        """Return the number of tokens of a sample, special ones included."""
        context, question = self._segments(sample)
        if question is None:
            return len(context.ids) + 2
        return len(context.ids) + len(question.ids) + 2 + self._between

    def too_long(self, samples: Iterable[Sample]) -> list[Sample]:
        """Return the samples that have more tokens than `max_length`."""
        return [sample for sample in samples if self.length(sample) > self.max_length]

    def encode(self, samples: Sequence[Sample]) -> Batch:
        """Encode samples as one batch, in the given order.

        Raises `DataError` on no samples, an empty text, an unknown language, and a sample over `max_length`.
        """
        if not samples:
            raise DataError("got no samples to encode; expected at least one")
        for sample in samples:
            length = self.length(sample)
            if length > self.max_length:
                raise DataError(
                    f"sample {sample.key!r} ({sample.context_language}-{sample.question_language}) has {length} "
                    f"tokens; expected at most {self.max_length}. Leave it out (too_long='skip' counts what is left "
                    "out), shorten it, or raise max_length if the encoder has the positions"
                )
        width = max(self.length(sample) for sample in samples)
        rows = [self._row(sample, width) for sample in samples]
        stacked = [torch.tensor(column, dtype=torch.long) for column in zip(*rows, strict=True)]
        ids, mask, given_types, languages, segments, units, special = stacked
        types = None if self.token_types == "none" else given_types
        labels = torch.tensor([self._class(sample) for sample in samples], dtype=torch.long)
        return Batch(ids, mask, types, languages, segments, units, special.bool(), labels, tuple(samples))

    def _class(self, sample: Sample) -> int:
        """Return a sample's class index; -100 where it has no label, or one that is none of the model's classes."""
        if sample.label is None or self._class_of is None:
            return -100 if sample.label is None else sample.label
        if sample.label_names not in self._orders:
            try:
                self._orders[sample.label_names] = self._class_of(sample.label_names)
            except DataError:  # who looks at answers asks Checkpoint.check_labels before
                self._orders[sample.label_names] = ()
        order = self._orders[sample.label_names]
        return order[sample.label] if 0 <= sample.label < len(order) else -100

    def _row(self, sample: Sample, width: int) -> tuple[list[int], ...]:
        context, question = self._segments(sample)
        first_language, last_language = (
            language_id(sample.context_language),
            language_id(sample.question_language),
        )
        ids = [self._first, *context.ids, self._last]
        units = [-1, *context.units, -1]
        languages = [first_language, *context.languages, first_language]
        special = [1] + [0] * len(context.ids) + [1]
        segments = [0] * len(ids)
        if question is not None:
            # Where a tokenizer writes two separators the first closes the context and the second opens the question.
            more = self._between - 1
            ids += [*[self._last] * more, *question.ids, self._last]
            units += [*[-1] * more, *question.units, -1]
            languages += [*[last_language] * more, *question.languages, last_language]
            special += [1] * more + [0] * len(question.ids) + [1]
            segments += [1] * (len(ids) - len(segments))
        types = segments if self.token_types == "segments" else [0] * len(ids)
        rest = width - len(ids)
        return (
            ids + [self._pad] * rest,
            [1] * len(ids) + [0] * rest,
            types + [0] * rest,
            languages + [0] * rest,
            segments + [-1] * rest,
            units + [-1] * rest,
            special + [1] * rest,
        )

    def _segments(self, sample: Sample) -> tuple[Segment, Segment | None]:
        language, spans = sample.context_language, sample.word_languages
        context = self._segment(sample, Text(sample.context, language, 0, self.prefix, spans))
        if sample.question is None:
            return context, None
        asked = Text((sample.question,), sample.question_language, len(sample.context))
        return context, self._segment(sample, asked)

    def _segment(self, sample: Sample, text: Text) -> Segment:
        if text not in self._cache:
            self._cache[text] = segment(self.tokenizer, sample, text)
        return self._cache[text]


def separates(tokenizer: Any) -> bool:
    """Whether a tokenizer puts special tokens before, between and after a pair of texts, as BERT's does."""
    probe, between = _pair_of_texts(tokenizer)
    special = probe["special_tokens_mask"]
    return special[0] == 1 and special[-1] == 1 and between > 0


def _pair_of_texts(tokenizer: Any) -> tuple[Any, int]:
    """Return a pair of texts as a tokenizer encodes it, and how many special tokens it puts between them."""
    probe = tokenizer("a", "b", return_special_tokens_mask=True)
    special = probe["special_tokens_mask"]
    inner = special.index(0), len(special) - 1 - special[::-1].index(0)
    return probe, special[inner[0] : inner[1]].count(1)


def encode(samples: Sequence[Sample], tokenizer: PreTrainedTokenizerBase, **options: Any) -> Batch:
    """Encode samples as one batch; `options` are those of `Encoder`."""
    return Encoder(tokenizer, **options).encode(samples)


def batches(
    samples: Sequence[Sample],
    tokenizer: PreTrainedTokenizerBase | Encoder,
    batch_size: int = 32,
    *,
    bucket: bool = True,
    too_long: Literal["error", "skip"] = "error",
    report: Callable[[str], None] | None = None,
    **options: Any,
) -> Iterator[Batch]:
    """Encode samples batch by batch, similar lengths together.

    `too_long="skip"` leaves out samples over `max_length`, and says how many and which through `report` (by
    default on standard error). With `bucket=False` the order of the samples is kept.
    """
    encoder = tokenizer if isinstance(tokenizer, Encoder) else Encoder(tokenizer, **options)
    if batch_size < 1:
        raise DataError(f"got batch_size={batch_size}; expected at least 1")
    if not samples:
        raise DataError("got no samples; expected at least one")
    kept = list(samples)
    if too_long == "skip":
        excess = {id(sample) for sample in encoder.too_long(kept)}
        if excess:
            names = [sample.key for sample in kept if id(sample) in excess]
            say = report or (lambda line: print(line, file=sys.stderr))
            say(
                f"left out {len(names)} of {len(kept)} samples with more than {encoder.max_length} tokens: "
                + ", ".join(names[:5])
                + (", ..." if len(names) > 5 else "")
            )
        kept = [sample for sample in kept if id(sample) not in excess]
        if not kept:
            raise DataError(f"every sample has more than {encoder.max_length} tokens; nothing is left to measure")
    if bucket:
        kept.sort(key=encoder.length)
    for start in range(0, len(kept), batch_size):
        yield encoder.encode(kept[start : start + batch_size])

"""From samples to batches: token ids with the segment, language and unit of every token."""

from __future__ import annotations

import re
import sys
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Literal

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from xlprobe.errors import DataError
from xlprobe.languages import joined, joints, language_id
from xlprobe.samples.types import Sample

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["Batch", "Encoder", "batches", "encode"]

Layout = Literal["tokenizer", "method"]
TokenTypes = Literal["zeros", "segments", "tokenizer", "none"]
ClassOf = Callable[[tuple[str, ...]], tuple[int, ...]]
"""Gives, for the names of samples' labels, the class index of each in a model; raises `DataError` without one."""

_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Batch:
    """Encoded samples, padded on the right to the longest.

    `segment_ids`: 0 for the first token, the context and its separator; 1 for the question and its separators;
    -1 for padding. `unit_ids`: 0, 1, ... for the context's units, then the question's number (the count of context
    units); -1 for special tokens, a prefix, and padding. `language_ids`: `xlprobe.languages.language_id` of the
    token's language, special tokens included (the first token and the first separator take the context's, the
    separators after it the question's); 0 for padding. `special_mask`: True on special tokens and padding.
    `token_type_ids` is None for models that take none. `labels`: class indices, -100 where a sample has none that
    the model knows.
    """

    input_ids: Int[Tensor, "batch position"]
    attention_mask: Int[Tensor, "batch position"]
    token_type_ids: Int[Tensor, "batch position"] | None
    language_ids: Int[Tensor, "batch position"]
    segment_ids: Int[Tensor, "batch position"]
    unit_ids: Int[Tensor, "batch position"]
    special_mask: Bool[Tensor, "batch position"]
    labels: Int[Tensor, " batch"]
    samples: tuple[Sample, ...]
    answer_ids: Int[Tensor, "batch label"] | None = field(default=None, kw_only=True)
    """For prompts that are answered by a word: the token that stands for each label."""

    @property
    def keys(self) -> tuple[str, ...]:
        """The samples' keys, in the order of the batch."""
        return tuple(sample.key for sample in self.samples)

    @property
    def padding_mask(self) -> Bool[Tensor, "batch position"]:
        """True on padding."""
        return self.attention_mask == 0

    @property
    def lengths(self) -> Int[Tensor, " batch"]:
        """The number of tokens of each sample."""
        return self.attention_mask.sum(dim=1)

    def __len__(self) -> int:
        return len(self.samples)

    def to(self, device: torch.device | str) -> Batch:
        """Return the batch with its tensors on a device."""
        moved = {
            one.name: getattr(self, one.name).to(device)
            for one in fields(self)
            if isinstance(getattr(self, one.name), Tensor)
        }
        return replace(self, **moved)

    def model_inputs(self, cross_query: bool = False) -> dict[str, Tensor]:
        """Return the keyword arguments of a model's forward pass; cross-query models also take language ids."""
        inputs = {"input_ids": self.input_ids, "attention_mask": self.attention_mask}
        if self.token_type_ids is not None:
            inputs["token_type_ids"] = self.token_type_ids
        if cross_query:
            inputs["language_ids"] = self.language_ids
        return inputs


@dataclass(frozen=True)
class _Segment:
    """One tokenised text: ids, and for each token its unit (-1: prefix) and its language; small, as all are kept."""

    ids: array[int]
    units: array[int]
    languages: array[int]


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
        probe = tokenizer("a", "b", return_special_tokens_mask=True)
        special = probe["special_tokens_mask"]
        inner = special.index(0), len(special) - 1 - special[::-1].index(0)
        between = special[inner[0] : inner[1]].count(1)
        ids = probe["input_ids"]
        if special[0] != 1 or special[-1] != 1 or between < 1:
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
        self._cache: dict[Any, _Segment] = {}

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

    def _segments(self, sample: Sample) -> tuple[_Segment, _Segment | None]:
        context = self._segment(sample, sample.context, sample.context_language, 0, self.prefix, sample.word_languages)
        if sample.question is None:
            return context, None
        question = self._segment(sample, (sample.question,), sample.question_language, len(sample.context), "", None)
        return context, question

    def _segment(
        self,
        sample: Sample,
        units: tuple[str, ...],
        language: str,
        first_unit: int,
        prefix: str,
        spans: tuple[tuple[int, int, str], ...] | None,
    ) -> _Segment:
        key = (units, language, first_unit, prefix, spans)
        if (known := self._cache.get(key)) is not None:
            return known
        text = prefix + check_text(sample, units, language)
        encoded = self.tokenizer(
            text, add_special_tokens=False, return_offsets_mapping=True, truncation=False, verbose=False
        )
        offsets = encoded["offset_mapping"]
        # A unit owns what stands before it, because sentencepiece tokens begin with that blank.
        ends: list[int] = []
        end = len(prefix)
        between = joints(units, language)
        for unit, joint in zip(units, between, strict=True):
            ends.append(end + len(unit))
            end = ends[-1] + len(joint)
        unit_ids = []
        for start, stop in offsets:
            position = max(start, stop - 1)
            unit_number = min(bisect_right(ends, position), len(units) - 1)
            begin = ends[unit_number - 1] if unit_number else len(prefix)
            if position < len(prefix):
                unit_ids.append(-1)
                continue
            # Without a blank between them, a piece may hold the end of one sentence and the start of the next.
            apart = unit_number and between[unit_number - 1]
            if apart and start < begin and text[start:begin].strip():
                raise DataError(
                    f"sample {sample.key!r}: the token {text[start:stop]!r} spans two units; expected units that "
                    "the tokenizer keeps apart"
                )
            unit_ids.append(first_unit + unit_number)
        languages = [language_id(language)] * len(offsets)
        if spans is not None:
            languages = token_languages(offsets, spans, len(prefix), language)
        segment = _Segment(*(array("i", column) for column in (encoded["input_ids"], unit_ids, languages)))
        if not segment.ids or max(segment.units) < first_unit:
            raise DataError(f"sample {sample.key!r}: the {language!r} text {text[:60]!r} gives no tokens")
        self._cache[key] = segment
        return segment


def check_tokenizer(tokenizer: Any) -> None:
    """Raise `DataError` for a tokenizer that does not say where its tokens stand in the text."""
    if not getattr(tokenizer, "is_fast", False):
        raise DataError(
            f"got the tokenizer {type(tokenizer).__name__}, which gives no character offsets; expected a fast "
            "one, because units and languages are found by offsets. Load it with AutoTokenizer"
        )


def check_text(sample: Sample, units: Sequence[str], language: str) -> str:
    """Return the text of units; raise `DataError` for one that is empty or cannot be written."""
    for number, unit in enumerate(units):
        if not unit.strip():
            raise DataError(f"sample {sample.key!r}: unit {number} in {language!r} is empty; expected a sentence")
    text = joined(units, language)
    if (broken := _SURROGATE.search(text)) is not None:
        raise DataError(
            f"sample {sample.key!r}: the {language!r} text has half of a surrogate pair at character "
            f"{broken.start()}; expected text that can be written as UTF-8. Clean the text where it comes from"
        )
    return text


def token_languages(
    offsets: Sequence[tuple[int, int]], spans: tuple[tuple[int, int, str], ...], shift: int, default: str
) -> list[int]:
    """Give each token the language of the word that holds its last character."""
    starts = [start for start, _, _ in spans]
    languages = []
    for start, stop in offsets:
        position = max(start, stop - 1) - shift
        found = bisect_right(starts, position) - 1
        inside = found >= 0 and position < spans[found][1]
        languages.append(language_id(spans[found][2] if inside else default))
    return languages


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

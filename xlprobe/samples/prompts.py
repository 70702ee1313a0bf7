"""From samples to prompts of causal models: the same roles of tokens as encoders get, and where the answer is read."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from xlprobe.errors import DataError
from xlprobe.languages import get_language, joined, language_id
from xlprobe.samples.batch import Batch
from xlprobe.samples.encoding import ClassOf, Encoder
from xlprobe.samples.segments import check_text, check_tokenizer, token_languages, unit_ends
from xlprobe.samples.types import Sample
from xlprobe.samples.wording import ANSWERING, BARE, choices_of

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["PromptEncoder", "padding_id"]


@dataclass(frozen=True)
class _Prompt:
    """One tokenised prompt: for each token its id, unit, language, segment, and whether it is no text."""

    ids: array[int]
    units: array[int]
    languages: array[int]
    segments: array[int]
    special: array[int]


@dataclass(frozen=True)
class _Answers:
    """The tokens that all answers of a sample begin with, and the first one in which each differs from the others."""

    shared: tuple[int, ...]
    first: tuple[int, ...]


class PromptEncoder(Encoder):
    """Encodes samples as prompts for one tokenizer: a first token, then a template with context and question in it.

    `template` has the fields {context}, {question} (after the context) and, if it likes, {choices}, the answer words;
    a mapping gives one for each language of the question ("*": all others). By default a question with `answering` gets
    the wording of its own language ("Question: ... True / False? Answer:"), else context and question in two lines. A
    sample without a question is its context alone. The first token is the tokenizer's own, else its token for
    the beginning or the end of a text, unless the template itself begins with a special token. What
    the template says is no text: like separators, its words belong to no unit and count as special.

    `answering`: whether the model answers by the word that it goes on with. `answers` are these words in the order of
    the samples' labels, or a mapping of question languages to them; by default words for true, false and neither. What
    is compared is the logits of the first tokens in which the words differ, after the prompt and what they share.
    """

    _begins_with_sink = True
    """Whether the first token is never text: a causal model without one of its own makes the text's first the sink."""

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        *,
        max_length: int = 512,
        template: str | Mapping[str, str] | None = None,
        answers: Sequence[str] | Mapping[str, Sequence[str]] | None = None,
        answering: bool = False,
        class_of: ClassOf | None = None,
    ) -> None:
        check_tokenizer(tokenizer)
        self.tokenizer: Any = tokenizer
        self.max_length = max_length
        self.answering = answering
        self.token_types = "none"
        chosen = (ANSWERING if answering else BARE) if template is None else template
        self.templates = dict(chosen) if isinstance(chosen, Mapping) else {"*": chosen}
        for one in self.templates.values():
            _check_template(one)
        self.answers = answers
        self._class_of = class_of
        self._orders: dict[tuple[str, ...], tuple[int, ...]] = {}
        self._before, self._after = self._own_tokens()
        self._pad = padding_id(tokenizer)
        self._prompts: dict[Any, _Prompt] = {}
        self._answers: dict[Any, _Answers] = {}

    def length(self, sample: Sample) -> int:
        """Return the number of tokens of a sample's prompt, the first one and those that all answers share included."""
        return len(self._prompt(sample).ids) + len(self._continuation(sample))

    def encode(self, samples: Sequence[Sample]) -> Batch:
        """Encode samples as one batch, as `Encoder.encode`; with `answering` they say where their answers are."""
        batch = super().encode(samples)
        if not self.answering or any(sample.question is None for sample in samples):
            return batch
        first = [self._answers_of(sample).first for sample in samples]
        if len({len(one) for one in first}) > 1:
            raise DataError("got samples with different numbers of labels in one batch; measure one data set at a time")
        return replace(batch, answer_ids=torch.tensor(first, dtype=torch.long))

    def _row(self, sample: Sample, width: int) -> tuple[list[int], ...]:
        prompt, shared = self._prompt(sample), self._continuation(sample)
        more, rest = len(shared), width - len(prompt.ids) - len(shared)
        ids = [*prompt.ids, *shared]
        last = language_id(sample.question_language)
        return (
            ids + [self._pad] * rest,
            [1] * len(ids) + [0] * rest,
            [0] * width,
            [*prompt.languages, *[last] * more] + [0] * rest,
            [*prompt.segments, *[1] * more] + [-1] * rest,
            [*prompt.units, *[-1] * more] + [-1] * rest,
            [*prompt.special, *[1] * more] + [1] * rest,
        )

    def _prompt(self, sample: Sample) -> _Prompt:
        codes = sample.context_language, sample.question_language
        key = (sample.context, sample.question, codes, sample.word_languages, sample.label_names)
        if key not in self._prompts:
            self._prompts[key] = self._tokenised(sample)
        return self._prompts[key]

    def _tokenised(self, sample: Sample) -> _Prompt:
        before, between, after = self._literals(sample)
        code, asked = sample.context_language, sample.question_language
        text = before + check_text(sample, sample.context, code)
        ends = unit_ends(sample.context, code, len(before))
        question = len(text)
        if sample.question is not None:
            question += len(between)
            text += between + check_text(sample, (sample.question,), asked) + after
        encoded = self.tokenizer(
            text, add_special_tokens=False, return_offsets_mapping=True, truncation=False, verbose=False
        )
        ids, offsets = list(encoded["input_ids"]), encoded["offset_mapping"]
        # Blanks at a token's end, as in ".\n\n", do not decide whose it is.
        last = [max(start, start + len(text[start:stop].rstrip()) - 1) for start, stop in offsets]
        special = set(self.tokenizer.all_special_ids)
        units = []
        for number, position in zip(ids, last, strict=True):
            unit = bisect_right(ends, position) if position < ends[-1] else -1
            if sample.question is not None and question <= position < question + len(sample.question):
                unit = len(sample.context)
            units.append(-1 if position < len(before) or number in special else unit)
        segments = [int(position >= ends[-1]) for position in last]
        languages = [language_id((code, asked)[segment]) for segment in segments]
        if sample.word_languages is not None:
            tags = token_languages(offsets, sample.word_languages, len(before), code)
            languages = [one if segment else tag for one, tag, segment in zip(languages, tags, segments, strict=True)]
        if missing := set(range(len(sample.context) + (sample.question is not None))) - set(units):
            raise DataError(f"sample {sample.key!r}: unit {min(missing)} of the prompt has no token of its own")
        own, end = () if ids and ids[0] in special else self._before, self._after
        ids = [*own, *ids, *end]
        units = [*[-1] * len(own), *units, *[-1] * len(end)]
        segments = [*[0] * len(own), *segments, *segments[-1:] * len(end)]
        languages = [*[language_id(code)] * len(own), *languages, *languages[-1:] * len(end)]
        if self._begins_with_sink:
            units[0] = -1
        no_text = [int(unit < 0) for unit in units]
        return _Prompt(*(array("i", column) for column in (ids, units, languages, segments, no_text)))

    def _own_tokens(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return the special tokens before and after each text."""
        first = _first_token(self.tokenizer)
        return (() if first is None else (first,)), ()

    def _continuation(self, sample: Sample) -> tuple[int, ...]:
        """Return the tokens that follow the prompt in the same text: those that all answers begin with."""
        return self._answers_of(sample).shared

    def _literals(self, sample: Sample) -> tuple[str, str, str]:
        """Return what a sample's template says before the context, before the question, and after it."""
        template = self.templates.get(sample.question_language, self.templates.get("*"))
        if template is None:
            raise DataError(
                f"sample {sample.key!r}: got templates for {', '.join(self.templates)}; expected one for "
                f"{sample.question_language!r} too, or '*' for all other languages"
            )
        if "{choices}" in template:
            template = template.replace("{choices}", " / ".join(self._words(sample)))
        before, rest = template.split("{context}")
        between, after = rest.split("{question}")
        return (before, between, after)

    def _words(self, sample: Sample) -> tuple[str, ...]:
        """Return the answer words in the order of a sample's labels."""
        words = self.answers
        if isinstance(words, Mapping):
            words = words.get(sample.question_language, words.get("*"))
        choices = choices_of(sample) if words is None else tuple(words)
        wanted = len(sample.label_names) or 2
        if len(choices) != wanted:
            raise DataError(
                f"sample {sample.key!r}: got the answer words {list(choices)} for {wanted} labels; expected one for "
                "each, in their order. Say them: answers=[...]"
            )
        return choices

    def _answers_of(self, sample: Sample) -> _Answers:
        if not self.answering or sample.question is None:
            return _Answers((), ())
        key = sample.question_language, sample.label_names
        if key not in self._answers:
            self._answers[key] = self._first_differing(sample)
        return self._answers[key]

    def _spelled(self, sample: Sample) -> list[list[int]]:
        """Return the tokens of each answer of a sample, as they would follow its prompt."""
        before, between, after = self._literals(sample)
        prompt = f"{before}{joined(sample.context, sample.context_language)}{between}{sample.question}{after}"
        joint = "" if prompt[-1:].isspace() else get_language(sample.question_language).separator
        words, start = self._words(sample), self._ids(prompt)
        rests = []
        for word in words:
            whole = self._ids(prompt + joint + word)
            if whole[: len(start)] != start:
                raise DataError(
                    f"the tokenizer joins the end of the prompt {prompt[-12:]!r} with the answer {word!r}; expected "
                    "them apart. End the template with a mark such as ':', or use other answers"
                )
            rests.append(whole[len(start) :])
        return rests

    def _first_differing(self, sample: Sample) -> _Answers:
        words, rests = self._words(sample), self._spelled(sample)
        shared = 0
        while all(len(one) > shared for one in rests) and len({one[shared] for one in rests}) == 1:
            shared += 1
        first = [one[shared] for one in rests if len(one) > shared]
        if len(set(first)) < len(words):
            raise DataError(
                f"the tokenizer gives the answers {list(words)} no first token by which all of them differ; expected "
                "words that begin differently. Say others: answers=[...]"
            )
        return _Answers(tuple(rests[0][:shared]), tuple(first))

    def _ids(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])


def _first_token(tokenizer: Any) -> int | None:
    """Return what a text begins with: the tokenizer's own first token, else one that it has for that; None without."""
    own = tokenizer("a", return_special_tokens_mask=True)
    if own["special_tokens_mask"][0] == 1:
        return int(own["input_ids"][0])
    given = (tokenizer.bos_token_id, tokenizer.eos_token_id)
    return next((int(one) for one in given if one is not None), None)


def padding_id(tokenizer: PreTrainedTokenizerBase) -> int:
    """Return the token that prompts are padded with: the tokenizer's own, else the one for the end of a text."""
    candidates: Any = (tokenizer.pad_token_id, tokenizer.eos_token_id)
    return next((int(one) for one in candidates if one is not None), 0)


def _check_template(template: Any) -> None:
    fields = ("{context}", "{question}")
    if (
        not isinstance(template, str)
        or any(template.count(name) != 1 for name in fields)
        or template.index(fields[0]) > template.index(fields[1])
    ):
        raise DataError(
            f"got the template {template!r:.80}; expected text with {{context}} and, after it, {{question}}, each "
            "once, and, if wanted, {choices}, such as '{context}\\n{question} {choices}?\\nAnswer:'"
        )

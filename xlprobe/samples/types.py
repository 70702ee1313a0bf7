"""Parallel reasoning problems and the single problems that are made of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from numbers import Integral
from typing import Any

from xlprobe.errors import DataError

__all__ = ["ParallelSample", "Sample"]

LARGEST = 2**31
"""Class indices and depths are below this, so that every tensor and table can hold them."""


@dataclass(frozen=True)
class Sample:
    """One problem as an encoder reads it: a context of units (sentences) and a question.

    `group` is what statistics resample (the theory); `key` is the same for all language versions of one problem.
    `question` is None for plain sentences. `word_languages` gives, for text that switches inside a sentence,
    (start, end, language) in characters of the context's text (`xlprobe.languages.joined`); None means by segment.
    `label_names` as in `ParallelSample`.
    """

    key: str
    group: str
    dataset: str
    context_language: str
    question_language: str
    context: tuple[str, ...]
    question: str | None
    label: int | None = None
    depth: int | None = None
    word_languages: tuple[tuple[int, int, str], ...] | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)
    label_names: tuple[str, ...] = ()

    @property
    def is_code_switched(self) -> bool:
        """Whether the sample holds more than one language."""
        if self.word_languages is not None:
            return len({language for _, _, language in self.word_languages}) > 1
        return self.question is not None and self.context_language != self.question_language


@dataclass(frozen=True)
class ParallelSample:
    """One problem in several languages, aligned unit by unit.

    `context[language][k]` is the same sentence in every language. `question` is empty for plain sentences.
    `label` is the number of the answer in `label_names`, such as ("entailment", "neutral", "contradiction"); without
    names 0 is false (does not follow) and 1 is true (follows). A classifier's classes are found by these names,
    whatever their order in the model. `depth` is the proof depth, where known.
    """

    key: str
    group: str
    dataset: str
    context: Mapping[str, tuple[str, ...]]
    question: Mapping[str, str] = field(default_factory=dict)
    label: int | None = None
    depth: int | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)
    label_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        counts = {language: len(units) for language, units in self.context.items()}
        if len(set(counts.values())) != 1:
            raise DataError(
                f"sample {self.key!r}: got contexts of {counts} units; expected the same number, at least one, in "
                "every language, because units are aligned by position"
            )
        if self.question and set(self.question) != set(self.context):
            raise DataError(
                f"sample {self.key!r}: got questions in {sorted(self.question)} and contexts in "
                f"{sorted(self.context)}; expected the same languages"
            )
        for name, most in (("label", len(self.label_names) or LARGEST), ("depth", LARGEST)):
            value = getattr(self, name)
            if value is not None and not (isinstance(value, Integral) and 0 <= int(value) < most):
                known = f" ({', '.join(self.label_names)})" if name == "label" and self.label_names else ""
                raise DataError(
                    f"sample {self.key!r}: got the {name} {value!r:.40}; expected a whole number from 0 to "
                    f"{most - 1}{known}, or None"
                )

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages that this problem exists in."""
        return tuple(self.context)

    def pair(self, context_language: str, question_language: str) -> Sample:
        """Return the problem with its context in one language and its question in another.

        Raises `DataError` where the problem does not exist in one of the languages.
        """
        for language in (context_language, question_language):
            if language not in self.context:
                raise DataError(
                    f"sample {self.key!r} has no {language!r}; it exists in {' '.join(self.languages)}. "
                    "Generate or read it in that language too"
                )
        return Sample(
            key=self.key,
            group=self.group,
            dataset=self.dataset,
            context_language=context_language,
            question_language=question_language,
            context=tuple(self.context[context_language]),
            question=self.question.get(question_language),
            label=self.label,
            depth=self.depth,
            meta=self.meta,
            label_names=self.label_names,
        )

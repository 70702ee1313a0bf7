"""What languages differ by, apart from any model: tokens for the same words, and typological distance."""

from __future__ import annotations

import gc
import logging
import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from xlprobe.errors import DataError
from xlprobe.languages import get_language
from xlprobe.memory import give_back_memory
from xlprobe.metrics.base import Metric

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from xlprobe.checkpoints.checkpoint import Checkpoint
    from xlprobe.measuring.design import Checked
    from xlprobe.samples import ParallelSample

__all__ = ["KINDS", "measure_languages", "prepare_languages", "tokens_per_word", "typological_distances"]

KINDS = ("syntactic", "phonological", "inventory", "featural", "genetic", "geographic", "script")
"""The kinds of distance that URIEL+ knows."""

_CODES = {
    "en": "eng", "fr": "fra", "de": "deu", "es": "spa", "ru": "rus", "ar": "arb", "fa": "pes", "zh": "cmn",
    "bg": "bul", "el": "ell", "hi": "hin", "sw": "swh", "th": "tha", "tr": "tur", "ur": "urd", "vi": "vie",
}  # fmt: skip
"""ISO 639-3 codes of single languages, where the short code stands for a group (Arabic, Farsi, Chinese)."""


def typological_distances(languages: Iterable[str], base: str = "en", kind: str = "syntactic") -> dict[str, float]:
    """Return the distance of each language to the base, as URIEL+ has it; range [0, 1], 0: no difference on record.

    `kind` is one of `KINDS`. NaN where URIEL+ has no data. Needs the optional extra: pip install 'xlprobe[typology]'.
    Source: Khan et al. 2024 (arXiv 2409.18472).
    """
    if kind not in KINDS:
        raise DataError(f"got kind={kind!r}; expected one of {', '.join(KINDS)}")
    return dict(_distances(tuple(languages), base, kind))


@lru_cache(maxsize=32)
def _distances(languages: tuple[str, ...], base: str, kind: str) -> dict[str, float]:
    """Ask URIEL+; kept, since its tables are hundreds of megabytes, and the same for every checkpoint."""
    with _quiet():
        try:
            from urielplus.urielplus import URIELPlus
        except ImportError as error:
            raise DataError(
                "typological distances need URIEL+, which is not installed (it has another licence, CC BY-SA 4.0). "
                "Install it with: pip install 'xlprobe[typology]'"
            ) from error
        database = URIELPlus()
        distances = {}
        for code in languages:
            pair = [_CODES.get(name, get_language(name).code) for name in (base, code)]
            try:
                value = database.new_distance(kind, pair)
            except (ValueError, KeyError, SystemExit):  # it ends the program where it has no data
                value = None
            distances[code] = 0.0 if code == base else math.nan if value is None else float(value)
    del database
    gc.collect()  # its tables refer to each other in circles
    give_back_memory()
    return distances


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep URIEL+ from writing its progress to the log, and from setting up everyone's logging when it is imported."""
    before, handler = logging.root.manager.disable, logging.NullHandler()
    logging.disable(logging.INFO)
    logging.root.addHandler(handler)
    try:
        yield
    finally:
        logging.root.removeHandler(handler)
        logging.disable(before)


def tokens_per_word(
    tokenizer: PreTrainedTokenizerBase, samples: Sequence[ParallelSample], languages: Iterable[str], base: str = "en"
) -> dict[str, float]:
    """Return how many tokens each language takes for what the base language says in one word.

    Tokens of the language over blank-separated words of the base's version of the same problems, so that languages
    without blanks can be compared. Range (0, inf).
    """
    words = sum(len(text.split()) for sample in samples for text in _texts(sample, base))
    if words == 0:
        raise DataError("got no text to count tokens of; expected at least one problem")
    rates = {}
    for code in languages:
        texts = [text for sample in samples for text in _texts(sample, code)]
        rates[code] = sum(len(ids) for ids in tokenizer(texts, add_special_tokens=False)["input_ids"]) / words
    return rates


def _texts(sample: ParallelSample, code: str) -> list[str]:
    if code not in sample.languages:
        raise DataError(f"sample {sample.key!r} has no {code!r}; it exists in {' '.join(sample.languages)}")
    return [*sample.context[code], *([sample.question[code]] if sample.question else [])]


def prepare_languages(checked: Checked) -> None:
    """Ask what is asked of URIEL+ before a model is in memory: its tables take as much as a small one."""
    if "typological_distance" in checked.names:
        with suppress(DataError):  # which is said where the rows are written
            typological_distances(checked.languages, checked.base)


def measure_languages(metrics: Sequence[Metric], checkpoint: Checkpoint, checked: Checked, writer: Any) -> None:
    """Write the rows of metrics of texts: one for each language, as question language beside the base."""
    for one in metrics:
        columns: dict[str, Any] = {
            "checkpoint": checkpoint.name,
            "dataset": checked.problems[0].dataset,
            "metric": one.name,
        }
        try:
            values = _values(one, checkpoint, checked)
        except DataError as error:
            writer.append(np.array([np.nan]), reason=str(error), **columns)
            continue
        block = "syntactic" if one.name == "typological_distance" else ""
        labels = {"question_language": np.array(list(values), dtype=object)}
        writer.append(np.array(list(values.values())), labels, context_language=checked.base, block=block, **columns)


def _values(one: Metric, checkpoint: Checkpoint, checked: Checked) -> dict[str, float]:
    values: dict[str, float]
    if one.name == "typological_distance":
        values = one.function(checked.languages, checked.base)
    else:
        values = one.function(checkpoint.tokenizer, checked.problems, checked.languages, checked.base)
    return values

"""What may explain transfer to a language: distance to the base language, script, tokenisation, pre-training."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from xlprobe.errors import DataError, ResultsError
from xlprobe.languages import get_language
from xlprobe.statistics import Association, associate

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd
    from transformers import PreTrainedTokenizerBase

    from xlprobe.samples import ParallelSample

__all__ = [
    "KINDS",
    "per_language",
    "relate",
    "script_match",
    "seen_in_pretraining",
    "tokens_per_word",
    "typological_distances",
]

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
    with _quiet():
        try:
            from urielplus.urielplus import URIELPlus
        except ImportError as error:
            raise DataError(
                "typological distances need URIEL+, which is not installed (it has another licence, CC BY-SA 4.0). "
                "Install it with: pip install 'xlprobe[typology]'"
            ) from error
        database = URIELPlus()
        found = {}
        for code in languages:
            pair = [_CODES.get(name, get_language(name).code) for name in (base, code)]
            try:
                value = database.new_distance(kind, pair)
            except (ValueError, KeyError, SystemExit):  # it ends the program where it has no data
                value = None
            found[code] = 0.0 if code == base else math.nan if value is None else float(value)
    return found


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


def script_match(languages: Iterable[str], base: str = "en") -> dict[str, float]:
    """Return 1 for languages in the base's script, else 0; NaN where the script is not known."""
    script = get_language(base).script
    scripts = {code: get_language(code).script for code in languages}
    return {code: math.nan if "Zzzz" in (one, script) else float(one == script) for code, one in scripts.items()}


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
    found = {}
    for code in languages:
        texts = [text for sample in samples for text in _texts(sample, code)]
        found[code] = sum(len(ids) for ids in tokenizer(texts, add_special_tokens=False)["input_ids"]) / words
    return found


def _texts(sample: ParallelSample, code: str) -> list[str]:
    if code not in sample.languages:
        raise DataError(f"sample {sample.key!r} has no {code!r}; it exists in {' '.join(sample.languages)}")
    return [*sample.context[code], *([sample.question[code]] if sample.question else [])]


def seen_in_pretraining(pairs: Iterable[str], languages: Iterable[str], base: str = "en") -> dict[str, float]:
    """Return 1 for languages that Q_cross was pre-trained on together with the base, else 0.

    `pairs` are those of its pre-training, such as "en-fr"; the order within a pair does not matter. The method's own
    pre-training had en with fr, de, es, ru, ar, zh, and no Farsi (arXiv 2310.15258, section 4).
    """
    known = {frozenset(pair.split("-")) for pair in pairs}
    return {code: float(code == base or frozenset((base, code)) in known) for code in languages}


def per_language(
    frame: pd.DataFrame,
    metric: str,
    base: str = "en",
    direction: Literal["both", "from", "to"] = "both",
    **filters: Any,
) -> dict[str, float]:
    """Average a metric per language over its code-switched pairs with the base.

    `direction`: "from" pairs whose context is in the base (en-X), "to" those whose question is (X-en), or both, each
    weighing the same. `filters` pick rows by column (checkpoint="...", block="..."). NaN values are left out.
    """
    rows = frame[frame["metric"] == metric]
    for name, wanted in filters.items():
        if name not in rows:
            raise ResultsError(f"got the column {name!r}; expected one of {', '.join(map(str, rows.columns))}")
        rows = rows[rows[name] == wanted]
    for name in ("checkpoint", "block", "pooling", "condition"):
        if rows[name].nunique() > 1:
            held = ", ".join(sorted(rows[name].astype(str).unique()))
            raise ResultsError(f"the rows of {metric!r} hold several {name}s: {held}. Pick one: {name}=...")
    context, question = rows["context_language"].astype(str), rows["question_language"].astype(str)
    sides = {"from": (context == base, question), "to": (question == base, context)}
    if direction not in ("both", *sides):
        raise ResultsError(f"got direction={direction!r}; expected 'both', 'from' or 'to'")
    means = []
    for name, (chosen, other) in sides.items():
        if direction in ("both", name):
            chosen = chosen & (other != base)
            means.append(rows[chosen].groupby(other[chosen])["value"].mean())
    found: dict[str, float] = {}
    for code in sorted({str(code) for part in means for code in part.index}):
        values = [float(part[code]) for part in means if code in part.index]
        found[code] = sum(values) / len(values)
    if not found:
        raise ResultsError(
            f"the table has no code-switched rows of {metric!r} with {base!r}; expected such as {base}-fr"
        )
    return found


def relate(
    frame: pd.DataFrame,
    metric: str,
    factors: Mapping[str, Mapping[str, float]],
    base: str = "en",
    direction: Literal["both", "from", "to"] = "both",
    **filters: Any,
) -> list[Association]:
    """Relate a metric per language to what may explain it: Spearman's rho with exact p, and without each language.

    See `per_language` and `xlprobe.statistics.associate`, which refuses more factors than the languages carry: seven
    languages carry one.
    """
    outcome = per_language(frame, metric, base, direction, **filters)
    return associate(outcome, factors)

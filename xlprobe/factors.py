"""What may explain transfer to a language: distance to the base language, script, tokenisation, pre-training."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal

from xlprobe.errors import ResultsError
from xlprobe.languages import get_language
from xlprobe.measuring.languages import KINDS, tokens_per_word, typological_distances
from xlprobe.statistics import Association, associate

if TYPE_CHECKING:
    import pandas as pd


__all__ = [
    "KINDS",
    "per_language",
    "relate",
    "script_match",
    "seen_in_pretraining",
    "tokens_per_word",
    "typological_distances",
]


def script_match(languages: Iterable[str], base: str = "en") -> dict[str, float]:
    """Return 1 for languages in the base's script, else 0; NaN where the script is not known."""
    script = get_language(base).script
    scripts = {code: get_language(code).script for code in languages}
    return {code: math.nan if "Zzzz" in (one, script) else float(one == script) for code, one in scripts.items()}


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
    averages: dict[str, float] = {}
    for code in sorted({str(code) for part in means for code in part.index}):
        values = [float(part[code]) for part in means if code in part.index]
        averages[code] = sum(values) / len(values)
    if not averages:
        raise ResultsError(
            f"the table has no code-switched rows of {metric!r} with {base!r}; expected such as {base}-fr"
        )
    return averages


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

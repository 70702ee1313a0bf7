"""What the table says, in plain sentences with numbers and intervals."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from xlprobe.plots.estimates import changes, estimate, theory_means
from xlprobe.plots.facts import checkpoints, contrasts, pair_label
from xlprobe.results import Results

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["summary"]

_BLOCK = "question->context"
_OF_SENTENCES = ("retrieval_", "neutrality_gap", "map_")


def summary(results: Results) -> list[str]:
    """Return sentences about scope, stability, mass, neutrality, correctness and contrasts, as far as rows go."""
    found = [_scope(results)]
    for name in checkpoints(results):
        rows = results.select(checkpoint=name)
        for part in (_stability, _mass, _neutrality, _correct):
            if sentence := part(rows, name):
                found.append(sentence)
    for crossed, base in contrasts(results):
        if sentence := _contrast(results, crossed, base):
            found.append(sentence)
    return found


def _scope(results: Results) -> str:
    # Sentences of neutrality and maps are counted apart: they are no problems.
    asked = results.select(metric=[name for name in results.unique("metric") if not name.startswith(_OF_SENTENCES)])
    samples, groups = len(asked.unique("sample")), len(asked.unique("group"))
    names = checkpoints(results)
    what = f"{samples} problems from {groups} theories" if samples else "sets of sentences"
    return (
        f"{len(names)} checkpoint{'s' if len(names) > 1 else ''} ({', '.join(names)}), {what}, "
        f"{len(results):,} measurements. Intervals: 95 %, over theories."
    )


def _number(row: pd.Series, digits: int = 3) -> str:
    text = f"{row['mean']:.{digits}f}"
    if math.isnan(row["low"]):
        return text.replace("-", "−")
    return f"{text} [{row['low']:.{digits}f}, {row['high']:.{digits}f}]".replace("-", "−")


def _own(rows: Results, **filters: str) -> pd.DataFrame | None:
    """Return stability per pair against its own in-language version."""
    chosen = rows.select(metric="js_stability", block=_BLOCK, pooling="token", **filters)
    if len(chosen) == 0:
        return None
    table = estimate(chosen, ["context_language", "question_language", "reference", "condition"])
    own = table["context_language"].astype(str) + "-" + table["context_language"].astype(str)
    table = table[(table["reference"].astype(str) == own) & table["mean"].notna()]
    return table if len(table) else None


def _stability(rows: Results, name: str) -> str | None:
    table = _own(rows)
    if table is None:
        return None
    observed = table[table["condition"] == "observed"].sort_values("mean")
    if observed.empty:
        return None
    worst, best = observed.iloc[0], observed.iloc[-1]
    text = (
        f"{name}: when the question changes language, its attention to the context keeps a stability of "
        f"{_number(best)} for {_pair(best)}"
    )
    if len(observed) > 1:
        text += f" (most stable) and {_number(worst)} for {_pair(worst)} (least stable)"
    levels = {kind: table[table["condition"] == kind]["mean"].mean() for kind in ("floor", "chance")}
    if all(not math.isnan(level) for level in levels.values()):
        text += (
            f"; another question about the same theory in one language gives {levels['floor']:.3f}, another theory "
            f"{levels['chance']:.3f}"
        )
    return text + "."


def _pair(row: pd.Series) -> str:
    return pair_label(str(row["context_language"]), str(row["question_language"]))


def _mass(rows: Results, name: str) -> str | None:
    chosen = rows.select(metric="mass_lift", block=_BLOCK, condition="observed")
    if len(chosen) == 0:
        return None
    pairs = theory_means(chosen, ["context_language", "question_language"])
    if (pairs["context_language"] == pairs["question_language"]).all():
        return None
    table = changes(chosen, "mass_lift", ["checkpoint"])
    if table["mean"].isna().all():
        return None
    row = table.iloc[0]
    clear = not (row["low"] <= 0 <= row["high"])
    direction = "less" if row["mean"] < 0 else "more"
    text = (
        f"{name}: a language border between question and context changes the lift of attention from question to "
        f"context by {_number(row)}"
    )
    return text + (f", so {direction} of it crosses." if clear else "; the interval holds 0, so no change is shown.")


def _neutrality(rows: Results, name: str) -> str | None:
    chosen = rows.select(metric=["retrieval_raw", "retrieval_centred"], block=["sentence", ""])
    if len(chosen) == 0:
        return None
    table = estimate(chosen, ["metric", "layer"])
    centred = table[(table["metric"] == "retrieval_centred") & table["mean"].notna()]
    if centred.empty:
        return None
    best = centred.sort_values("mean").iloc[-1]
    raw = table[(table["metric"] == "retrieval_raw") & (table["layer"] == best["layer"])]
    text = (
        f"{name}: with language means removed, {100 * best['mean']:.1f} % of sentences find their translation at layer "
        f"{int(best['layer'])}, the best"
    )
    if len(raw):
        text += f"; as they are, {100 * raw.iloc[0]['mean']:.1f} %"
    return text + "."


def _correct(rows: Results, name: str) -> str | None:
    chosen = rows.select(metric="correct")
    if len(chosen) == 0:
        return None
    means = theory_means(chosen, ["context_language", "question_language"])
    if means["value"].isna().all():
        return None
    switched = means["context_language"].astype(str) != means["question_language"].astype(str)
    parts = [
        f"{100 * part['value'].mean():.1f} % right {label}"
        for label, part in (("in one language", means[~switched]), ("across languages", means[switched]))
        if len(part)
    ]
    return f"{name}: {', '.join(parts)}." if parts else None


def _contrast(results: Results, crossed: str, base: str) -> str | None:
    rows = results.select(metric="js_stability", block=_BLOCK, pooling="token", condition="observed")
    keys = ["checkpoint", "dataset", "context_language", "question_language", "reference", "sample", "group", "metric",
            "block", "pooling", "condition", "seed", "step"]  # fmt: skip
    frame = rows.select(checkpoint=[crossed, base]).means(keys).drop(columns=["n", "n_nan"])
    own = frame["context_language"] + "-" + frame["context_language"]
    frame = frame[(frame["context_language"] != frame["question_language"]) & (frame["reference"] == own)]
    if frame["checkpoint"].nunique() < 2:
        return None
    from xlprobe.statistics import contrast_frame

    frame["layer"], frame["head"], frame["reason"] = None, None, None
    row = contrast_frame(frame, crossed, base, "js_stability", by=()).iloc[0]
    verdict = "more" if row["estimate"] > 0 else "less"
    interval = f"{row['estimate']:+.4f} [{row['low']:+.4f}, {row['high']:+.4f}]".replace("-", "−")
    text = (
        f"{crossed} minus {base}: the question's attention to the context differs in stability by {interval} "
        f"(p = {row['p']:.4f})"
    )
    return text + (f"; {crossed} is {verdict} stable." if row["p"] < 0.05 else "; no difference is shown.")

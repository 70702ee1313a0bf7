"""What a table is about: its checkpoints, pairs, languages and numbers of problems, for titles and notes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from xlprobe.plots.reading import problems, rows_of, theories
from xlprobe.plots.words import counted, listed
from xlprobe.results import Results

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "base_language",
    "checkpoints",
    "contrasts",
    "describe",
    "guessing",
    "in_order",
    "language_order",
    "last_steps",
    "needs_rows",
    "pairs",
    "switched_pairs",
    "trained_pairs",
]

SENTENCES = frozenset(
    ["retrieval_raw", "retrieval_centred", "retrieval_offset", "retrieval_language_removed", "neutrality_gap", "map_x",
     "map_y"]
)  # fmt: skip
"""Metrics whose samples are sentences, not problems."""

OF_SETS = frozenset(
    ["cka", "language_probe_accuracy", "language_probe_control", "language_probe_selectivity", "language_eta_squared",
     "language_mdl_bits"]
)  # fmt: skip
"""Metrics of all those sentences at once."""


def checkpoint_entries(results: Results) -> dict[str, dict[str, Any]]:
    """Return what the manifest says of each checkpoint, in the order of the run; joined tables are looked through."""
    entries: dict[str, dict[str, Any]] = {}
    for manifest in manifests(results):
        known = manifest.get("checkpoints", {})
        # A part that tells less of a checkpoint must not hide what another one tells.
        for name, entry in known.items() if isinstance(known, dict) else ():
            entries[name] = {**entry, **entries.get(name, {})}
    return entries


def manifests(results: Results) -> list[dict[str, Any]]:
    """Return the table's manifest, and those of the tables that it was joined from, however deep."""
    joined = [results.manifest]
    for one in joined:
        joined += one.get("parts", [])
    return joined


def checkpoints(results: Results) -> list[str]:
    """Return the names of the checkpoints that have rows, in the order of the run."""
    return in_order(results, theories(results)["checkpoint"].dropna().unique())


def contrasts(results: Results) -> list[tuple[str, str]]:
    """Return (cross-query, baseline) for every cross-query checkpoint; else the first checkpoint is the baseline."""
    names = checkpoints(results)
    entries = checkpoint_entries(results)
    crossed = [name for name in names if entries.get(name, {}).get("is_cross_query")]
    if not crossed:
        shares = rows_of(theories(results), metric="share_cross")
        crossed = in_order(results, shares[shares["n"] > 0]["checkpoint"].unique())
    plain = [name for name in names if name not in crossed]
    if crossed and plain:
        return [(name, plain[0]) for name in crossed]
    return [(name, names[0]) for name in names[1:]]


def pairs(frame: pd.DataFrame) -> list[tuple[str, str]]:
    """Return the pairs of context and question language of rows, in-language ones first, then by name."""
    languages = frame[["context_language", "question_language"]].drop_duplicates().astype(str)
    known = {(c, q) for c, q in languages.itertuples(index=False) if c and q and "nan" not in (c, q)}
    return sorted(known, key=lambda pair: (pair[0] != pair[1], pair))


def switched_pairs(results: Results) -> list[tuple[str, str]]:
    """Return the pairs whose languages differ; those with the base language as context first."""
    base = base_language(results)
    switched = [pair for pair in pairs(theories(results)) if pair[0] != pair[1]]
    return sorted(switched, key=lambda pair: (pair[0] != base, pair[1] != base, pair))


def base_language(results: Results) -> str:
    """Return the language that the others are compared with: the manifest's, or the one in most pairs."""
    for manifest in manifests(results):
        if base := manifest.get("arguments", {}).get("base"):
            return str(base)
    switched = [pair for pair in pairs(theories(results)) if pair[0] != pair[1]]
    counts = Counter(code for pair in switched for code in pair)
    return max(sorted(counts), key=lambda code: counts[code], default="en")


def language_order(codes: Iterable[str], base: str) -> list[str]:
    """Return languages in order: the base first, then as the toolkit lists them."""
    from xlprobe.languages import KNOWN_LANGUAGES

    known = [base, *KNOWN_LANGUAGES]
    return sorted(set(codes), key=lambda code: (known.index(code) if code in known else len(known), code))


def guessing(results: Results, names: Iterable[str]) -> float:
    """Return the accuracy of guessing: one of a classifier's labels, of two where the manifest names none."""
    entries = checkpoint_entries(results)
    counts = {len(labels) for name in names if (labels := entries.get(name, {}).get("labels"))}
    return 1 / min(counts, default=2)


def trained_pairs(results: Results) -> dict[str, frozenset[str]]:
    """Return the pairs of languages that each checkpoint was fine-tuned on ("en-fr"), where the manifest says."""
    trained = {}
    for name, entry in checkpoint_entries(results).items():
        if mix := entry.get("trained_on") or entry.get("mix") or entry.get("recipe", {}).get("mix"):
            trained[name] = frozenset(map(str, mix))
    return trained


def last_steps(results: Results) -> Results:
    """Return the rows of each checkpoint's last step of training; all of them where the table has no steps."""
    steps = results.unique("step")
    if len(steps) < 2:
        return results
    ends = results.means(["checkpoint", "step"]).groupby("checkpoint")["step"].max()
    tables = []
    for name in results.unique("checkpoint"):
        rows = results.select(checkpoint=name)
        tables.append(rows.select(step=int(ends[name])) if ends.get(name) == ends.get(name) else rows)
    joined = Results.concat(tables)
    joined.manifest = results.manifest
    return joined


def needs_rows(results: Results, what: str, **filters: Any) -> str | None:
    """Return why a figure cannot be drawn, or None: it needs rows with a number that meet `filters`."""
    rows = rows_of(theories(results), **filters)
    if rows.empty:
        return f"the table has no {what}"
    if int(rows["n"].sum()) > 0:
        return None
    reasons = results.select(**filters).unique("reason")
    return f"{what}: {'; '.join(reasons[:2])}" if reasons else f"every {what} is undefined"


def in_order(results: Results, names: Iterable[Any]) -> list[str]:
    """Return checkpoints in the order of the run; those that it does not know last."""
    wanted = {str(name) for name in names}
    known = [name for name in checkpoint_entries(results) if name in wanted]
    return known + sorted(wanted.difference(known))


def describe(
    results: Results,
    table: pd.DataFrame,
    names: Sequence[str],
    metrics: Sequence[str],
    bands: str = "Bands",
    runs: str = "thin lines",
) -> str:
    """Return the sentences under a figure: checkpoints, problems, theories, runs, intervals, undefined values.

    `bands` is what shows the intervals, or empty where none are drawn; `runs` how several training runs are drawn.
    """
    known = problems(results)
    items = known[known["metric"].isin(metrics)]
    if items["sample"].isna().all() and set(metrics) & OF_SETS:
        items = known[known["metric"] == "retrieval_raw"]
    samples, groups = items["sample"].nunique(), items["group"].nunique()
    datasets = ", ".join(sorted({str(name) for name in items["dataset"].dropna() if name}))
    unit = "sentence" if set(metrics) <= SENTENCES | OF_SETS else "problem"
    sentences = [f"{'Checkpoints' if len(names) > 1 else 'Checkpoint'}: {listed(names)}." if names else ""]
    if samples:
        theories_of = f" from {counted(groups, 'theory', 'theories')}" if groups else ""
        sentences.append(f"n = {counted(samples, unit)}{theories_of}{f' of {datasets}' if datasets else ''}.")
    elif datasets:
        sentences.append(f"Data: {datasets}.")
    sentences.append(_runs(results, names, runs))
    sentences.append(_intervals(table, groups, bands) if bands else "")
    rows = rows_of(theories(results), metric=list(metrics), checkpoint=list(names))
    if undefined := int(rows["n_nan"].sum()):
        sentences.append(f"{undefined:,} of {undefined + int(rows['n'].sum()):,} values are undefined and left out.")
    return " ".join(filter(None, sentences))


def _runs(results: Results, names: Sequence[str], how: str) -> str:
    """Say how many training runs stand behind the checkpoints where there are several."""
    frame = theories(results)
    seeds = frame[frame["checkpoint"].isin(list(names))].groupby("checkpoint", observed=True)["seed"].nunique()
    several = {name: int(seeds[name]) for name in names if seeds.get(name, 0) > 1}
    if not several:
        return ""
    return f"Training runs ({how}): {', '.join(f'{name} {count}' for name, count in several.items())}."


def _intervals(table: pd.DataFrame, groups: int, bands: str) -> str:
    """Say what shows the intervals, or why there are none."""
    from xlprobe.statistics import MIN_GROUPS

    if "low" not in table:
        return ""
    if table["low"].notna().any():
        return f"{bands}: 95\u00a0% intervals over theories."
    if groups and groups < MIN_GROUPS:
        return f"No intervals: {counted(groups, 'theory', 'theories')}, and fewer than {MIN_GROUPS} give none."
    if "seed" in table and table["seed"].notna().any():
        return "No intervals: too few training runs."
    if not table["mean"].notna().any():
        return ""
    return "No intervals: " + ("none can be computed." if groups else "the rows name no theory.")

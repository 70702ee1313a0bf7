"""What a table is about: its checkpoints, pairs, languages and numbers of problems, for titles and captions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from xlprobe.errors import ResultsError
from xlprobe.results import Results

__all__ = [
    "checkpoints",
    "contrasts",
    "describe",
    "language_order",
    "last_steps",
    "needs_rows",
    "pair_label",
    "pairs",
    "switched_pairs",
    "trained_pairs",
]


def checkpoint_facts(results: Results) -> dict[str, dict[str, Any]]:
    """Return what the manifest says of each checkpoint, in the order of the run; joined tables are looked through."""
    found: dict[str, dict[str, Any]] = {}
    for manifest in manifests(results):
        known = manifest.get("checkpoints", {})
        # A part that tells less of a checkpoint must not hide what another one tells.
        for name, facts in known.items() if isinstance(known, dict) else ():
            found[name] = {**facts, **found.get(name, {})}
    return found


def manifests(results: Results) -> list[dict[str, Any]]:
    """Return the table's manifest, and those of the tables that it was joined from, however deep."""
    found = [results.manifest]
    for part in found:
        found += part.get("parts", [])
    return found


def checkpoints(results: Results) -> list[str]:
    """Return the names of the checkpoints that have rows, in the order of the run."""
    present = results.unique("checkpoint")
    known = [name for name in checkpoint_facts(results) if name in present]
    return known + [name for name in present if name not in known]


def contrasts(results: Results) -> list[tuple[str, str]]:
    """Return (cross-query, baseline) for every cross-query checkpoint; else the first checkpoint is the baseline."""
    names = checkpoints(results)
    if len(names) < 2:
        return []
    facts = checkpoint_facts(results)
    crossed = [name for name in names if facts.get(name, {}).get("is_cross_query")]
    if not crossed:
        with_shares = set(results.select(metric="share_cross").unique("checkpoint"))
        crossed = [name for name in names if name in with_shares]
    plain = [name for name in names if name not in crossed]
    if crossed and plain:
        return [(name, plain[0]) for name in crossed]
    return [(name, names[0]) for name in names[1:]]


def pairs(results: Results) -> list[tuple[str, str]]:
    """Return the pairs of context and question language of the rows, in-language ones first, then by name."""
    table = results.means(["context_language", "question_language"])
    rows = zip(table["context_language"], table["question_language"], strict=True)
    found = {(str(c), str(q)) for c, q in rows if isinstance(c, str) and isinstance(q, str) and c and q}
    return sorted(found, key=lambda pair: (pair[0] != pair[1], pair))


def switched_pairs(results: Results) -> list[tuple[str, str]]:
    """Return the pairs whose languages differ; those with the base language as context first."""
    found = [pair for pair in pairs(results) if pair[0] != pair[1]]
    base = base_language(results)
    return sorted(found, key=lambda pair: (pair[0] != base, pair[1] != base, pair))


def base_language(results: Results) -> str:
    """Return the language that the others are compared with: the manifest's, or the one in most pairs."""
    for manifest in manifests(results):
        if base := manifest.get("arguments", {}).get("base"):
            return str(base)
    counts: dict[str, int] = {}
    for pair in pairs(results):
        if pair[0] != pair[1]:
            for code in pair:
                counts[code] = counts.get(code, 0) + 1
    return max(sorted(counts), key=lambda code: counts[code], default="en")


def language_order(results: Results) -> list[str]:
    """Return the languages of the rows: the base first, then as the toolkit lists them."""
    from xlprobe.languages import KNOWN_LANGUAGES

    codes = {code for pair in pairs(results) for code in pair}
    known = [base_language(results), *KNOWN_LANGUAGES]
    return sorted(codes, key=lambda code: (known.index(code) if code in known else len(known), code))


def trained_pairs(results: Results) -> dict[str, frozenset[str]]:
    """Return the pairs of languages that each checkpoint was fine-tuned on ("en-fr"), where the manifest says."""
    found = {}
    for name, facts in checkpoint_facts(results).items():
        told = facts.get("trained_on") or facts.get("mix") or facts.get("recipe", {}).get("mix")
        if told:
            found[name] = frozenset(map(str, told))
    return found


def last_steps(results: Results) -> Results:
    """Return the rows of each checkpoint's last step of training; all of them where the table has no steps."""
    steps = results.unique("step")
    if len(steps) < 2:
        return results
    ends = results.means(["checkpoint", "step"]).groupby("checkpoint")["step"].max()
    parts = []
    for name in results.unique("checkpoint"):
        rows = results.select(checkpoint=name)
        parts.append(rows.select(step=int(ends[name])) if ends.get(name) == ends.get(name) else rows)
    joined = Results.concat(parts)
    joined.manifest = results.manifest
    return joined


def pair_label(context: str, question: str) -> str:
    """Return "en–fr": the context's language, then the question's."""
    return f"{context}–{question}"


def other_language(pair: Sequence[str], base: str) -> str:
    """Return the language of a pair that is not the base, which gives the pair its colour."""
    return pair[1] if pair[0] == base else pair[0]


def describe(rows: Results, interval: str = "Bands: 95 % intervals over theories.") -> str:
    """Return the caption's facts: checkpoints, problems, theories, languages, interval, and undefined values."""
    table = rows.means(["checkpoint", "dataset", "context_language", "question_language", "sample", "group"])
    present = set(table["checkpoint"].dropna())
    known = [name for name in checkpoint_facts(rows) if name in present]
    names = ", ".join(known + sorted(present - set(known)))
    samples, groups = table["sample"].nunique(), table["group"].nunique()
    columns = [table[name].dropna() for name in ("context_language", "question_language")]
    codes = sorted({str(code) for column in columns for code in column.unique() if code})
    datasets = ", ".join(sorted({str(name) for name in table["dataset"].dropna().unique() if name}))
    undefined, total = int(table["n_nan"].sum()), int(table["n"].sum() + table["n_nan"].sum())
    parts = [f"Checkpoint{'s' if ', ' in names else ''}: {names}."]
    if samples:
        problems, theories = f"problem{'s' * (samples != 1)}", "theory" if groups == 1 else "theories"
        parts.append(f"{samples} {problems} from {groups} {theories}{f' of {datasets}' if datasets else ''}.")
    elif datasets:
        parts.append(f"Data: {datasets}.")
    if codes:
        parts.append(f"Languages: {', '.join(codes)}.")
    if interval:
        parts.append(interval)
    if undefined:
        parts.append(f"{undefined:,} of {total:,} values are undefined and left out.")
    return " ".join(parts)


def needs_rows(results: Results, what: str, **filters: Any) -> str | None:
    """Return why a figure cannot be drawn, or None: it needs rows with a number that meet `filters`."""
    rows = results.select(**filters)
    if len(rows) == 0:
        return f"the table has no {what}"
    table = rows.means(["metric"])
    if int(table["n"].sum()) == 0:
        reasons = rows.unique("reason")
        return f"{what}: {'; '.join(reasons[:2])}" if reasons else f"every {what} is undefined"
    return None


def require(reason: str | None) -> None:
    """Refuse to draw what cannot be drawn, with the reason."""
    if reason is not None:
        raise ResultsError(f"cannot draw this figure: {reason}. Measure what it needs, or draw another")

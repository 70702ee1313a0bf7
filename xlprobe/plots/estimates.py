"""Means and intervals for figures: rows are averaged per theory while they stream, and theories are resampled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from xlprobe.results import Results

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["changes", "estimate", "instability", "theory_means"]

_ALWAYS = ("metric", "block", "pooling", "condition")
_UNITS = ("dataset", "group", "seed")


def theory_means(results: Results, by: Sequence[str]) -> pd.DataFrame:
    """Return the mean of every theory per combination of `by`, over samples, heads and what else is not in `by`."""
    columns = list(dict.fromkeys([*by, *_ALWAYS, *_UNITS]))
    frame = results.means(columns)
    return frame.drop(columns=["n_nan"]).rename(columns={"n": "rows"})


def estimate(results: Results, by: Sequence[str], draws: int = 4999) -> pd.DataFrame:
    """Return mean, low, high, n_groups and n_nan per combination of `by`; 95 % BCa intervals over theories.

    Groups without a number are counted in n_nan. See `xlprobe.statistics.summarise`.
    """
    return _summary(theory_means(results, by), by, draws)


def changes(results: Results, metric: str, by: Sequence[str], draws: int = 4999) -> pd.DataFrame:
    """Return how much a code-switched version differs from its in-language reference, sample by sample.

    Heads are averaged before; columns as `estimate`.
    """
    from xlprobe.statistics import subtract_reference

    columns = [
        "checkpoint", "dataset", "context_language", "question_language", "reference", "sample", "group", "layer",
        *_ALWAYS, "seed", "step",
    ]  # fmt: skip
    frame = results.select(metric=metric).means(columns).drop(columns=["n", "n_nan"])
    frame["head"], frame["reason"] = None, None
    changed = subtract_reference(frame, metric)
    unit = list(dict.fromkeys([*by, *_ALWAYS, *_UNITS]))
    means = changed.groupby(unit, observed=True, dropna=False, as_index=False)["value"].mean()
    return _summary(means, by, draws)


def _summary(frame: pd.DataFrame, by: Sequence[str], draws: int) -> pd.DataFrame:
    from xlprobe.statistics import summarise

    return summarise(frame, by=list(by), draws=draws)


def instability(results: Results, block: str, pooling: str, draws: int = 4999, seed: int = 0) -> pd.DataFrame:
    """Return the instability index per checkpoint, pair and layer, with percentile intervals over theories.

    The index is (d_switch - d_floor) / (d_chance - d_floor) with d = 1 - stability, each averaged over problems and
    heads of a layer: 0 as stable as between two questions of one theory, 1 as unstable as between two theories. It is
    undefined where chance is not above floor. Columns: checkpoint, context_language, question_language, layer, mean,
    low, high, n_groups, undefined_draws (their share).
    """
    import numpy as np
    import pandas as pd

    keys = ["checkpoint", "context_language", "question_language", "reference", "condition", "layer"]
    rows = results.select(metric="js_stability", block=block, pooling=pooling)
    frame = theory_means(rows, keys)
    frame["reference"] = frame["reference"].fillna("").astype(str)
    wide = frame.pivot_table(index="group", columns=keys, values="value", aggfunc="mean", observed=True)
    distance = 1 - wide.to_numpy(dtype=np.float64)
    known = ~np.isnan(distance)
    groups = len(distance)
    drawn = np.random.default_rng(seed).multinomial(groups, [1 / groups] * groups, draws)
    # The first row of weights is the table as it is.
    weights = np.vstack([np.ones((1, groups)), drawn])
    with np.errstate(invalid="ignore", divide="ignore"):
        means = (weights @ np.where(known, distance, 0.0)) / (weights @ known)
    place = {key: number for number, key in enumerate(wide.columns)}
    found = []
    for (checkpoint, context, question, reference, condition, layer), number in place.items():
        own = f"{context}-{context}"
        controls = [place.get((checkpoint, context, context, own, name, layer)) for name in ("floor", "chance")]
        if context == question or condition != "observed" or reference != own or None in controls:
            continue
        floor, chance = (means[:, control] for control in controls)
        with np.errstate(invalid="ignore", divide="ignore"):
            index = np.where(chance > floor, (means[:, number] - floor) / (chance - floor), np.nan)
        defined = index[1:][~np.isnan(index[1:])]
        few = groups < 2 or len(defined) <= draws / 2
        ends = (np.nan, np.nan) if few else np.quantile(defined, [0.025, 0.975])
        found.append((checkpoint, context, question, layer, index[0], *ends, groups, 1 - len(defined) / draws))
    columns = ["checkpoint", "context_language", "question_language", "layer", "mean", "low", "high", "n_groups"]
    return pd.DataFrame(found, columns=[*columns, "undefined_draws"])

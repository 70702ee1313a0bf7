"""Paired rows summed within clusters: what a contrast needs of a table, and small enough to add up part by part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from xlprobe.statistics.clusters import Clusters, divide
from xlprobe.statistics.contrasts import contrast_clusters
from xlprobe.statistics.options import Options
from xlprobe.statistics.pairing import KINDS, codes, group_codes, numbers, seed_codes, with_kinds

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["answer_of_sums", "summed"]

_CLUSTER = ("dataset", "group")


def summed(first: pd.DataFrame, second: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Sum rows that are already paired; `second` has the seed of its pair.

    One row per combination of `by` and kinds, theory and training run. Columns: these, `run`, `count` of pairs with
    numbers, the sums over them of `a`, `b`, `difference` (and of `raw`, where there is such), and `n_nan`.
    """
    keys = list(dict.fromkeys([*with_kinds(first, by), *KINDS, *_CLUSTER]))
    _, place, cell = np.unique(
        codes([*(first[name] for name in keys), second["seed"]]), return_index=True, return_inverse=True
    )
    a, b = (side["value"].to_numpy(dtype=np.float64) for side in (first, second))
    values = {"a": a, "b": b, "difference": a - b}
    if "raw" in first:
        values["raw"] = (first["raw"] - second["raw"]).to_numpy(dtype=np.float64)
    known = ~np.isnan(values["difference"])
    sums: dict[str, Any] = {name: np.bincount(cell[known], one[known], len(place)) for name, one in values.items()}
    sums["count"] = np.bincount(cell[known], minlength=len(place))
    sums["n_nan"] = np.bincount(cell, minlength=len(place)) - sums["count"]
    runs = second["seed"].iloc[place].reset_index(drop=True)
    table: pd.DataFrame = first.iloc[place][keys].reset_index(drop=True)
    return table.assign(run=runs, **sums)


def answer_of_sums(rows: pd.DataFrame, by: Sequence[str], options: Options) -> pd.DataFrame:
    """Contrast what `summed` gave: one row per combination of `by`, and of those kinds of which there are several."""
    by = with_kinds(rows, by)
    test, answer = numbers(rows, by)
    count = rows["count"].to_numpy(dtype=np.float64)
    mean = divide(rows["difference"].to_numpy(), count)
    clusters = Clusters.from_long(mean, test, group_codes(rows), seed_codes(rows["run"]), len(answer), count)
    n_nan = np.bincount(test, rows["n_nan"], len(answer)).astype(np.int64)
    result = contrast_clusters(replace(clusters, n_nan=n_nan), options)
    columns: dict[str, Any] = {
        name: divide(np.bincount(test, rows[of], len(answer)), result.n)
        for name, of in (("mean_a", "a"), ("mean_b", "b"), ("raw", "raw"))
        if of in rows
    }
    for name in ("estimate", "low", "high", "d_z", "p", "q", "p_max_t", "n", "n_groups", "n_seeds", "n_nan"):
        columns[name] = getattr(result, name)
    return answer.assign(**columns, speaks_of=result.speaks_of, reason=result.reason)

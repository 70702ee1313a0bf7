"""The grid of mechanisms and masks, each trained and evaluated alike."""

from __future__ import annotations

import gc
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from xlprobe.errors import TrainingError
from xlprobe.files import table_text, write_atomically
from xlprobe.results import Results
from xlprobe.training.evaluation import accuracy_table, evaluate
from xlprobe.training.recipes import Recipe
from xlprobe.training.sources import samples_of

__all__ = ["SKIPPED", "Cell", "ablate", "grid"]


@dataclass(frozen=True)
class Cell:
    """One cell of the grid: which Q_cross ("none", "copied", "pre-trained") and which masks in training.

    `p_mask` closes Q's cross-language pairs, `cross_p_mask` Q_cross's same-language pairs; None without Q_cross.
    """

    query: str
    p_mask: float
    cross_p_mask: float | None

    @property
    def name(self) -> str:
        """A name that says it all, such as "copied/interfering/dropout-0.7"."""
        if self.query == "none":
            return "baseline" if self.p_mask == 0 else f"baseline/dropout-{self.p_mask:g}"
        if self.p_mask == 1:
            return f"{self.query}/non-interfering"
        return f"{self.query}/interfering/" + ("no-dropout" if self.p_mask == 0 else f"dropout-{self.p_mask:g}")

    def applied(self, recipe: Recipe, seed: int) -> Recipe:
        """Return the recipe of this cell."""
        own: dict[str, Any] = {"mechanism": "baseline", "structured_dropout": self.p_mask, "query": None}
        if self.query != "none":
            own = {"mechanism": "cross-query", "structured_dropout": 0.0, "p_mask": self.p_mask}
            own["cross_p_mask"] = self.cross_p_mask if self.cross_p_mask is not None else 1.0
            own["query"] = "copy" if self.query == "copied" else recipe.query
        return replace(recipe, name=self.name, settings=replace(recipe.settings, seed=seed), **own)


SKIPPED = {
    "baseline/interfering, baseline/non-interfering": "with one query there is nothing to interfere with",
    "copied/non-interfering/dropout, pre-trained/non-interfering/dropout": (
        "non-interfering masks close always (probability 1), so that nothing is left to drop at random"
    ),
}
"""The meaningless cells of {none, copied, pre-trained} x {dropout} x {interfering}, and why they are skipped."""


def grid(p_masks: Sequence[float] = (0.3, 0.5, 0.7)) -> list[Cell]:
    """Return the meaningful cells (arXiv 2310.15258, section 3; the ablation is not in the paper)."""
    if wrong := [value for value in p_masks if not 0 < value < 1]:
        raise TrainingError(f"got p_masks {wrong}; expected probabilities between 0 and 1, both excluded")
    cells = [Cell("none", 0.0, None), *(Cell("none", value, None) for value in p_masks)]
    for query in ("copied", "pre-trained"):
        cells += [Cell(query, 1.0, 1.0), Cell(query, 0.0, 0.0), *(Cell(query, value, value) for value in p_masks)]
    return cells


def ablate(
    recipe: Recipe,
    out: Path,
    *,
    data: Path | None = None,
    query: Path | None = None,
    seeds: Sequence[int] = (0,),
    p_masks: Sequence[float] = (0.3, 0.5, 0.7),
    only: Sequence[str] | None = None,
    pairs: str = "en-en, en-*, *-en",
) -> pd.DataFrame:
    """Train and evaluate every cell with every seed; return accuracy per cell, seed and language pair.

    Writes `results.parquet` (column checkpoint: the cell, column seed), `accuracy.csv` and `skipped.json` to `out`.
    Cells that are done are not done again. The problems to evaluate on are the recipe's `[evaluation]`.
    """
    cells = grid(p_masks)
    if only is not None:
        if unknown := sorted(set(only) - {cell.name for cell in cells}):
            raise TrainingError(f"got the cells {unknown}; expected some of {', '.join(cell.name for cell in cells)}")
        cells = [cell for cell in cells if cell.name in only]
    if recipe.evaluation is None:
        raise TrainingError(
            "the recipe has no [evaluation] problems; an ablation needs some that nothing was chosen by"
        )
    if any(cell.query == "pre-trained" for cell in cells) and query is None and recipe.query in (None, "copy"):
        raise TrainingError(
            "the grid has cells with a pre-trained Q_cross; give it with --query, or choose other --cells"
        )
    problems = samples_of(recipe.evaluation.source, recipe.evaluation.options, data)
    out.mkdir(parents=True, exist_ok=True)
    write_atomically(out / "skipped.json", json.dumps(SKIPPED, indent=1))
    answers = []
    for seed in seeds:
        for cell in cells:
            place = out / "cells" / f"{cell.name.replace('/', '_')}-seed{seed}"
            start = query if cell.query == "pre-trained" else None
            answers.append(_run_cell(cell.applied(recipe, seed), place, data, start, problems, pairs))
            # The table is whole after every cell, so that an interrupted grid can be looked at.
            Results.concat(answers).save(out)
    tables = [accuracy_table(rows, trained_on=recipe.mix).assign(seed=rows.unique("seed")[0]) for rows in answers]
    table = pd.concat(tables, ignore_index=True)
    write_atomically(out / "accuracy.csv", table_text(table, float_format="%.4f"))
    return table


def _run_cell(recipe: Recipe, place: Path, data: Path | None, query: Path | None, problems: Any, pairs: str) -> Results:
    from xlprobe.training.runs import run_finetune

    if (place / "results.parquet").is_file():
        return Results.load(place)
    checkpoint = run_finetune(recipe, place, data, query)
    results = evaluate(checkpoint, problems, pairs=pairs, seed=recipe.settings.seed)
    results.save(place)
    # A trainer refers to itself in circles, so the model goes only with the garbage.
    del checkpoint
    gc.collect()
    return results

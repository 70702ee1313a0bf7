"""A study: runs of recipes, one after another, as a TOML file lists them."""

from __future__ import annotations

import json
import re
import tomllib
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from xlprobe.errors import TrainingError
from xlprobe.training.recipes import Recipe, read_recipe

__all__ = ["PlannedRun", "planned_entries", "read_study"]

_ENTRIES = {"name", "recipe", "seeds", "base", "query", "steps", "pairs"}


@dataclass(frozen=True)
class PlannedRun:
    """One run of a study: a recipe with one seed.

    `base` and `query` name the earlier runs whose checkpoint and whose Q_cross it starts from (None: the recipe's
    own). `pairs` are evaluated on.
    """

    name: str
    recipe: Recipe
    base: str | None = None
    query: str | None = None
    pairs: str = "*-*"

    @property
    def steps(self) -> int | None:
        """How many optimiser steps it takes; None where the recipe counts epochs."""
        return self.recipe.settings.steps


def read_study(path: Path | str, device: str | None = None) -> list[PlannedRun]:
    """Read a study: `[[runs]]` with `name`, `recipe` (a path beside the file), and what differs from the recipe.

    `seeds` (default: the recipe's) makes one run of each, called NAME-seedK. `base` and `query` name an earlier entry:
    its run of the same seed, or its only one. `steps` shortens the recipe, its stages in proportion. `device` replaces
    every recipe's. The first run of every entry comes before the second of any, so that a queue that is stopped has
    runs to compare. Raises `TrainingError` for unknown entries, repeated names, and runs that are not there before.
    """
    path = Path(path)
    try:
        entries = tomllib.loads(path.read_text(encoding="utf8")).get("runs")
    except OSError as error:
        raise TrainingError(f"cannot read the study {path}: {error.strerror}") from error
    except tomllib.TOMLDecodeError as error:
        raise TrainingError(f"{path} is not TOML: {error}") from error
    if not isinstance(entries, list) or not entries:
        raise TrainingError(f"{path} has no [[runs]]; expected at least one, with a name and a recipe")
    made: dict[str, dict[int, str]] = {}
    runs: list[PlannedRun] = []
    for entry in entries:
        _check(entry, made, path)
        seeds = entry.get("seeds") or [None]
        new = [_planned(entry, seed, made, path, device) for seed in seeds]
        made[entry["name"]] = {run.recipe.settings.seed: run.name for run in new}
        if len(made[entry["name"]]) != len(new):
            raise TrainingError(f"{path}: {entry['name']} names a seed twice in {seeds}; expected each once")
        runs += new
    return _in_rounds(runs)


def _in_rounds(runs: list[PlannedRun]) -> list[PlannedRun]:
    """Return the first run of every entry, then the second of every, ...; each after the runs that it starts from."""
    rounds: dict[str, int] = {}
    of_entry: Counter[str] = Counter()
    for run in runs:
        entry = run.name.rpartition("-seed")[0]
        rounds[run.name] = max(of_entry[entry], *(rounds.get(earlier or "", 0) for earlier in (run.base, run.query)))
        of_entry[entry] += 1
    return sorted(runs, key=lambda run: rounds[run.name])


def _check(entry: Mapping[str, Any], made: Mapping[str, Any], path: Path) -> None:
    if unknown := sorted(set(entry) - _ENTRIES):
        raise TrainingError(
            f"{path}: unknown entries {unknown} of a run; expected some of {', '.join(sorted(_ENTRIES))}"
        )
    name = entry.get("name")
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9._-]+", name) or "recipe" not in entry:
        raise TrainingError(f"{path}: a run has name={name!r} and recipe={entry.get('recipe')!r}; expected both")
    if name in made:
        raise TrainingError(f"{path}: two entries have the name {name!r}; expected different ones")


def _planned(
    entry: Mapping[str, Any], seed: int | None, made: Mapping[str, Mapping[int, str]], path: Path, device: str | None
) -> PlannedRun:
    recipe = read_recipe(path.parent / entry["recipe"], seed=seed, scale_to=entry.get("steps"), device=device)
    own = recipe.settings.seed
    earlier: dict[str, str | None] = {}
    for what in ("base", "query"):
        named = entry.get(what)
        runs = {} if named is None else made.get(named, {})
        earlier[what] = runs.get(own) or (next(iter(runs.values())) if len(runs) == 1 else None)
        if named is not None and earlier[what] is None:
            raise TrainingError(
                f"{path}: {entry['name']} with seed {own} has {what} = {named!r}; expected an entry above it with that "
                f"seed, or with one seed only; above it are {', '.join(made) or 'none'}"
            )
    return PlannedRun(f"{entry['name']}-seed{own}", recipe, **earlier, pairs=entry.get("pairs", "*-*"))


def planned_entries(run: PlannedRun) -> dict[str, Any]:
    """Return what identifies a run, as JSON has it: all that its result depends on but the machine."""
    entries = json.loads(json.dumps(asdict(run.recipe), default=str))
    for name in ("device", "report_to", "log_every", "save_every", "keep", "tokens_at_once"):
        entries["settings"].pop(name)
    if not entries["encoding"]:  # runs that were planned before recipes had it are the same
        del entries["encoding"]
    return {"base": run.base, "query": run.query, "pairs": run.pairs, "recipe": entries}

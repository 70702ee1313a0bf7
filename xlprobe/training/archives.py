"""What is kept of a finished run: its weights, accuracy, history and card, in one small file that can be committed."""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd

from xlprobe.checkpoints.checkpoint import Checkpoint
from xlprobe.checkpoints.delta import WEIGHTS
from xlprobe.errors import TrainingError
from xlprobe.files import table_text, write_atomically
from xlprobe.training.evaluation import accuracy_table, evaluate
from xlprobe.training.recipes import Recipe
from xlprobe.training.runs import MANIFEST, QUERY
from xlprobe.training.sources import samples_of
from xlprobe.training.study import PlannedRun

__all__ = ["PLAN", "archive_run", "unpack_archive"]

TABLE, ACCURACY, CARD = "evaluation/results.parquet", "accuracy.csv", "card.md"
PLAN = "plan.json"
KEPT = (WEIGHTS, QUERY, MANIFEST, PLAN, "history.json", TABLE, "evaluation/manifest.json", ACCURACY, CARD)


def archive_run(run: PlannedRun, checkpoint: Checkpoint | None, place: Path, archives: Path, data: Path | None) -> Path:
    """Evaluate a run where its recipe says on what, write its card, and pack what is kept; return the archive.

    A pre-trained Q_cross is no checkpoint, and not evaluated.
    """
    table = None
    if checkpoint is not None and run.recipe.evaluation is not None:
        problems = samples_of(run.recipe.evaluation.source, run.recipe.evaluation.options, data)
        named = replace(checkpoint, name=run.name, spec=run.name)
        results = evaluate(named, problems, pairs=run.pairs, seed=run.recipe.settings.seed)
        results.save(place / "evaluation")
        labels = {sample.key: int(sample.label or 0) for sample in problems}
        table = accuracy_table(results, by_depth=True, trained_on=run.recipe.mix, labels=labels)
        write_atomically(place / ACCURACY, table_text(table, float_format="%.4f"))
    write_atomically(place / CARD, card(run, json.loads((place / MANIFEST).read_text()), table))
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        for name in KEPT:
            if (place / name).is_file():
                # A fixed date: the same run gives the same archive.
                file.writestr(
                    zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), (place / name).read_bytes(), zipfile.ZIP_DEFLATED
                )
    path = archives / f"{run.name}.zip"
    write_atomically(path, packed.getvalue())
    return path


def unpack_archive(path: Path, place: Path) -> Path:
    """Put an archived run's files into a directory, which `xlprobe.load` reads; returns it."""
    try:
        with zipfile.ZipFile(path) as file:
            if strange := set(file.namelist()) - set(KEPT):
                raise TrainingError(f"{path} holds {sorted(strange)[:3]}; expected the files of a run only")
            place.mkdir(parents=True, exist_ok=True)
            for name in file.namelist():
                write_atomically(place / name, file.read(name))
    except (OSError, zipfile.BadZipFile, zlib.error) as error:
        raise TrainingError(f"cannot read the archive {path}: {error}") from error
    return place


def card(run: PlannedRun, manifest: Mapping[str, Any], table: pd.DataFrame | None) -> str:
    """Return a model card: what was trained, on what, how long, and how well it does by depth."""
    recipe, report, settings = run.recipe, manifest["report"], run.recipe.settings
    lines = [
        f"# {run.name}",
        "",
        f"- **Recipe**: {recipe.routine} {recipe.name}, seed {settings.seed}",
        f"- **Base**: {run.base or recipe.base}" + (f"; Q_cross from {run.query}" if run.query else ""),
        f"- **Pairs in training**: {_pairs(recipe)}",
        f"- **Steps**: {report['run']['steps']} of {settings.batch_size} problems, in "
        f"{report['run'].get('computed_in', 'bfloat16' if settings.bf16 else 'float32')}",
        f"- **Data**: SHA-256 of the problems in their order {report.get('data_sha256', 'unknown')}",
        f"- **Stored as**: {recipe.store}; what is evaluated is the stored form",
        "- **Licence**: MIT",
        "",
    ]
    if table is not None:
        lines += [
            f"## Accuracy on {table['theories'].max()} theories that no training saw",
            "",
            "95 % intervals over theories.",
            "",
            "| pair | depth | n | accuracy | interval |",
            "|---|--:|--:|--:|---|",
        ]
        for row in table.to_dict("records"):
            lines.append(
                f"| {row['context_language']}-{row['question_language']} | {row['depth']} | {row['n']} | "
                f"{row['accuracy']:.3f} | {row['low']:.3f} to {row['high']:.3f} |"
            )
    return "\n".join(lines) + "\n"


def _pairs(recipe: Recipe) -> str:
    if recipe.routine == "pretrain":
        return ", ".join(recipe.pairs)
    return (
        ", ".join(f"{pair} {share:g}" for pair, share in recipe.mix.items()) + f" ({recipe.mechanism}, {recipe.tuning})"
    )

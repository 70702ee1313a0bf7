"""From a recipe to a finished run: data, training, and what is kept of it."""

from __future__ import annotations

import datetime as dt
import json
import platform
from collections.abc import Sequence
from dataclasses import asdict, replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xlprobe.checkpoints.building import named_for
from xlprobe.checkpoints.checkpoint import Checkpoint
from xlprobe.checkpoints.delta import WEIGHTS, apply_delta, make_delta, save_delta
from xlprobe.checkpoints.loading import load
from xlprobe.checkpoints.released import read_query
from xlprobe.checkpoints.tensor_files import write_tensors
from xlprobe.errors import TrainingError
from xlprobe.files import write_atomically
from xlprobe.training.finetuning import Stage, finetune
from xlprobe.training.pretraining import pretrain_cross_query, train_lm_head
from xlprobe.training.recipes import Recipe, StageRecipe
from xlprobe.training.settings import TrainSettings
from xlprobe.training.sources import samples_of

if TYPE_CHECKING:
    from transformers import TrainerCallback

__all__ = ["QUERY", "keep", "run_finetune", "run_pretrain"]

QUERY, MANIFEST, MODEL = "query.safetensors", "manifest.json", "model"


def run_pretrain(
    recipe: Recipe, out: Path, data: Path | None = None, callbacks: Sequence[TrainerCallback] = ()
) -> Path:
    """Pre-train Q_cross (and first an LM head, where the base has none); return the file of its tensors.

    Writes `query.safetensors`, and in `lm-head/` the head's run.
    """
    corpus = _problems(recipe.stages, data)
    base = _start(recipe.base, recipe)
    head_report: dict[str, Any] = {}
    if base.head != "mlm":
        settings = TrainSettings(**{**asdict(recipe.settings), "steps": None, "epochs": None, **dict(recipe.head)})
        monolingual = [_plain(sample, language) for sample in corpus for language in sample.languages]
        base = train_lm_head(
            base, monolingual, out=out / "lm-head", settings=settings, trim=recipe.trim, callbacks=callbacks
        )
        head_report["lm_head"] = {key: base.provenance[key] for key in ("settings", "run", "pieces")}
    tensors, report = pretrain_cross_query(
        base,
        corpus,
        out=out,
        settings=recipe.settings,
        pairs=recipe.pairs,
        specific=recipe.specific,
        order=recipe.order,  # type: ignore[arg-type]
        trim=recipe.trim,
        callbacks=callbacks,
    )
    write_tensors(out / QUERY, tensors, {})
    write_manifest(out, recipe, {**head_report, **report})
    return out / QUERY


def _start(spec: str | Path, recipe: Recipe) -> Checkpoint:
    """Load what a run starts from, read as the recipe says."""
    base = load(spec)
    if not recipe.encoding:
        return base
    base = replace(base, encoding={**base.encoding, **recipe.encoding})
    base.encoder(fresh_head=True)  # what it does not know is said now
    return base


def _plain(sample: Any, language: str) -> Any:
    """Return a text in one language, without a question."""
    return replace(sample.pair(language, language), question=None)


def run_finetune(
    recipe: Recipe,
    out: Path,
    data: Path | None = None,
    query: Path | None = None,
    callbacks: Sequence[TrainerCallback] = (),
    base: Path | None = None,
) -> Checkpoint:
    """Fine-tune as a recipe says, and keep the result; return the checkpoint as it was stored.

    A cross-query recipe takes its Q_cross from `query` (or the recipe's `query`); "copy" starts it as a copy of Q.
    `base` is where the recipe's base is found, if it is not where it says.
    """
    place = query or (Path(recipe.query) if recipe.query and recipe.query != "copy" else None)
    tensors = None if place is None else read_query(place)
    start = _start(base or recipe.base, recipe)
    if recipe.mechanism == "cross-query" and place is None and recipe.query != "copy" and not start.is_cross_query:
        raise TrainingError(
            "a cross-query recipe needs a pre-trained Q_cross (--query FILE, made by xlprobe pretrain), "
            "or query = 'copy'"
        )
    stages = [Stage(_problems([stage], data), stage.steps or 0) for stage in recipe.stages]
    if len(stages) == 1 and not stages[0].steps:
        stages = [Stage(stages[0].samples, recipe.settings.total_steps(len(stages[0].samples)))]
    checkpoint = finetune(
        start,
        stages,
        recipe.method,
        out=out,
        settings=recipe.settings,
        query=tensors,
        validation=samples_of(recipe.validation.source, recipe.validation.options, data) if recipe.validation else (),
        callbacks=callbacks,
    )
    return keep(replace(checkpoint, name=recipe.name or out.name), start, out, recipe)


def keep(checkpoint: Checkpoint, base: Checkpoint, out: Path, recipe: Recipe) -> Checkpoint:
    """Store a fine-tuned checkpoint in `out`, and return it with the weights as they were stored.

    With `store` "2-bit" to "8-bit": `weights.safetensors`, what differs from the encoder at the beginning of all
    trainings, matrices rounded. Else the whole model in `model/`, which `xlprobe.load` reads.
    """
    model: Any = checkpoint.model
    about = {
        "base": base.spec, "base_hash": base.hash, "mechanism": recipe.mechanism, "seed": recipe.settings.seed,
        "config": {"num_labels": model.config.num_labels}, "encoding": dict(checkpoint.encoding),
        "data_sha256": checkpoint.provenance["data_sha256"], "trained_on": sorted(recipe.mix), "recipe": asdict(recipe),
    }  # fmt: skip
    if recipe.mechanism == "cross-query":
        about["cross_query"] = {name: getattr(model.config, name) for name in ("q_p_mask", "cross_p_mask", "pairs")}
    if recipe.store != "float32":
        base = _origin(base)
        about |= {"base": base.spec, "base_hash": base.hash}
        delta = make_delta(base, model, about, int(recipe.store.removesuffix("-bit")))
        save_delta(delta, out / WEIGHTS)
        model.load_state_dict(apply_delta(delta, named_for(model, base.model.state_dict())))
    else:
        model.config.xlprobe_encoding = dict(checkpoint.encoding)
        model.save_pretrained(out / MODEL)
        checkpoint.tokenizer.save_pretrained(out / MODEL)
    report = {key: value for key, value in checkpoint.provenance.items() if key in ("run", "threads", "data_sha256")}
    write_manifest(out, recipe, report)
    return replace(checkpoint, provenance={**checkpoint.provenance, **about})


def _origin(base: Checkpoint) -> Checkpoint:
    """Return what a base that is itself a delta was made from: what is kept then needs no file but its own."""
    while isinstance(before := base.provenance.get("base"), str):
        base = load(before)
    return base


def write_manifest(out: Path, recipe: Recipe, report: dict[str, Any]) -> None:
    """Write what was run, with which versions, and how it went."""
    versions = {name: metadata.version(name) for name in ("torch", "transformers", "accelerate", "safetensors")}
    text = {
        "created": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "recipe": asdict(recipe),
        "report": report,
        "versions": {"python": platform.python_version(), **versions},
    }
    write_atomically(out / MANIFEST, json.dumps(text, indent=1, default=str, ensure_ascii=False))


def _problems(stages: Sequence[StageRecipe], data: Path | None) -> list[Any]:
    return [sample for stage in stages for sample in samples_of(stage.source, stage.options, data)]

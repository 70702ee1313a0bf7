"""Fine-tuning on reasoning problems: baseline or cross-query, full or BitFit, on a mix of language pairs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from xlprobe.checkpoints.checkpoint import Checkpoint
from xlprobe.checkpoints.loading import load
from xlprobe.errors import DataError, TrainingError
from xlprobe.samples import Encoder, ParallelSample, Sample
from xlprobe.training.classifier import FreshHead, make_classifier
from xlprobe.training.collation import Classification
from xlprobe.training.half_precision import bfloat16_is_faster, computing
from xlprobe.training.method import Method
from xlprobe.training.settings import TrainSettings, fix_seed
from xlprobe.training.stream import Mix, Stream
from xlprobe.training.tuning import check_frozen, frozen_hash, select

if TYPE_CHECKING:
    from transformers import TrainerCallback

__all__ = ["Stage", "finetune"]


@dataclass(frozen=True)
class Stage:
    """A part of a curriculum: so many steps on these problems."""

    samples: Sequence[ParallelSample]
    steps: int


def finetune(
    base: Checkpoint | str,
    train: Sequence[ParallelSample] | Sequence[Stage],
    method: Method | None = None,
    *,
    out: Path | str,
    settings: TrainSettings,
    query: Mapping[str, Tensor] | None = None,
    validation: Sequence[ParallelSample] = (),
    callbacks: Sequence[TrainerCallback] = (),
) -> Checkpoint:
    """Fine-tune an encoder to tell whether a question follows from its context; return it in evaluation mode.

    `method` says what is trained (default: a baseline, BitFit, English), `query` are pre-trained Q_cross tensors.
    `train` may be a curriculum of `Stage`s, whose steps then replace the settings'. With `validation`, the weights that
    do best on it are returned, and kept in `out/best`. A run that was killed resumes from its last checkpoint in `out`
    and ends with the same weights. Source: arXiv 2310.15258, section 4.
    """
    from xlprobe.training.trainer import train as run

    checkpoint, method = load(base) if isinstance(base, str) else base, method or Method()
    mix = Mix(dict(method.mix))
    stages = _stages(train, settings)
    labels = _check_problems([stage.samples for stage in stages], validation, mix)
    fix_seed(settings.seed)
    encoder = checkpoint.encoder(settings.max_length, fresh_head=True)
    streams = [_stream(stage, number, mix, settings, encoder) for number, stage in enumerate(stages)]
    head = FreshHead(labels, settings.seed, settings.dropout)
    model = make_classifier(checkpoint, method, head, query)
    _check_pairs(model, streams)
    select(model, method.tuning, method.freeze)
    before = frozen_hash(model)
    options = {**asdict(method), "mix": dict(mix.shares)}
    report = run(
        model,
        _Joined(streams, settings.batch_size),  # type: ignore[arg-type]
        Classification(encoder, method.is_cross_query, method.structured_dropout, settings.seed),
        settings,
        Path(out),
        validate=_validator(validation, method, encoder, settings) if validation else None,
        callbacks=callbacks,
        fingerprint=_fingerprint(before, options, settings, streams),
    )
    check_frozen(model, before)
    provenance = {
        **checkpoint.provenance, "base": checkpoint.spec, "base_hash": checkpoint.hash, "routine": "finetune",
        **options, "settings": asdict(settings), "run": report,
        "data_sha256": _data_hash(streams), "threads": torch.get_num_threads(),
    }  # fmt: skip
    return Checkpoint(Path(out).name, str(out), model.eval(), checkpoint.tokenizer, provenance, checkpoint.encoding)


def _stages(train: Sequence[Any], settings: TrainSettings) -> list[Stage]:
    if not train:
        raise DataError("got no training problems; expected at least one")
    if all(isinstance(item, Stage) for item in train):
        return list(train)
    if any(isinstance(item, Stage) for item in train):
        raise TrainingError("got stages and problems in one list; expected one or the other")
    return [Stage(train, settings.total_steps(len(train)))]


def _check_problems(stages: Sequence[Sequence[ParallelSample]], validation: Sequence[ParallelSample], mix: Mix) -> int:
    """Check labels, languages and overlap before any step is spent; return the number of classes."""
    seen: list[set[int]] = []
    for number, samples in enumerate(stages):
        if not samples:
            raise DataError(f"stage {number} has no training problems; expected at least one")
        labels = {sample.label for sample in samples}
        if None in labels:
            raise DataError("got training problems without a label; expected a class index in each")
        seen.append({int(label) for label in labels if label is not None})
        _check_languages(samples, mix)
    if any(labels != seen[0] for labels in seen):
        raise DataError(f"got stages with the label sets {seen}; expected the same labels in each")
    unknown = {sample.label for sample in validation} - set(seen[0])
    if unknown:
        raise DataError(f"validation has the labels {unknown}, training {seen[0]}; expected the same label sets")
    shared = {sample.group for sample in validation} & {sample.group for stage in stages for sample in stage}
    if shared:
        raise DataError(
            f"{len(shared)} theories are in training and in validation, such as {next(iter(shared))!r}; split by theory"
        )
    count = max(seen[0]) + 1
    if len(seen[0]) != count or count < 2:
        raise DataError(
            f"got the labels {sorted(seen[0])}; expected class indices 0, 1, ... without a gap, at least two"
        )
    return count


def _check_languages(samples: Sequence[ParallelSample], mix: Mix) -> None:
    for sample in samples:
        missing = mix.languages() - set(sample.languages)
        if missing:
            raise DataError(
                f"the mix asks for {' '.join(sorted(missing))}, which sample {sample.key!r} does not have; it exists "
                f"in {' '.join(sample.languages)}"
            )


def _check_pairs(model: Any, streams: Sequence[Stream[Sample]]) -> None:
    """Raise before training where the mix holds a language pair that no Q_cross serves."""
    pairs = getattr(model.config, "pairs", None)
    if not pairs or model.config.fallback_pair is not None:
        return
    known = {frozenset(pair.split("-")) for pair in pairs}
    for stream in streams:
        for sample in stream.examples:
            if sample.is_code_switched and frozenset((sample.context_language, sample.question_language)) not in known:
                raise TrainingError(
                    f"the mix holds {sample.context_language}-{sample.question_language}, which has no Q_cross; the "
                    f"model has {', '.join(pairs)}. Pre-train that pair, name a fallback, or leave it out"
                )


def _stream(stage: Stage, number: int, mix: Mix, settings: TrainSettings, encoder: Encoder) -> Stream[Sample]:
    samples = [mix.assign(sample, settings.seed) for sample in stage.samples]
    long = encoder.too_long(samples)
    if long:
        raise DataError(
            f"{len(long)} of {len(samples)} training problems have more than {encoder.max_length} tokens, such as "
            f"{long[0].key!r}; raise max_length or leave them out"
        )
    return Stream(
        samples,
        batch_size=settings.batch_size,
        steps=stage.steps,
        seed=settings.seed * 1000 + number,
        length=encoder.length,
    )


class _Joined(torch.utils.data.Dataset[Any]):
    """Streams one after another."""

    def __init__(self, streams: Sequence[Stream[Any]], batch_size: int) -> None:
        self.streams, self.batch_size = streams, batch_size

    def __len__(self) -> int:
        return sum(len(stream) for stream in self.streams)

    def __getitem__(self, place: int) -> tuple[int, Any]:
        rest = place
        for stream in self.streams:
            if rest < len(stream):
                return place, stream[rest][1]
            rest -= len(stream)
        raise IndexError(place)


def _validator(validation: Sequence[ParallelSample], method: Method, encoder: Encoder, settings: TrainSettings) -> Any:
    pair = method.validation_pair.split("-")
    samples = sorted((sample.pair(*pair) for sample in validation), key=encoder.length)
    batches = [encoder.encode(samples[start : start + 64]) for start in range(0, len(samples), 64)]

    def validate(model: nn.Module) -> dict[str, float]:
        right, loss, device = 0, 0.0, next(model.parameters()).device
        for batch in batches:
            with computing(settings.bf16 and bfloat16_is_faster(device)):
                logits = model(**batch.to(device).model_inputs(method.is_cross_query)).logits.float().cpu()
            right += int((logits.argmax(-1) == batch.labels).sum())
            loss += float(nn.functional.cross_entropy(logits, batch.labels, reduction="sum"))
        # Accuracy decides; of equal ones the surer.
        return {
            "score": right / len(samples) - 1e-4 * loss / len(samples), "accuracy": right / len(samples),
            "loss": loss / len(samples),
        }  # fmt: skip

    return validate


def _fingerprint(
    before: str, options: Mapping[str, Any], settings: TrainSettings, streams: Sequence[Stream[Sample]]
) -> str:
    described = json.dumps([before, options, settings.identity, _data_hash(streams)], sort_keys=True, default=str)
    return hashlib.sha256(described.encode()).hexdigest()


def _data_hash(streams: Sequence[Stream[Sample]]) -> str:
    """Return the SHA-256 of every training problem in its language pair, stage by stage."""
    digest = hashlib.sha256()
    for stream in streams:
        digest.update(f"{len(stream)} {stream.seed}\n".encode())
        for sample in stream.examples:
            digest.update(
                f"{sample.key} {sample.context_language}-{sample.question_language} {sample.label}\n".encode()
            )
            digest.update("\n".join((*sample.context, sample.question or "")).encode())
    return digest.hexdigest()

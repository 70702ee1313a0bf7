"""The training loop: transformers' Trainer, with small, whole checkpoints and examples in a fixed order."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import Trainer, TrainerCallback, TrainingArguments

from xlprobe.checkpoints.tensor_files import plain_tensors
from xlprobe.encoders.attention_trained import TRAINED, register
from xlprobe.errors import TrainingError
from xlprobe.files import write_atomically
from xlprobe.measuring.processes import process_count, process_number
from xlprobe.memory import freed_memory_kept
from xlprobe.training.half_precision import bfloat16_is_faster, computing
from xlprobe.training.micro_batches import micro_batches
from xlprobe.training.settings import TrainSettings
from xlprobe.training.stream import Stream
from xlprobe.training.tuning import set_tensors, trained_tensors
from xlprobe.training.validation import WEIGHTS, Validate, Validation

__all__ = ["DeltaTrainer", "Diverged", "last_checkpoint", "train"]

FINGERPRINT = "run.json"


class Diverged(TrainingError):
    """A loss is no number."""


class DeltaTrainer(Trainer):
    """transformers' Trainer that keeps only what is trained, writes each checkpoint whole, and stops at NaN."""

    def __init__(self, *args: Any, settings: TrainSettings, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._settings = settings
        self._computing: AbstractContextManager[Any] = nullcontext()
        self._share = 1.0
        # The losses are means over equally large parts, so the parts' mean is the batch's.
        self.model_accepts_loss_kwargs = False

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """Return AdamW over the trained parameters; heads and biases may have learning rates of their own."""
        settings = self._settings
        rates = {"weights": None, "biases": settings.bias_learning_rate, "head": settings.head_learning_rate}
        groups: dict[str, list[nn.Parameter]] = {name: [] for name in rates}
        for name, parameter in (model or self.accelerator.unwrap_model(self.model)).named_parameters():
            if parameter.requires_grad:
                head = "classifier." in name or "pooler." in name
                groups["head" if head else "biases" if name.endswith(".bias") else "weights"].append(parameter)
        self.optimizer = torch.optim.AdamW(
            [
                {"params": group, "lr": settings.learning_rate if rates[name] is None else rates[name]}
                for name, group in groups.items()
                if group
            ],
            weight_decay=settings.weight_decay,
            fused=True,
        )
        self._computing = computing(self.half, self.optimizer)
        return self.optimizer

    @property
    def half(self) -> bool:
        """Whether this run computes in bfloat16: where settings ask for it and the device has it."""
        return self._settings.bf16 and bfloat16_is_faster(self.args.device)

    def compute_loss_context_manager(self) -> Any:
        """Return what forward passes run in: the weights' type, or half of it."""
        return self._computing

    def compute_loss(self, *args: Any, **kwargs: Any) -> Any:
        """Return the loss of a micro-batch, by its share of the labels."""
        loss: Any = super().compute_loss(*args, **kwargs)
        return loss * self._share

    def training_step(self, model: nn.Module, inputs: dict[str, Any], num_items_in_batch: Any = None) -> Tensor:
        """Run forward and backward passes of a batch; raises `TrainingError` where the loss is no number."""
        limit = self._settings.tokens_at_once if process_count() == 1 else None
        losses = []
        for some, self._share in micro_batches(inputs, limit):
            losses.append(super().training_step(model, some, num_items_in_batch))
        loss = torch.stack(losses).sum()
        if not bool(torch.isfinite(loss)):
            last = last_checkpoint(Path(str(self.args.output_dir)))
            kept = f"the last good checkpoint is {last}" if last else "no checkpoint had been written yet"
            raise Diverged(
                f"the loss is {float(loss)} after {self.state.global_step} steps; {kept}. Lower the learning rate "
                f"(now {self.args.learning_rate:g}), clip harder, or train in float32"
            )
        return loss

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        directory = Path(output_dir or str(self.args.output_dir))
        directory.mkdir(parents=True, exist_ok=True)
        model = self.accelerator.unwrap_model(self.model)
        save_file({name: tensor.contiguous() for name, tensor in trained_tensors(model).items()}, directory / WEIGHTS)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        file = Path(resume_from_checkpoint) / WEIGHTS
        try:
            tensors, _ = plain_tensors(file)
        except (OSError, SafetensorError) as error:
            raise TrainingError(f"cannot resume from {file}: {error}; remove that checkpoint's directory") from error
        set_tensors(model if model is not None else self.model, tensors, str(file))  # type: ignore[arg-type]

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        """Write a checkpoint under a hidden name, then rename it: a directory that has its name is whole."""
        root = Path(str(self.args.output_dir))
        staging, name = root / ".writing", f"checkpoint-{self.state.global_step}"
        if self.args.should_save:
            shutil.rmtree(staging, ignore_errors=True)
        self.accelerator.wait_for_everyone()
        self._get_output_dir = lambda trial: str(staging)  # type: ignore[method-assign]
        try:
            super()._save_checkpoint(model, trial)
        except (OSError, RuntimeError, SafetensorError) as error:
            shutil.rmtree(staging, ignore_errors=True)
            raise _cannot_save(root, error) from error
        self.accelerator.wait_for_everyone()
        if self.args.should_save:
            shutil.rmtree(root / name, ignore_errors=True)
            os.replace(staging / name, root / name)
            shutil.rmtree(staging, ignore_errors=True)
            for old in _checkpoints(root)[: -self._keep()]:
                shutil.rmtree(old, ignore_errors=True)
        self.accelerator.wait_for_everyone()

    def _keep(self) -> int:
        return max(1, self.args.save_total_limit or 1)


def _cannot_save(root: Path, error: Exception) -> TrainingError:
    last = last_checkpoint(root)
    full = (isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)) or "No space left" in str(error)
    reason = "the disk is full" if full else str(error).splitlines()[0]
    kept = f"the last good checkpoint is {last}" if last else "no checkpoint had been written before"
    return TrainingError(f"cannot write a checkpoint to {root}: {reason}; {kept}. Make room and run again: it resumes")


def _checkpoints(root: Path) -> list[Path]:
    numbered = [(re.fullmatch(r"checkpoint-(\d+)", path.name), path) for path in root.glob("checkpoint-*")]
    return [path for _, path in sorted((int(match[1]), path) for match, path in numbered if match)]


def last_checkpoint(root: Path) -> Path | None:
    """Return the newest whole checkpoint of a run's directory, if there is one."""
    return next(reversed(_checkpoints(root)), None)


def train(
    model: nn.Module,
    stream: Stream[Any],
    collate: Callable[[list[Any]], Mapping[str, Any]],
    settings: TrainSettings,
    out: Path,
    *,
    validate: Validate | None = None,
    callbacks: Sequence[TrainerCallback] = (),
    fingerprint: str = "",
) -> dict[str, Any]:
    """Train the parameters of a model that ask for a gradient, and return what the run was like.

    Resumes from the newest whole checkpoint in `out`. `validate` gives numbers with one called "score"; after the run
    the model has the weights of the best one (the last, without validation). `fingerprint` identifies model, data and
    settings: another one in `out` raises `TrainingError`, because the run there is a different one.
    """
    out.mkdir(parents=True, exist_ok=True)
    _check_run(out, fingerprint)
    if validate is not None and settings.validate_every:
        callbacks = [*callbacks, Validation(out, settings.validate_every, validate)]
    arguments = _arguments(settings, stream, out)
    with warnings.catch_warnings():
        # Frozen models have no gradient before their first trained parameter, and CPUs no pinned memory.
        warnings.filterwarnings("ignore", message=".*pin_memory.*")
        trainer = DeltaTrainer(
            model=model,
            args=arguments,
            train_dataset=stream,
            data_collator=collate,
            callbacks=list(callbacks),
            settings=settings,
        )
        last = last_checkpoint(out)
        with _attention_for_training(model, arguments.device.type), freed_memory_kept():
            result = trainer.train(resume_from_checkpoint=None if last is None else str(last))
    if validate is not None and settings.validate_every:
        set_tensors(model, plain_tensors(out / "best" / WEIGHTS)[0], str(out / "best" / WEIGHTS))
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    return {
        "steps": trainer.state.global_step,
        "seconds": round(float(result.metrics.get("train_runtime", 0.0)), 1),
        "computed_in": "bfloat16" if trainer.half else "float32",
        "loss": [round(float(loss), 5) for loss in losses],
    }


@contextmanager
def _attention_for_training(model: Any, device: str) -> Iterator[None]:
    """On a processor, give a model the attention whose backward pass is fast there."""
    before = model.config._attn_implementation
    if device == "cpu":
        register()
        model.set_attn_implementation(TRAINED)
    try:
        yield
    finally:
        model.set_attn_implementation(before)


def _check_run(out: Path, fingerprint: str) -> None:
    file = out / FINGERPRINT
    if file.is_file():
        known = json.loads(file.read_text())["fingerprint"]
        if known != fingerprint:
            raise TrainingError(
                f"{out} holds a run with other data, weights or settings; choose another directory, or remove it"
            )
    elif _checkpoints(out):
        raise TrainingError(f"{out} holds checkpoints of an unknown run; choose another directory")
    if process_number() == 0:
        write_atomically(file, json.dumps({"fingerprint": fingerprint}))


def _arguments(settings: TrainSettings, stream: Stream[Any], out: Path) -> TrainingArguments:
    processes = process_count()
    part = settings.batch_size // settings.accumulate
    if part % processes:
        raise TrainingError(
            f"got batches of {part} sequences for {processes} processes; expected a number that divides evenly"
        )
    total = len(stream) // settings.batch_size
    saves = settings.save_every > 0
    return TrainingArguments(
        output_dir=str(out),
        per_device_train_batch_size=part // processes,
        gradient_accumulation_steps=settings.accumulate,
        max_steps=total,
        learning_rate=settings.learning_rate,
        lr_scheduler_type="linear" if settings.schedule == "linear" else "constant_with_warmup",
        warmup_steps=round(settings.warmup * total),
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.clip,
        seed=settings.seed,
        use_cpu=settings.device == "cpu",
        train_sampling_strategy="sequential",
        remove_unused_columns=False,
        save_strategy="steps" if saves else "no",
        save_steps=settings.save_every if saves else 500,
        save_total_limit=settings.keep,
        logging_steps=settings.log_every,
        logging_nan_inf_filter=False,
        report_to=list(settings.report_to) or "none",
        disable_tqdm=not os.isatty(2),
        dataloader_pin_memory=False,
        ddp_find_unused_parameters=True,
    )

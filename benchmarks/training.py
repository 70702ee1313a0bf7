"""The training step: this trainer's against plain Hugging Face Trainer settings, and a Q_cross's cost in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from statistics import median
from typing import Any
from unittest.mock import patch

import torch

from benchmarks.encoders import plain
from benchmarks.timing import Row, Section, by_turns, ratios
from xlprobe.encoders import cross_attention
from xlprobe.encoders.attention import cross_query_attention
from xlprobe.encoders.attention_trained import TRAINED, register
from xlprobe.samples import RULETAKER, Encoder, generate
from xlprobe.training.classifier import FreshHead, make_classifier
from xlprobe.training.half_precision import bfloat16_is_faster, computing
from xlprobe.training.method import Method
from xlprobe.training.tuning import select

COST, GAIN = 1.35, 1.5
"""How much a Q_cross may cost in a step, and how much faster steps shall be than plain settings'."""


def problems_of(length: int, count: int, pair: tuple[str, str]) -> Any:
    """Return a batch of generated problems of RuleTaker's kind, the ones whose lengths are nearest to `length`."""
    encoder = Encoder(plain().tokenizer)
    made = generate(theories=40 * count, questions=1, languages=("en", "fr"), seed=0, **RULETAKER)
    samples = [problem.pair(*pair) for problem in made]
    return encoder.encode(sorted(samples, key=lambda sample: abs(encoder.length(sample) - length))[:count])


class Step:
    """One optimiser step on the same batch, as `xlprobe.training` or as transformers' Trainer with bf16 takes it."""

    def __init__(self, mechanism: str, batch: Any, *, fast: bool, tuning: str = "full", bf16: bool = True) -> None:
        self.model: Any = make_classifier(
            plain(),
            Method(mechanism=mechanism),
            FreshHead(dropout=0.0),  # type: ignore[arg-type]
        )
        register()
        self.model.set_attn_implementation(TRAINED if fast else "eager")
        self.model.train()
        select(self.model, tuning, ("embeddings",))
        self.parameters = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        self.optimizer = torch.optim.AdamW(self.parameters, lr=1e-5, fused=fast)
        self.inputs = {**batch.model_inputs(mechanism == "cross-query"), "labels": batch.labels}
        half = bf16 and bfloat16_is_faster("cpu")
        self.computing = computing(half, self.optimizer) if fast else torch.autocast("cpu", torch.bfloat16)
        self.fast = fast
        self.losses: list[float] = []

    def __call__(self) -> None:
        """Forward and backward pass, clipping, AdamW; keeps the loss."""
        self.optimizer.zero_grad()
        torch.manual_seed(len(self.losses))
        with self.computing, _attention(self.fast):
            loss = self.model(**self.inputs).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()
        self.losses.append(float(loss.detach()))


@contextmanager
def _attention(fast: bool) -> Iterator[None]:
    """Let cross-query models attend as in training, or by the plain explicit form."""
    if fast:
        yield
        return

    def explicit(q: Any, q_cross: Any, k: Any, v: Any, plan: Any, scale: float, dropout_p: float = 0.0) -> Any:
        m1, m2 = plan.masks
        return cross_query_attention(q, q_cross, k, v, m1, m2, scale, dropout_p)

    with patch.object(cross_attention, "attend", explicit):
        yield


def run(quick: bool = False) -> Section:
    """Measure steps of both kinds of model against plain settings, then against each other."""
    size, repeats = (16, 5) if quick else (32, 9)
    batch = problems_of(128, size, ("en", "fr"))
    tokens = int(batch.lengths.sum()) / size
    section = Section(
        "Training step",
        f"Bundled encoder, everything but the embeddings trained, {size} code-switched problems of RuleTaker's kind "
        f"({tokens:.0f} tokens on average), masks drawn with p_mask 0.7, no dropout. Samples a second, as times those "
        "of the same step under Hugging Face Trainer's settings: autocast to bfloat16, eager attention (fused is "
        "slower in bfloat16 on processors), AdamW, clipping. Steps by turns; this trainer computes in "
        f"{'bfloat16' if bfloat16_is_faster('cpu') else 'float32, which is the faster here'}.",
        extra={"tokens": tokens},
    )
    for mechanism in ("baseline", "cross-query"):
        section.rows += gain(mechanism, batch, repeats)
    section.rows += cost(batch, repeats)
    return section


def gain(mechanism: str, batch: Any, repeats: int) -> list[Row]:
    """Return how many times as many samples a second, and by how much the losses differ."""
    plain_step, fast_step = Step(mechanism, batch, fast=False), Step(mechanism, batch, fast=True)
    calls: dict[str, Callable[[], None]] = {"fast": fast_step, "plain": plain_step}
    times, found = by_turns(calls, repeats, at_least=0.0)["plain"]
    fast = median(time / ratio for time, ratio in zip(times, found, strict=True))
    rates = f"{len(batch) / fast:.1f} samples/s against {len(batch) / median(times):.1f}"
    apart = [abs(one - other) for one, other in zip(plain_step.losses, fast_step.losses, strict=True)]
    moved = [abs(one - other) for one, other in pairwise(plain_step.losses)]
    told = f"at most; a step moves them by up to {max(moved):.4f}"
    what = f"{mechanism}: samples a second"
    return [
        Row(what, median(found), "x", "plain settings", min(found), max(found), note=f"wanted: {GAIN} x; {rates}"),
        Row(f"{mechanism}: losses differ by", max(apart), "", "plain settings", note=told),
    ]


def cost(batch: Any, repeats: int) -> list[Row]:
    """Return what a Q_cross costs in a step, BitFit in float32 and everything in bfloat16."""
    rows = []
    for tuning, bf16 in (("bitfit", False), ("full", True)):
        steps = {
            name: Step(mechanism, batch, fast=True, tuning=tuning, bf16=bf16)
            for name, mechanism in (("plain encoder", "baseline"), ("cross-query", "cross-query"))
        }
        target = {"cross-query": COST} if tuning == "bitfit" else None
        prefix = f"{tuning}, {'bf16 if faster' if bf16 else 'fp32'}: time of "
        rows += ratios(steps, targets=target, prefix=prefix, repeats=repeats, at_least=0.0)
    return rows

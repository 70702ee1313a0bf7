"""Encoders and problems that the benchmarks share."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch

from xlprobe.checkpoints.checkpoint import Checkpoint
from xlprobe.checkpoints.loading import load
from xlprobe.encoders.convert import to_cross_query
from xlprobe.samples import RULETAKER, Encoder, ParallelSample, generate


@cache
def plain() -> Checkpoint:
    """The bundled encoder: 12 layers, 12 heads of 32, width 384."""
    return load("bundled:encoder")


@cache
def crossed() -> Checkpoint:
    """The bundled encoder with a Q_cross that differs from Q."""
    base = plain()
    model = to_cross_query(base.model)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "cross_lingual_quer" in name:
                parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.02)
    return Checkpoint("crossed", "crossed", model.eval(), base.tokenizer)


@cache
def problems(
    count: int, languages: tuple[str, ...] = ("en", "fr", "ar", "zh"), long: bool = False
) -> list[ParallelSample]:
    """Generated problems; two questions to a theory, which is of RuleTaker's size if `long`."""
    size: dict[str, Any] = RULETAKER if long else {}
    return list(generate(theories=-(-count // 2), questions=2, languages=languages, seed=0, **size))[:count]


def code_switched_batch(size: int, pair: tuple[str, str] = ("en", "fr")) -> Any:
    """A batch of generated problems in a pair of languages, with labels."""
    encoder = Encoder(plain().tokenizer)
    return encoder.encode([problem.pair(*pair) for problem in problems(size, ("en", "fr"))])

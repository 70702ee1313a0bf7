"""The training step of a cross-query classifier against the same encoder without Q_cross."""

from __future__ import annotations

from collections.abc import Callable

import torch

from benchmarks.encoders import code_switched_batch, plain
from benchmarks.timing import Section, ratios
from xlprobe.training.classifier import make_classifier
from xlprobe.training.tuning import select

TARGET = 1.35


def step_of(mechanism: str, tuning: str, dropout: float, batch: object, dtype: str = "fp32") -> Callable[[], float]:
    """Return one training step (forward, backward, AdamW) on the same batch, as a call."""
    model = make_classifier(plain(), mechanism, dropout=dropout)  # type: ignore[arg-type]
    model.set_attn_implementation("sdpa")
    model.train()
    select(model, tuning, ("embeddings",))
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-5)
    inputs = {**batch.model_inputs(mechanism == "cross-query"), "labels": batch.labels}  # type: ignore[attr-defined]

    def step() -> float:
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == "bf16"):
            loss = model(**inputs).loss
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return step


def run(quick: bool = False) -> Section:
    """Measure BitFit with and without dropout, and full tuning without the embeddings."""
    batch = code_switched_batch(8 if quick else 32)
    width = batch.input_ids.shape[1]
    section = Section(
        "Training step",
        f"Bundled encoder, {len(batch)} code-switched problems of up to {width} tokens, masks drawn with p_mask 0.7, "
        "fp32. The reference has no Q_cross and uses scaled_dot_product_attention on the same batch.",
        extra={"tokens": width},
    )
    kinds = (("bitfit", 0.1, TARGET), ("bitfit", 0.0, TARGET), ("full", 0.1, None))
    for tuning, dropout, target in kinds[:2] if quick else kinds:
        steps = {
            "plain encoder": step_of("baseline", tuning, dropout, batch),
            "cross-query": step_of("cross-query", tuning, dropout, batch),
        }
        section.rows += ratios(
            steps,
            targets={} if target is None else {"cross-query": target},
            prefix=f"{tuning}, dropout {dropout}: ",
            repeats=5 if quick else 7,
        )
    return section

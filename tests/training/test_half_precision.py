"""Half precision computes what full precision does, nearly; and never with weights of the step before."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from xlprobe.training import half_precision
from xlprobe.training.half_precision import bfloat16_is_faster, computing
from xlprobe.training.micro_batches import micro_batches


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.norm, self.last = nn.Linear(16, 32), nn.LayerNorm(32), nn.Linear(32, 3)
        self.types = []

    def forward(self, x, labels):
        hidden = self.norm(self.first(x))
        logits = self.last(nn.functional.gelu(hidden))
        self.types += [hidden.dtype, logits.dtype]
        return nn.functional.cross_entropy(logits, labels)


def _given():
    generator = torch.Generator().manual_seed(1)
    return torch.randn(40, 16, generator=generator), torch.randint(3, (40,), generator=generator)


def test_gradients_are_float32_and_near_those_of_full_precision():
    model, grads = Small(), []
    for half in (False, True):
        with computing(half):
            loss = model(*_given())
        loss.backward()
        grads.append([parameter.grad for parameter in model.parameters()])
        model.zero_grad()
    assert model.types == [torch.float32] * 2 + [torch.bfloat16] * 2
    assert loss.dtype == torch.float32
    for full, rounded in zip(*grads, strict=True):
        assert rounded.dtype == torch.float32
        assert float((full - rounded).norm() / full.norm()) < 0.02


@pytest.mark.parametrize("fused", [False, True])
def test_weights_are_rounded_anew_after_a_step(fused):
    model = Small()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, fused=fused)
    mode = computing(True, optimizer)
    losses = []
    for _ in range(3):
        optimizer.zero_grad()
        with mode:
            loss = model(*_given())
        loss.backward()
        with computing(True):
            assert model(*_given()).item() == loss.item()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] > losses[1] > losses[2]


def test_weights_that_were_read_from_a_file_are_rounded_anew():
    model, mode = Small(), computing(True)
    with mode:
        before = model(*_given()).item()
        with torch.no_grad():
            model.last.weight.copy_(torch.randn_like(model.last.weight))
        assert model(*_given()).item() != before


def test_a_batch_in_parts_has_the_gradient_of_the_whole(tiny):
    from xlprobe.samples import Encoder
    from xlprobe.training.classifier import FreshHead, make_classifier
    from xlprobe.training.collation import Classification

    encoder = Encoder(tiny.tokenizers["bert"]())
    samples = [problem.pair("en", "fr") for problem in tiny.problems(theories=5)][:9]
    for dropped in (0.0, 0.5):
        inputs = Classification(encoder, False, dropped)(list(enumerate(samples)))
        inputs["labels"][2] = inputs["labels"][3] = -100
        model, found = make_classifier(tiny.checkpoint(), head=FreshHead(dropout=0.0)).eval(), []
        for limit in (None, 3 * inputs["input_ids"].shape[1], 1):
            parts = list(micro_batches(inputs, limit))
            assert sum(share for _, share in parts) == pytest.approx(1)
            assert all(
                limit is None or part["input_ids"].numel() <= limit or len(part["labels"]) == 1 for part, _ in parts
            )
            model.zero_grad()
            for part, share in parts:
                (model(**part).loss * share).backward()
            found.append(model.bert.encoder.layer[0].intermediate.dense.weight.grad.clone())
        assert len(parts) == 7
        torch.testing.assert_close(found[0], found[1], atol=1e-6, rtol=1e-4)
        torch.testing.assert_close(found[0], found[2], atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("faster", [torch.float32, torch.bfloat16])
def test_a_processor_computes_in_the_type_that_it_multiplies_faster(monkeypatch, faster):
    now = [0.0]

    def mm(left, right):
        now[0] += 1.0 if left.dtype == faster else 1.8

    monkeypatch.setattr(torch, "mm", mm)
    monkeypatch.setattr(half_precision, "perf_counter", lambda: now[0])
    half_precision._faster_here.cache_clear()
    try:
        assert bfloat16_is_faster("cpu") is (faster == torch.bfloat16)
    finally:
        half_precision._faster_here.cache_clear()
    assert bfloat16_is_faster("cuda:0")

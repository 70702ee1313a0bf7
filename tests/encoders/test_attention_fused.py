from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from xlprobe.encoders.attention import cross_query_attention
from xlprobe.encoders.attention_fused import attend, joined, merged
from xlprobe.encoders.attention_trained import TRAINED, keeping_patterns, register
from xlprobe.encoders.plan import make_plan

EN, FR, ZH = 149, 180, 710


def plan_for(rows, p=1.0, by="token", training=True):
    width = max(map(len, rows))
    ids = torch.tensor([row + [0] * (width - len(row)) for row in rows])
    config = SimpleNamespace(
        q_p_mask=p, cross_p_mask=p, eval_q_p_mask=1.0, eval_cross_p_mask=1.0, language_by=by, pairs=None
    )
    return make_plan(config, ids, (ids > 0).long(), ids, training, torch.Generator().manual_seed(0))


TWO = [[EN] * 5 + [FR] * 4, [FR] * 3 + [EN] * 2, [EN] * 7, [EN, FR] * 4]
THREE = [*TWO, [EN, FR, ZH, ZH, EN]]


def tensors(plan, dtype=torch.float32, seed=0, d=8):
    generator = torch.Generator().manual_seed(seed)
    batch, length = plan.language_ids.shape
    # heads are a transposed view in the model, so here too
    shape = (batch, length, 3, d)
    return [torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype).transpose(1, 2) for _ in range(4)]


def compare(form, plan, dtype=torch.float32, output_tolerance=1e-5, gradient_tolerance=1e-5):
    given = [tensor.requires_grad_() for tensor in tensors(plan, dtype)]
    scale = given[0].shape[-1] ** -0.5
    expected = cross_query_attention(*given, *plan.masks, scale)
    got = form(*given, plan, scale)
    torch.testing.assert_close(got, expected, atol=output_tolerance, rtol=0)
    weights = torch.randn(got.shape, generator=torch.Generator().manual_seed(1)).to(dtype)
    want = torch.autograd.grad((expected * weights).sum(), given)
    have = torch.autograd.grad((got * weights).sum(), given)
    for one, other in zip(have, want, strict=True):
        torch.testing.assert_close(one, other, atol=gradient_tolerance, rtol=0)


@pytest.mark.parametrize("p", [1.0, 0.7])
@pytest.mark.parametrize("rows", [TWO, THREE], ids=["two", "three"])
def test_merged_equals_the_reference(rows, p):
    compare(merged, plan_for(rows, p))


def test_merged_in_double_precision():
    compare(merged, plan_for(THREE, 0.5), torch.float64, 1e-12, 1e-12)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_merged_in_short_formats(dtype):
    compare(merged, plan_for(TWO), dtype, 0.03, 0.12)


def test_joined_equals_the_reference():
    compare(joined, plan_for(TWO))


def test_rows_closed_in_both_terms_give_zeros_and_no_gradient():
    plan = plan_for([[EN, FR, FR], [0, 0, 0]])
    given = [tensor.requires_grad_() for tensor in tensors(plan)]
    output = merged(*given, plan, 0.3)
    assert (output[1] == 0).all()
    output.sum().backward()
    assert all(tensor.grad.isfinite().all() for tensor in given)
    assert (given[0].grad[1] == 0).all()


@pytest.mark.parametrize("dropout_p", [0.0, 0.2])
@pytest.mark.parametrize("p", [1.0, 0.7])
def test_attend_takes_a_form_that_fits(p, dropout_p):
    plan = plan_for(TWO, p)
    given = tensors(plan)
    output = attend(*given, plan, 0.35, dropout_p)
    if dropout_p == 0:
        torch.testing.assert_close(output, cross_query_attention(*given, *plan.masks, 0.35), atol=1e-5, rtol=0)
    else:
        torch.manual_seed(0)
        draws = torch.stack([attend(*given, plan, 0.35, dropout_p) for _ in range(100)])
        expected = cross_query_attention(*given, *plan.masks, 0.35)
        torch.testing.assert_close(draws.mean(0), expected, atol=0.4, rtol=0)


def test_masks_are_made_once_for_all_layers():
    plan = plan_for(TWO, 0.7)
    assert plan.masks is plan.masks
    assert plan.biases(torch.float32)[0] is plan.biases(torch.float32)[0]
    assert plan.biases(torch.float32)[0].shape == (4, 1, 9, 9)


@pytest.mark.parametrize("p", [1.0, 0.7])
@pytest.mark.parametrize("rows", [TWO, THREE], ids=["two", "three"])
def test_kept_patterns_equal_the_reference(rows, p):
    compare(keeping_patterns, plan_for(rows, p))
    compare(keeping_patterns, plan_for(rows, p), torch.float64, 1e-12, 1e-12)


def test_half_precision_with_gradients_keeps_its_patterns_unless_a_row_is_closed(monkeypatch):
    from xlprobe.encoders import attention_fused

    asked = []
    monkeypatch.setattr(attention_fused, "keeping_patterns", lambda *given: asked.append(given) or given[0])
    given = [tensor.requires_grad_() for tensor in tensors(plan_for(TWO), torch.bfloat16)]
    attend(*given, plan_for(TWO), 0.3)
    assert len(asked) == 1
    attend(*given, plan_for([[0] * 9, *TWO[:-1]]), 0.3)
    assert len(asked) == 1


@pytest.mark.parametrize("closed", ["padding", "pairs"])
def test_a_model_trains_alike_with_every_attention(tiny, closed):
    samples = [problem.pair("en", "fr") for problem in tiny.problems()]
    from xlprobe.samples import Encoder
    from xlprobe.training.classifier import FreshHead, make_classifier
    from xlprobe.training.collation import Classification

    encoder = Encoder(tiny.tokenizers["bert"]())
    collate = Classification(encoder, False, structured_dropout=0.6 if closed == "pairs" else 0.0)
    inputs = collate(list(enumerate(samples)))
    assert (encoder.encode(samples).attention_mask == 0).any()
    register()
    found = []
    for name in ("sdpa", TRAINED):
        model = make_classifier(tiny.checkpoint(), head=FreshHead(dropout=0.0))
        model.set_attn_implementation(name)
        loss = model.train()(**inputs).loss
        loss.backward()
        found.append((loss, model.bert.encoder.layer[0].attention.self.key.weight.grad))
    torch.testing.assert_close(found[0], found[1], atol=1e-6, rtol=1e-5)

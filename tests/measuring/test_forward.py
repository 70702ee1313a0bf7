"""Captured attention is the model's, and does not depend on how the data are cut into batches."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch

from xlprobe import capture
from xlprobe.errors import CaptureError
from xlprobe.measuring import AttentionCapture
from xlprobe.samples.encoding import Encoder, batches

CASES = [("bert", False), ("xlm-roberta", False), ("bert", True), ("xlm-roberta", True)]


@dataclass
class Keep:
    """Keeps the unpadded patterns and hidden states by sample and layer."""

    needs: frozenset[str] = frozenset({"pattern", "queries", "values", "hidden"})
    found: dict[Any, Any] = field(default_factory=dict)

    def update(self, capture):
        kind = "pattern" if isinstance(capture, AttentionCapture) else "hidden"
        for row, key in enumerate(capture.batch.keys):
            length = int(capture.batch.lengths[row])
            if kind == "pattern":
                value = capture.pattern[row, :, :length, :length]
                assert not capture.output_weight.requires_grad
                assert capture.values.shape[:2] == capture.pattern.shape[:1] + capture.pattern.shape[-1:]
                if capture.mono is not None:
                    torch.testing.assert_close(capture.mono + capture.cross, capture.pattern)
            else:
                value = capture.hidden[row, :length]
            self.found[kind, key, capture.layer] = value.clone()

    def result(self):
        return self.found


def samples_of(tiny):
    return [problem.pair("en", "zh" if number % 2 else "en") for number, problem in enumerate(tiny.problems(5))]


@pytest.mark.parametrize(("family", "cross_query"), CASES)
def test_padding_splitting_and_order_change_nothing(tiny, tiny_checkpoints, family, cross_query):
    checkpoint = tiny_checkpoints(family, cross_query=cross_query)
    samples = samples_of(tiny)
    encoder = Encoder(checkpoint.tokenizer)
    alone, together, backwards = (
        capture(checkpoint, batches(order, encoder, size, bucket=False), [Keep()])[0]
        for order, size in ((samples, 1), (samples, len(samples)), (samples[::-1], 3))
    )
    assert alone.keys() == together.keys() == backwards.keys()
    assert len(alone) == len(samples) * (2 + 3)
    for key, value in alone.items():
        torch.testing.assert_close(together[key], value, atol=1e-5, rtol=0)
        torch.testing.assert_close(backwards[key], value, atol=1e-5, rtol=0)


@pytest.mark.parametrize("family", ["bert", "xlm-roberta"])
@pytest.mark.parametrize("head", ["Model", "ForSequenceClassification", "ForMaskedLM"])
def test_captured_attention_is_hugging_face_s_eager_attention(tiny, tiny_checkpoints, family, head):
    checkpoint = tiny_checkpoints(family, head)
    samples = samples_of(tiny)
    given = list(batches(samples, checkpoint.tokenizer, 4))
    found = capture(checkpoint, given, [Keep()])[0]
    checkpoint.model.set_attn_implementation("eager")
    try:
        for batch in given:
            with torch.no_grad():
                output = checkpoint.model(**batch.model_inputs(), output_attentions=True, output_hidden_states=True)
            for row, key in enumerate(batch.keys):
                length = int(batch.lengths[row])
                for layer, pattern in enumerate(output.attentions):
                    expected = pattern[row, :, :length, :length]
                    torch.testing.assert_close(found["pattern", key, layer], expected, atol=1e-6, rtol=0)
                for layer, hidden in enumerate(output.hidden_states):
                    torch.testing.assert_close(found["hidden", key, layer], hidden[row, :length], atol=1e-5, rtol=0)
    finally:
        checkpoint.model.set_attn_implementation("sdpa")


def test_captured_attention_of_the_bundled_encoder_is_the_eager_one(tiny, bundled_encoder):
    samples = samples_of(tiny)
    (batch,) = batches(samples, bundled_encoder.tokenizer, 16)
    found = capture(bundled_encoder, [batch], [Keep()])[0]
    model = bundled_encoder.model
    model.set_attn_implementation("eager")
    try:
        with torch.no_grad():
            attentions = model(**batch.model_inputs(), output_attentions=True).attentions
    finally:
        model.set_attn_implementation("sdpa")
    for row, key in enumerate(batch.keys):
        length = int(batch.lengths[row])
        for layer, pattern in enumerate(attentions):
            expected = pattern[row, :, :length, :length]
            # float32 through twelve layers, whose products may be another library's
            torch.testing.assert_close(found["pattern", key, layer], expected, atol=5e-6, rtol=0)


@dataclass
class Raise(Keep):
    """Fails on the first capture."""

    def update(self, capture):
        raise RuntimeError("stop")


def test_hooks_and_mode_are_restored_after_an_exception(tiny, tiny_checkpoints):
    checkpoint = tiny_checkpoints("bert")
    batch = next(batches(samples_of(tiny), checkpoint.tokenizer, 4))
    with torch.no_grad():
        before = checkpoint.model(**batch.model_inputs()).last_hidden_state
    checkpoint.model.train()
    with pytest.raises(RuntimeError, match="stop"):
        capture(checkpoint, [batch], [Raise()])
    assert checkpoint.model.training
    checkpoint.model.eval()
    with torch.no_grad():
        torch.testing.assert_close(checkpoint.model(**batch.model_inputs()).last_hidden_state, before, atol=0, rtol=0)
    counts = [len(module._forward_hooks) for module in checkpoint.model.encoder.layer]
    assert counts == [0, 0]


def test_what_a_checkpoint_does_not_have_is_an_error(tiny, tiny_checkpoints):
    checkpoint = tiny_checkpoints("bert")
    with pytest.raises(CaptureError, match="logits need a classification head"):
        capture(checkpoint, [], [Keep(frozenset({"logits"}))])
    with pytest.raises(CaptureError, match="has layers 0 to 1"):
        capture(checkpoint, [], [Keep()], layers=[5])
    with pytest.raises(CaptureError, match="expected some of"):
        capture(checkpoint, [], [Keep(frozenset({"gradients"}))])


def test_layers_without_a_q_cross_leave_all_the_work_to_q(tiny):
    from xlprobe import measure

    checkpoint = tiny.checkpoint("bert", "ForSequenceClassification", cross_query=True)
    config = type(checkpoint.model.config).from_dict({**checkpoint.model.config.to_dict(), "cross_layers": [1]})
    partly = dataclasses.replace(checkpoint, model=type(checkpoint.model)(config).eval())
    metrics = ["share_cross", "share_mono", "js_stability"]
    frame = measure(partly, tiny.problems(2, 2), pairs="en-fr", metrics=metrics, show_progress=False).to_frame()
    shares = frame[
        (frame.condition == "observed") & (frame.context_language.astype(str) != frame.question_language.astype(str))
    ]
    by_layer = shares[shares.metric == "share_cross"].groupby("layer").value
    assert by_layer.max()[0] == 0
    assert by_layer.max()[1] > 0
    assert (shares[(shares.metric == "share_mono") & (shares.layer == 0)].value.dropna() > 0.99).all()

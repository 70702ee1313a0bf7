"""Models in DataParallel and DistributedDataParallel: looked into and fed as the model within."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from xlprobe import measure
from xlprobe.checkpoints.checkpoint import Checkpoint
from xlprobe.encoders import hook_points, observe
from xlprobe.errors import CaptureError
from xlprobe.interventions import KnockOut

WRAPPERS = ("DataParallel", "DistributedDataParallel")


@pytest.fixture
def wrap(tmp_path):
    """Wrap a model as training over several devices does; one process stands for the others."""
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path / 'store'}", rank=0, world_size=1)
    yield lambda name, model: getattr(nn.parallel, name)(model)
    torch.distributed.destroy_process_group()


@pytest.mark.parametrize("wrapper", WRAPPERS)
@pytest.mark.parametrize("head", ["Model", "ForSequenceClassification", "ForMaskedLM"])
@pytest.mark.parametrize("crossed", [False, True])
def test_a_wrapped_model_is_fed_and_looked_into(wrap, tiny, wrapper, head, crossed):
    checkpoint = tiny.checkpoint("xlm-roberta" if crossed else "bert", head, cross_query=crossed)
    batch = checkpoint.encoder().encode([problem.pair("en", "fr") for problem in tiny.problems(3, 1)])
    inputs, model = batch.model_inputs(crossed), checkpoint.model
    wrapped, seen = wrap(wrapper, model), {}
    with torch.no_grad():
        plain = model(**inputs)[0]
        with observe(wrapped, {"blocks.1.attn.hook_pattern": lambda t, hook: seen.update(wrapped=t)}):
            assert torch.allclose(wrapped(**inputs)[0], plain, atol=1e-5)
        with observe(model, {"blocks.1.attn.hook_pattern": lambda t, hook: seen.update(plain=t)}):
            model(**inputs)
        assert torch.equal(seen["wrapped"], seen["plain"])
        with observe(wrapped, {"blocks.0.attn.hook_pattern": lambda t, hook: t.flip(-1)}):
            assert not torch.allclose(wrapped(**inputs)[0], plain)
        with KnockOut(wrapped, "question", "context", heads=[0]).on(batch):
            assert not torch.equal(wrapped(**inputs)[0], plain)
    assert hook_points(wrapped) == hook_points(model)


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_a_checkpoint_of_a_wrapped_model_is_measured_as_the_model_within(wrap, tiny, wrapper):
    plain = tiny.checkpoint("bert", "ForSequenceClassification", cross_query=True)
    wrapped = Checkpoint(plain.name, plain.spec, wrap(wrapper, plain.model), plain.tokenizer)
    options = {"pairs": "en-fr", "metrics": ["js_stability", "cross_lingual_mass", "correct"], "show_progress": False}
    found = [measure(one, tiny.problems(3, 2), **options).to_frame() for one in (plain, wrapped)]
    assert len(found[0]) > 0
    assert found[0].equals(found[1])
    assert wrapped.is_cross_query


def test_gradients_of_distributed_training_reach_both_queries(wrap, tiny):
    checkpoint = tiny.checkpoint("bert", "ForSequenceClassification", cross_query=True)
    model = nn.parallel.DistributedDataParallel(checkpoint.model, find_unused_parameters=True)
    problems = tiny.problems(3, 1)
    for pair in (("en", "fr"), ("en", "en"), ("en", "fr")):  # a batch of one language leaves Q_cross alone
        batch = checkpoint.encoder().encode([problem.pair(*pair) for problem in problems])
        model(**batch.model_inputs(True), labels=batch.labels).loss.backward()
    layer = checkpoint.model.bert.encoder.layer[0].attention.self
    assert layer.query.weight.grad.abs().sum() > 0
    assert layer.cross_lingual_query.weight.grad.abs().sum() > 0


def test_the_copies_that_dataparallel_runs_on_several_devices_are_refused_while_somebody_looks(tiny):
    checkpoint = tiny.checkpoint("bert", "Model")
    batch = checkpoint.encoder().encode([tiny.problems(1, 1)[0].pair("en", "fr")])
    model = checkpoint.model
    with observe(model, {}):
        copy = model._replicate_for_data_parallel()
        for name, module in model.named_children():  # what torch.nn.parallel.replicate does, on this device
            setattr(copy, name, module)
        copy(**batch.model_inputs())
    with (
        observe(model, {"blocks.0.attn.hook_pattern": lambda t, hook: None}),
        pytest.raises(CaptureError, match=r"DataParallel runs copies .* Run model\.module"),
    ):
        copy(**batch.model_inputs())

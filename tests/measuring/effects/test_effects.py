"""Effects of interventions on tiny checkpoints."""

import numpy as np
import pytest
import torch
from torch import nn

from xlprobe import effects
from xlprobe.errors import DataError
from xlprobe.interventions import HeadImportance, KnockOut
from xlprobe.measuring.effects.batch_run import BatchRun, Run
from xlprobe.metrics import METRICS
from xlprobe.statistics import difference_in_differences, summarise

OF_MODELS = ("knock_out_effect", "head_importance", "ablation_effect", "patching_recovery", "correct", "gold_margin")


@pytest.fixture(scope="module")
def problems(tiny):
    return tiny.problems(theories=3, questions=2)


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "cross-query"])
def checkpoint(tiny, request):
    return tiny.checkpoint("bert", "ForSequenceClassification", cross_query=request.param)


@pytest.fixture(scope="module")
def all_effects(checkpoint, problems):
    options = {"pairs": "en-fr"}
    return {
        "knock_out_effect": effects.knock_out(checkpoint, problems, window=1, **options),
        "head_importance": effects.head_importance(checkpoint, problems[:2], **options),
        "ablation_effect": effects.head_ablation(checkpoint, problems, **options),
        "patching_recovery": effects.patching_recovery(checkpoint, problems, by="head", **options),
        "correct": effects.outcomes(checkpoint, problems, **options),
        "gold_margin": effects.outcomes(checkpoint, problems, **options),
    }


@pytest.mark.parametrize("name", OF_MODELS)
def test_effects_keep_to_their_registered_range(all_effects, name):
    metric = METRICS[name]
    frame = all_effects[name].select(metric=name).to_frame()
    values = frame["value"].dropna()
    assert len(values)
    assert ((values >= metric.low) & (values <= metric.high)).all()
    assert frame["group"].notna().all()
    assert metric.kind in ("intervention", "logits")
    assert callable(metric.function)
    assert callable(metric.documented)


def test_gold_margin():
    logits = torch.tensor([[1.0, 3.0, 2.0], [1.0, 3.0, 2.0], [0.0, 0.0, 0.0]])
    assert effects.gold_margin(logits, torch.tensor([1, 0, 2]))[:2].tolist() == [1.0, -2.0]
    assert torch.isnan(effects.gold_margin(logits, torch.tensor([-100, 0, 0]))).tolist() == [True, False, False]


def test_knock_out_rows(all_effects, problems):
    frame = all_effects["knock_out_effect"].to_frame()
    assert len(frame) == 6 * 2 * 4 * 2 * 3
    assert set(frame["condition"]) == {"observed", "control", "net"}
    assert set(frame["layer"]) == {0, 1}
    wide = frame.pivot_table(
        index=["sample", "question_language", "block", "layer"], columns="condition", values="value", observed=True
    )
    assert np.allclose(wide["net"], wide["observed"] - wide["control"], atol=1e-6)
    assert set(frame.loc[frame["question_language"] == "fr", "reference"]) == {"en-en"}
    assert frame.loc[frame["question_language"] == "en", "reference"].isna().all()


def test_knock_out_by_hand(checkpoint, problems):
    table = effects.knock_out(checkpoint, problems[:1], pairs="en-fr", edges=["cls->context"], control=False)
    one = BatchRun(Run(checkpoint, problems[:1], [("en", "fr")], "en"), problems[:1], ("en", "fr"))
    clean = one.margins()
    with KnockOut(checkpoint.model, "cls", "context").on(one.batch):
        cut = one.margins()
    value = table.select(question_language="fr").to_frame()["value"].item()
    assert value == pytest.approx((cut - clean).item(), abs=1e-6)
    assert value != 0


def test_windows_cover_the_layers_around_each(checkpoint, problems):
    narrow = effects.knock_out(checkpoint, problems, pairs="en-fr", edges=["cls->context"], control=False, window=4)
    everything = effects.knock_out(checkpoint, problems, pairs="en-fr", edges=["cls->context"], control=False)
    middle = narrow.select(layer=0).to_frame().set_index(["sample", "question_language"])["value"].sort_index()
    whole = everything.to_frame().set_index(["sample", "question_language"])["value"].sort_index()
    assert np.allclose(middle, whole)


def test_closed_relays_are_a_block_of_their_own(checkpoint, problems):
    table = effects.knock_out(
        checkpoint, problems[:2], pairs="en-fr", edges=["question->context"], relays=["open", "closed"], control=False
    )
    values = table.to_frame().groupby("block", observed=True)["value"].mean()
    assert list(values.index) == ["question->context", "question->context, relays closed"]
    assert values.iloc[0] != values.iloc[1]


def test_the_reference_can_be_taken_off(all_effects):
    frame = all_effects["knock_out_effect"].to_frame()
    net = frame[frame["condition"] == "net"]
    answer = difference_in_differences(net, "knock_out_effect", by=("layer",), draws=99)
    assert len(answer) == 8
    assert answer["n"].eq(6).all()
    assert answer["n_groups"].eq(3).all()


def test_importance_is_the_gradient_of_the_loss(checkpoint, problems):
    frame = effects.head_importance(checkpoint, problems[:2], pairs="en-fr").to_frame()
    batch = Run(checkpoint, problems[:2], [("en", "fr")], "en").batch(problems[:2], ("en", "fr"))
    importance = HeadImportance(checkpoint.model)
    importance.update(batch)
    mean = frame[frame["question_language"] == "fr"].pivot_table(index="layer", columns="head", values="value")
    assert np.allclose(mean.to_numpy(), importance.result().numpy(), rtol=1e-3, atol=1e-6)


def test_importance_known_answer():
    """L = (2 xi - 1)^2 has |dL/dxi| = 4 at xi = 1."""
    xi = torch.ones((), requires_grad=True)
    (gradient,) = torch.autograd.grad((2 * xi - 1) ** 2, xi)
    assert gradient.abs().item() == 4


def test_ablating_a_head_that_does_nothing_has_no_effect(tiny, problems):
    checkpoint = tiny.checkpoint("bert", "ForSequenceClassification", seed=7)
    with torch.no_grad():
        weight = checkpoint.model.bert.encoder.layer[1].attention.output.dense.weight
        weight[:, 8:16] = 0  # the second of four heads of eight
    frame = effects.head_ablation(checkpoint, problems, pairs="en-fr").to_frame()
    size = frame.groupby(["layer", "head"])["value"].apply(lambda values: values.abs().max())
    assert size[1, 1] == 0
    assert size[1, 0] > 0
    assert size[0, 1] > 0


def test_mean_ablation_is_another_condition(checkpoint, problems):
    table = effects.head_ablation(checkpoint, problems, pairs="en-fr", kind="mean", heads=[(0, 1), (1, 2)])
    frame = table.to_frame()
    assert set(frame["condition"]) == {"mean"}
    assert set(zip(frame["layer"], frame["head"], strict=True)) == {
        (0, 1),
        (1, 2),
    }


def test_patching_recovers_all_where_nothing_else_differs(tiny, problems):
    """With one layer [CLS] learns of the question through its heads alone: patch them all and the runs are one."""
    checkpoint = tiny.checkpoint("bert", "ForSequenceClassification")
    checkpoint.model.bert.encoder.layer = checkpoint.model.bert.encoder.layer[:1]
    checkpoint.model.config.num_hidden_layers = 1
    frame = effects.patching_recovery(checkpoint, problems, pairs="en-fr", least_gap=1e-4)
    frame = frame.select(metric="patching_recovery").to_frame()
    assert np.allclose(frame["value"].dropna(), 1, atol=1e-3)
    assert frame["value"].notna().sum() >= 4
    heads = effects.patching_recovery(checkpoint, problems, pairs="en-fr", least_gap=1e-4, by="head")
    single = heads.select(metric="patching_recovery").to_frame()
    assert not np.allclose(single["value"].dropna(), 1, atol=1e-3)


def test_recovery_is_the_ratio_of_gain_and_gap(checkpoint, problems):
    frame = effects.patching_recovery(checkpoint, problems, pairs="en-fr", least_gap=0.0).to_frame()
    wide = frame.pivot_table(index="sample", columns=["metric", "layer"], values="value", observed=True, dropna=False)
    gap = frame[frame["metric"] == "patching_gap"].set_index("sample")["value"]
    for layer in (0, 1):
        ratio = wide["patching_gain", layer] / gap.reindex(wide.index)
        assert np.allclose(ratio, wide["patching_recovery", layer], rtol=1e-4, equal_nan=True)


def test_nothing_to_recover_is_nan_with_a_reason(checkpoint, problems):
    table = effects.patching_recovery(checkpoint, problems, pairs="en-fr", least_gap=1e9)
    frame = table.select(metric="patching_recovery").to_frame()
    assert frame["value"].isna().all()
    assert frame["reason"].str.contains("differ by less").all()


def test_batch_size_changes_nothing(checkpoint, problems):
    options = {"pairs": "en-fr", "edges": ["question->context"], "window": 1}
    tables = [effects.knock_out(checkpoint, problems, batch_size=size, **options) for size in (1, 6)]
    keys = ["sample", "question_language", "block", "layer", "condition"]
    first, second = (
        table.to_frame().astype(dict.fromkeys(keys, str)).set_index(keys)["value"].sort_index() for table in tables
    )
    assert np.allclose(first, second, atol=1e-5)


def test_without_a_head_there_is_a_reason(tiny, problems):
    bare = tiny.checkpoint("bert", "Model")
    for function in (effects.knock_out, effects.head_importance, effects.head_ablation, effects.outcomes):
        frame = function(bare, problems, pairs="en-fr").to_frame()
        assert frame["value"].isna().all()
        assert frame["reason"].tolist() == ["no classification head"]


def test_without_a_label_there_is_a_reason(checkpoint, problems):
    from dataclasses import replace

    blank = [replace(problem, label=None) for problem in problems[:2]]
    for function in (effects.knock_out, effects.head_importance, effects.outcomes):
        frame = function(checkpoint, blank, pairs="en-fr").to_frame()
        assert frame["value"].isna().all()
        assert set(frame["reason"]) == {"no label"}


def test_outcomes_agree_with_the_model(checkpoint, problems):
    frame = effects.outcomes(checkpoint, problems, pairs="en-fr, fr-en").to_frame()
    wide = frame.astype({"metric": str}).pivot_table(
        index=["sample", "context_language", "question_language"], columns="metric", values="value", observed=True
    )
    assert len(wide) == 18
    assert ((wide["gold_margin"] > 0) == (wide["correct"] == 1)).all()
    assert len(summarise(frame, ["context_language", "question_language"], draws=99)) == 6


def test_weights_and_gradients_are_left_alone(tiny, problems):
    checkpoint = tiny.checkpoint("bert", "ForSequenceClassification", seed=3)
    before = checkpoint.hash
    effects.head_importance(checkpoint, problems[:1], pairs="en-fr")
    effects.patching_recovery(checkpoint, problems[:1], pairs="en-fr")
    assert all(parameter.grad is None for parameter in checkpoint.model.parameters())
    assert isinstance(checkpoint.model, nn.Module)
    assert type(checkpoint)(**_fields(checkpoint)).hash == before


def _fields(checkpoint):
    return {name: getattr(checkpoint, name) for name in ("name", "spec", "model", "tokenizer")}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda c, p: effects.knock_out(c, p, edges=["a->b"]), "edges \\['a->b'\\]"),
        (lambda c, p: effects.knock_out(c, p, relays=["half"]), "relays=\\['half'\\]"),
        (lambda c, p: effects.knock_out(c, p, pairs="en-fr", window=0), "window=0"),
        (lambda c, p: effects.knock_out(c, []), "no samples"),
        (lambda c, p: effects.patching_recovery(c, p, pairs="fr-en"), "context is in 'en'"),
        (lambda c, p: effects.patching_recovery(c, p, pairs="en-en"), "no code-switched pair"),
        (lambda c, p: effects.outcomes(c, p, batch_size=0), "batch_size=0"),
    ],
)
def test_bad_input_is_named(checkpoint, problems, call, message):
    with pytest.raises(DataError, match=message):
        call(checkpoint, problems)

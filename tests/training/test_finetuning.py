"""Fine-tuning a tiny model: it learns, repeats itself, and refuses what makes no sense."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from xlprobe.errors import CheckpointError, DataError, TrainingError
from xlprobe.samples import ParallelSample
from xlprobe.training import Method, Stage, evaluate, finetune


def weights(checkpoint):
    return {name: tensor.clone() for name, tensor in checkpoint.model.state_dict().items()}


@pytest.mark.parametrize("family", ["bert", "xlm-roberta"])
@pytest.mark.parametrize("mechanism", ["baseline", "cross-query"])
def test_learns_and_repeats_itself(tiny, settings, tmp_path, family, mechanism):
    base = tiny.checkpoint(family)
    before = base.hash
    problems = tiny.problems(theories=6)
    method = Method(mechanism, "full", {"en-en": 1.0, "en-fr": 1.0})
    given = settings(steps=30, learning_rate=3e-3, batch_size=6, head_learning_rate=1e-2)
    first = finetune(base, problems, method, out=tmp_path / "a", settings=given)
    again = finetune(base, problems, method, out=tmp_path / "b", settings=given)
    other = finetune(base, problems, method, out=tmp_path / "c", settings=replace(given, seed=1))
    assert first.hash == again.hash != other.hash
    losses = first.provenance["run"]["loss"]
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])
    assert first.is_cross_query == (mechanism == "cross-query")
    assert tiny.checkpoint(family).hash == before == base.hash


def test_bitfit_changes_biases_only_and_both_start_alike(tiny, settings, tmp_path):
    base, problems = tiny.checkpoint(), tiny.problems()
    made = {
        mechanism: weights(finetune(base, problems, Method(mechanism), out=tmp_path / mechanism, settings=settings()))
        for mechanism in ("baseline", "cross-query")
    }
    start = base.model.state_dict()
    for name, tensor in made["baseline"].items():
        if name.startswith("bert.") and "pooler" not in name:
            same = torch.equal(tensor, start[name.removeprefix("bert.")])
            assert (
                same == (not name.endswith("bias") or "embeddings" in name or "key.bias" in name) or "key.bias" in name
            )
    # Trained on English alone Q_cross is never used: the two models end the same.
    for name, tensor in made["baseline"].items():
        torch.testing.assert_close(tensor, made["cross-query"][name])


def test_a_cross_query_checkpoint_learns_on_with_its_own_q_cross(tiny, settings, tmp_path):
    base = tiny.checkpoint(cross_query=True)
    with torch.no_grad():
        for name, parameter in base.model.named_parameters():
            if "cross_lingual_quer" in name:
                parameter.add_(0.1)
    before = {name: tensor for name, tensor in weights(base).items() if "cross_lingual_quer" in name}
    method = Method("cross-query", p_mask=0.3, cross_p_mask=0.4)
    found = finetune(base, tiny.problems(), method, out=tmp_path, settings=settings())
    assert (found.model.config.q_p_mask, found.model.config.cross_p_mask) == (0.3, 0.4)
    after = weights(found)
    for name, tensor in before.items():
        if name.endswith("weight"):
            assert torch.equal(after["bert." + name[name.index("encoder.") :]], tensor)


def test_stages_follow_each_other(tiny, settings, tmp_path):
    problems = tiny.problems(theories=6)
    stages = [Stage(problems[:6], 2), Stage(problems[6:], 3)]
    checkpoint = finetune(tiny.checkpoint(), stages, out=tmp_path, settings=settings(steps=5))
    assert checkpoint.provenance["run"]["steps"] == 5


def test_best_weights_are_kept(tiny, settings, tmp_path):
    problems = tiny.problems(theories=8)
    checkpoint = finetune(
        tiny.checkpoint(), problems[:8], Method(tuning="full"), out=tmp_path, validation=problems[8:],
        settings=settings(steps=6, validate_every=2, learning_rate=0.05),
    )  # fmt: skip
    import json

    history = json.loads((tmp_path / "history.json").read_text())
    assert [entry["step"] for entry in history] == [2, 4, 6]
    right = evaluate(checkpoint, problems[8:], pairs="en-en").select(metric="correct").to_frame()["value"].mean()
    assert right == pytest.approx(max(history, key=lambda entry: entry["score"])["accuracy"])


def test_pretrained_query_is_used_and_frozen(tiny, settings, tmp_path):
    base = tiny.checkpoint()
    query = {
        f"bert.encoder.layer.{layer}.attention.self.cross_lingual_query.{part}": torch.randn(*shape)
        for layer in (0, 1)
        for part, shape in (("weight", (32, 32)), ("bias", (32,)))
    }
    made = finetune(
        base,
        tiny.problems(),
        Method("cross-query", mix={"en-fr": 1.0}),
        out=tmp_path,
        settings=settings(),
        query=query,
    )
    state = made.model.state_dict()
    for name, tensor in query.items():
        assert torch.equal(state[name], tensor) == name.endswith("weight")
    crossed = Method("cross-query")
    with pytest.raises(CheckpointError, match="width"):
        narrow = {name: tensor[:8] for name, tensor in query.items()}
        finetune(base, tiny.problems(), crossed, out=tmp_path / "x", settings=settings(), query=narrow)
    with pytest.raises(CheckpointError, match="missing or left over"):
        fewer = dict(list(query.items())[:2])
        finetune(base, tiny.problems(), crossed, out=tmp_path / "y", settings=settings(), query=fewer)
    with pytest.raises(TrainingError, match="baseline"):
        finetune(base, tiny.problems(), out=tmp_path / "z", settings=settings(), query=query)


def test_xlmr_starts_from_the_lm_head(tiny):
    from xlprobe.training.classifier import make_classifier

    base = tiny.checkpoint("xlm-roberta", "ForMaskedLM")
    model = make_classifier(base)
    assert torch.equal(model.classifier.dense.weight, base.model.lm_head.dense.weight)
    assert not torch.equal(
        model.classifier.dense.weight, make_classifier(tiny.checkpoint("xlm-roberta")).classifier.dense.weight
    )


def test_structured_dropout_closes_pairs_of_two_languages(tiny):
    from xlprobe.samples import Encoder
    from xlprobe.training.collation import Classification

    sample = tiny.problems()[0].pair("en", "fr")
    encoder = Encoder(tiny.tokenizers["bert"]())
    collate = Classification(encoder, False, structured_dropout=0.6, seed=1)
    opened = collate([(0, sample)])["attention_mask"][0, 0]
    batch = encoder.encode([sample])
    same = batch.language_ids[0][:, None] == batch.language_ids[0][None]
    same[0] = same[:, 0] = True
    assert opened[same].all()
    assert 0 < opened[~same].float().mean() < 0.8
    assert torch.equal(collate([(0, sample)])["attention_mask"][0, 0], opened)
    assert not torch.equal(collate([(1, sample)])["attention_mask"][0, 0], opened)


def _with(problem: ParallelSample, **changes) -> ParallelSample:
    return replace(problem, **changes)


def test_bad_input_is_refused_before_any_step(tiny, settings, tmp_path):
    base, problems = tiny.checkpoint(), tiny.problems()

    def refused(error, message, train=problems, validation=(), **options):
        with pytest.raises(error, match=message):
            method = Method(**options)
            finetune(base, train, method, out=tmp_path / "bad", settings=settings(), validation=validation)
        assert not list((tmp_path / "bad").glob("*")) if (tmp_path / "bad").exists() else True

    refused(DataError, "no training problems", [])
    refused(DataError, "label", [_with(problem, label=None) for problem in problems])
    refused(DataError, "at least two", [_with(problem, label=0) for problem in problems])
    refused(DataError, "without a gap", [_with(problem, label=2 * (problem.label or 0)) for problem in problems])
    refused(DataError, "label sets", validation=[_with(p, label=5, group="v") for p in problems])
    refused(DataError, "theories", validation=problems)
    refused(DataError, "'de'|de", mix={"en-de": 1.0})
    refused(TrainingError, "no Q_cross", mechanism="cross-query", pairs=("en-zh",), mix={"en-fr": 1.0})
    refused(TrainingError, "mechanism", mechanism="magic")
    refused(TrainingError, "for baselines", mechanism="cross-query", structured_dropout=0.5)
    refused(TrainingError, "probability", p_mask=1.5)
    with pytest.raises(DataError, match="more than 3 tokens"):
        finetune(base, problems, out=tmp_path / "bad", settings=settings(max_length=3))
    with pytest.raises(TrainingError, match="already has"):
        finetune(tiny.checkpoint(cross_query=True), problems, out=tmp_path / "bad", settings=settings())
    with pytest.raises(TrainingError, match="already has"):
        finetune(
            tiny.checkpoint(cross_query=True), problems, Method("cross-query"), out=tmp_path / "bad",
            settings=settings(), query={},
        )  # fmt: skip


@pytest.mark.parametrize(
    "options",
    [
        {"steps": None}, {"epochs": 1.0}, {"steps": 0}, {"batch_size": 0}, {"warmup": 1.0}, {"schedule": "cosine"},
        {"batch_size": 4, "accumulate": 3}, {"learning_rate": 0.0},
    ],
)  # fmt: skip
def test_bad_settings(settings, options):
    with pytest.raises(TrainingError, match="got"):
        settings(**options)


def test_accumulated_parts_are_one_batch(tiny, settings, tmp_path):
    losses = [
        finetune(
            tiny.checkpoint(),
            tiny.problems(),
            Method(tuning="full"),
            out=tmp_path / str(count),
            settings=settings(accumulate=count),
        ).provenance["run"]["loss"]
        for count in (1, 2)
    ]
    assert losses[0] == pytest.approx(losses[1], abs=1e-4)

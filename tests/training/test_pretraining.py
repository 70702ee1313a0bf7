"""Q_cross learns from code-switched text and nothing else changes."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from xlprobe.errors import DataError, TrainingError
from xlprobe.samples import Encoder, Sample
from xlprobe.training import pretrain_cross_query, train_lm_head
from xlprobe.training.code_switched import CodeSwitched
from xlprobe.training.collation import MaskedTokens
from xlprobe.training.pretraining import vocabulary_of
from xlprobe.training.vocabulary import Vocabulary


def texts(tiny, count=8):
    """Parallel texts: each problem's context, in every language."""
    return [replace(p, question={code: p.context[code][0] for code in p.languages}) for p in tiny.problems(count)]


def test_orders(tiny):
    corpus = texts(tiny, 20)
    for order, expected in (("en-x", {"en-fr", "en-zh"}), ("x-en", {"fr-en", "zh-en"})):
        pairs = CodeSwitched(corpus, ["en-fr", "en-zh"], order)
        assert len(pairs) == 2 * len(corpus)
        assert {f"{s.context_language}-{s.question_language}" for s in pairs} == expected
    mixed = CodeSwitched(corpus, ["en-fr"], "x-x", seed=1)
    first = [sample.context_language for sample in mixed]
    assert 0.25 < first.count("en") / len(first) < 0.75
    assert list(mixed) == list(CodeSwitched(corpus, ["en-fr"], "x-x", seed=1))


def test_bad_corpora(tiny):
    corpus = texts(tiny)
    one = [replace(t, context={"en": t.context["en"]}, question={"en": t.question["en"]}) for t in corpus]
    for given, pairs, message in (
        ([], ["en-fr"], "empty corpus"), (corpus, [], "no language pairs"), (corpus, ["en-de"], "'de'"),
        (one, ["en-fr"], "at least two"), (corpus, ["en-en"], "two different"), (corpus, ["en"], "two different"),
    ):  # fmt: skip
        with pytest.raises(DataError, match=message):
            CodeSwitched(given, pairs)
    with pytest.raises(DataError, match="order"):
        CodeSwitched(corpus, ["en-fr"], "fr-x")


def test_masking_shares_and_determinism(tiny):
    problems = tiny.problems(40)
    encoder = Encoder(tiny.tokenizers["bert"]())
    whole = Vocabulary.whole(len(encoder.tokenizer))
    collate = MaskedTokens(encoder, True, encoder.tokenizer.mask_token_id, whole, seed=1)
    items = [(place, problem.pair("en", "fr")) for place, problem in enumerate(problems * 20)]
    batch = encoder.encode([sample for _, sample in items])
    made = collate(items)
    chosen = made["labels"] != -100
    assert not (chosen & batch.special_mask).any()
    assert chosen.any(dim=1).all()
    assert torch.equal(made["labels"][chosen], batch.input_ids[chosen])
    share = chosen.sum() / (~batch.special_mask).sum()
    assert 0.13 < share < 0.22
    masked = (made["input_ids"][chosen] == collate.mask_id).float().mean()
    kept = (made["input_ids"][chosen] == batch.input_ids[chosen]).float().mean()
    assert 0.74 < masked < 0.86
    assert 0.06 < kept < 0.18
    assert torch.equal(made["input_ids"][~chosen], batch.input_ids[~chosen])
    later = collate([(place + 1, sample) for place, sample in items])
    assert torch.equal(collate(items)["labels"], made["labels"])
    assert not torch.equal(later["labels"], made["labels"])


@pytest.mark.parametrize("family", ["bert", "xlm-roberta"])
@pytest.mark.parametrize("specific", [False, True])
def test_everything_but_q_cross_is_bit_identical(tiny, settings, tmp_path, family, specific):
    base = tiny.checkpoint(family, "ForMaskedLM")
    before = {name: tensor.clone() for name, tensor in base.model.state_dict().items()}
    tensors, report = pretrain_cross_query(
        base,
        texts(tiny),
        out=tmp_path,
        settings=settings(steps=60, batch_size=8),
        pairs=["en-fr", "en-zh"],
        specific=specific,
    )
    assert len(tensors) == 2 * 2 * (2 if specific else 1)
    assert all("cross_lingual_quer" in name for name in tensors)
    for name, tensor in base.model.state_dict().items():
        assert torch.equal(tensor, before[name])
    query = before[f"{base.model.base_model_prefix}.encoder.layer.0.attention.self.query.weight"]
    assert all(not torch.equal(t, query) for n, t in tensors.items() if "layer.0" in n and n.endswith("weight"))
    losses = report["run"]["loss"]
    assert sum(losses[-15:]) < sum(losses[:15])


def test_an_lm_head_is_trained_on_a_frozen_encoder(tiny, settings, tmp_path):
    base = tiny.checkpoint("bert")
    corpus = [problem.pair("en", "en") for problem in tiny.problems(8)]
    made = train_lm_head(base, corpus, out=tmp_path, settings=settings(steps=40, batch_size=8))
    assert made.head == "mlm"
    for name, tensor in base.model.state_dict().items():
        if "pooler" not in name:
            assert torch.equal(made.model.state_dict()[f"bert.{name}"], tensor), name
    assert made.model.get_output_embeddings().weight is made.model.get_input_embeddings().weight
    losses = made.provenance["run"]["loss"]
    assert sum(losses[-5:]) < sum(losses[:5])
    pretrain_cross_query(made, texts(tiny), out=tmp_path / "q", settings=settings(), pairs=["en-fr"])


def test_text_that_switches_inside_a_sentence(tiny, settings, tmp_path):
    text = "Anne is grand."
    sample = Sample("k", "k", "tagged", "en", "en", (text,), None, word_languages=((0, 7, "en"), (8, 14, "fr")))
    tensors, _ = pretrain_cross_query(
        tiny.checkpoint("bert", "ForMaskedLM"), [sample] * 4, out=tmp_path, settings=settings(), pairs=["en-fr"]
    )
    assert tensors


def test_trimming_changes_no_result_but_the_vocabulary(tiny):
    problems = [problem.pair("en", "fr") for problem in tiny.problems()]
    encoder = Encoder(tiny.tokenizers["bert"]())
    vocabulary = vocabulary_of(problems, encoder, len(encoder.tokenizer))
    ids = encoder.encode(problems).input_ids
    assert torch.equal(torch.tensor(vocabulary.kept)[vocabulary.encode(ids)], ids)
    assert encoder.tokenizer.mask_token_id in vocabulary.kept


def test_a_head_is_needed(tiny, settings, tmp_path):
    with pytest.raises(TrainingError, match="train_lm_head"):
        pretrain_cross_query(tiny.checkpoint(), texts(tiny), out=tmp_path, settings=settings(), pairs=["en-fr"])
    with pytest.raises(TrainingError, match="no bare encoder"):
        corpus = [tiny.problems()[0].pair("en", "en")]
        train_lm_head(tiny.checkpoint("bert", "ForMaskedLM"), corpus, out=tmp_path, settings=settings())

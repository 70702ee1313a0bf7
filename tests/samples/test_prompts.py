"""Prompts of causal models: the same roles as encoders' tokens have, and the tokens that answer."""

from __future__ import annotations

import pytest
import torch
from decoders import byte_tokenizer

from xlprobe.errors import DataError
from xlprobe.languages import language_id
from xlprobe.samples.prompts import PromptEncoder


@pytest.fixture(scope="module")
def tokenizer():
    return byte_tokenizer()


def texts_of(batch, tokenizer, chosen):
    return tokenizer.decode(batch.input_ids[0][chosen])


def test_tokens_have_the_roles_that_encoders_give_them(tiny, tokenizer):
    problem = tiny.problems(2, 1, ("en", "fr"))[1]
    batch = PromptEncoder(tokenizer, answering=True).encode([problem.pair("en", "fr")])
    units, segments = batch.unit_ids[0], batch.segment_ids[0]
    for number, sentence in enumerate(problem.context["en"]):
        assert texts_of(batch, tokenizer, units == number).strip() == sentence
    assert texts_of(batch, tokenizer, units == len(problem.context["en"])).strip() == problem.question["fr"]
    assert batch.input_ids[0, 0] == tokenizer.bos_token_id
    template = texts_of(batch, tokenizer, (units < 0) & (torch.arange(len(units)) > 0))
    assert template.split() == ["Question", ":", "Faux", "/", "Vrai?", "Réponse", ":"]
    assert torch.equal(batch.special_mask[0], units < 0)
    assert set(batch.language_ids[0][segments == 0].tolist()) == {language_id("en")}
    assert set(batch.language_ids[0][segments == 1].tolist()) == {language_id("fr")}
    whole = tokenizer.decode(batch.input_ids[0][1:])
    context, question = " ".join(problem.context["en"]), problem.question["fr"]
    assert whole == f"{context}\n\nQuestion : {question} Faux / Vrai?\nRéponse :"


def test_the_context_has_the_same_tokens_whatever_the_question(tiny, tokenizer):
    problem = tiny.problems(2, 1, ("en", "fr", "zh"))[1]
    batch = PromptEncoder(tokenizer, answering=True).encode([problem.pair("en", code) for code in ("en", "fr", "zh")])
    context = (batch.segment_ids == 0).sum(dim=1)
    assert len(set(context.tolist())) == 1
    length = int(context[0])
    assert torch.equal(batch.input_ids[0, :length], batch.input_ids[1, :length])
    assert torch.equal(batch.input_ids[0, :length], batch.input_ids[2, :length])


def test_answers_are_told_apart_by_their_first_differing_tokens(tiny, tokenizer):
    sample = tiny.problems(1, 1, ("en", "fr"))[0].pair("en", "fr")
    asked = {"answering": True, "template": "{context}\n{question}\n:"}
    plain = PromptEncoder(tokenizer, answers=["no", "yes"], **asked)
    shared = PromptEncoder(tokenizer, answers={"*": ["it is not", "it is"], "fr": ["kind no", "kind yes"]}, **asked)
    one, other = plain.encode([sample]), shared.encode([sample])
    first = [tokenizer.decode([token]) for token in one.answer_ids[0]]
    assert [word.strip()[:1] for word in first] == ["n", "y"]
    assert other.lengths[0] > one.lengths[0], "what both answers begin with is part of the prompt"
    assert tokenizer.decode(other.input_ids[0]).strip().endswith(": kind")
    assert other.answer_ids.shape == (1, 2)
    assert shared.length(sample) == int(other.lengths[0])


def test_labels_with_names_get_words_of_the_questions_language(tiny, tokenizer):
    from dataclasses import replace

    names = ("entailment", "neutral", "contradiction")
    sample = replace(tiny.problems(1, 1, ("en", "fr"))[0].pair("en", "fr"), label=2, label_names=names)
    encoder = PromptEncoder(tokenizer, answering=True, template="{context}\n{question}\n{choices}:")
    batch = encoder.encode([sample])
    assert tokenizer.decode(batch.input_ids[0]).endswith("\nVrai / Aucun / Faux:")
    assert batch.answer_ids.shape == (1, 3)
    assert batch.labels.tolist() == [2]


def test_without_a_token_for_it_the_first_of_the_text_is_the_sink(tiny):
    bare = byte_tokenizer(begins=False)
    sample = tiny.problems(1, 1, ("en", "fr"))[0].pair("en", "fr")
    assert PromptEncoder(bare).encode([sample]).input_ids[0, 0] == bare.bos_token_id
    bare.bos_token = bare.eos_token = None
    batch = PromptEncoder(bare).encode([sample])
    assert bool(batch.special_mask[0, 0])
    assert bare.decode(batch.input_ids[0]).startswith(sample.context[0])


@pytest.mark.parametrize("template", ["{context}", "{question} {context}", "{context} {question} {question}", 7])
def test_a_template_that_is_none_is_refused(tokenizer, template):
    with pytest.raises(DataError, match="got the template"):
        PromptEncoder(tokenizer, template=template)


def test_what_cannot_be_asked_is_said(tiny, tokenizer):
    sample = tiny.problems(1, 1, ("en", "fr"))[0].pair("en", "fr")
    with pytest.raises(DataError, match="no first token by which all of them differ"):
        PromptEncoder(tokenizer, answering=True, answers=["yes", "yes"]).encode([sample])
    with pytest.raises(DataError, match="for 2 labels"):
        PromptEncoder(tokenizer, answering=True, answers=["a", "b", "c"]).encode([sample])
    with pytest.raises(DataError, match="or '\\*' for all other languages"):
        PromptEncoder(tokenizer, template={"en": "{context}\n{question}"}).encode([sample])
    with pytest.raises(DataError, match="has .* tokens; expected at most 5"):
        PromptEncoder(tokenizer, max_length=5).encode([sample])
    with pytest.raises(DataError, match="no character offsets; expected a fast one"):
        PromptEncoder(_Slow())


class _Slow:
    is_fast = False

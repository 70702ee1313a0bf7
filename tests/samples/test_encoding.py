from __future__ import annotations

import pytest
import torch

from xlprobe.errors import DataError
from xlprobe.languages import joined, language_id
from xlprobe.samples import Sample
from xlprobe.samples.encoding import Encoder, batches, encode

FAMILIES = ("bert", "xlm-roberta")


@pytest.mark.parametrize("family", FAMILIES)
def test_ids_are_those_of_the_tokenizer_for_a_pair_of_texts(tiny, family):
    tokenizer = tiny.tokenizers[family]()
    for problem in tiny.problems():
        for first, second in (("fr", "zh"), ("zh", "fr")):
            sample = problem.pair(first, second)
            batch = encode([sample], tokenizer)
            assert batch.input_ids[0].tolist() == tokenizer(joined(sample.context, first), sample.question)["input_ids"]


@pytest.mark.parametrize(("family", "between"), [("bert", 1), ("xlm-roberta", 2)])
def test_segments_languages_units_and_special_tokens(tiny, family, between):
    sample = Sample("k", "g", "d", "en", "fr", ("Anne is kind.", "Bob is big."), "Anne est grand.", 1)
    batch = encode([sample], tiny.tokenizers[family]())
    en, fr = language_id("en"), language_id("fr")
    more = between - 1
    assert batch.segment_ids[0].tolist() == [0] * 10 + [1] * (more + 5)
    assert batch.language_ids[0].tolist() == [en] * 10 + [fr] * (more + 5)
    assert batch.unit_ids[0].tolist() == [-1, 0, 0, 0, 0, 1, 1, 1, 1, -1] + [-1] * more + [2, 2, 2, 2, -1]
    special = [True] + [False] * 8 + [True] * between + [False] * 4 + [True]
    assert batch.special_mask[0].tolist() == special
    assert batch.token_type_ids.sum() == 0
    assert batch.labels.tolist() == [1]


@pytest.mark.parametrize("family", FAMILIES)
def test_the_method_layout_has_one_separator_for_every_tokenizer(tiny, family):
    tokenizer = tiny.tokenizers[family]()
    sample = tiny.problems()[0].pair("en", "fr")
    batch = encode([sample], tokenizer, layout="method")
    separators = batch.input_ids[0] == tokenizer.sep_token_id
    assert separators.sum() == 2
    inner = int(separators.nonzero()[0])
    assert batch.segment_ids[0, inner] == 0
    assert batch.segment_ids[0, inner + 1] == 1
    assert batch.unit_ids[0, inner + 1] == len(sample.context)


def test_token_types_can_number_the_segments_as_bert_does(tiny):
    tokenizer = tiny.tokenizers["bert"]()
    sample = tiny.problems()[0].pair("en", "fr")
    batch = encode([sample], tokenizer, token_types="segments")
    text = " ".join(sample.context)
    expected = tokenizer(text, sample.question, return_token_type_ids=True)["token_type_ids"]
    assert batch.token_type_ids[0].tolist() == expected


@pytest.mark.parametrize("family", FAMILIES)
def test_token_types_can_be_the_tokenizers_own(tiny, family):
    tokenizer = tiny.tokenizers[family]()
    sample = tiny.problems()[0].pair("en", "fr")
    own = tokenizer(" ".join(sample.context), sample.question).get("token_type_ids")
    batch = encode([sample], tokenizer, token_types="tokenizer")
    assert batch.token_type_ids[0].tolist() == (own or [0] * len(batch.input_ids[0]))


def test_chinese_sentences_follow_each_other_as_in_their_text(bundled_encoder):
    tokenizer = bundled_encoder.tokenizer
    for units, text in (
        (("猫很大。", "鲍勃很善良。", "安妮也是。"), "猫很大。鲍勃很善良。安妮也是。"),
        (("猫很大。 ", "鲍勃很善良。"), "猫很大。 鲍勃很善良。"),  # a blank that the text has
    ):
        batch = encode([Sample("k", "g", "d", "zh", "zh", units, None)], tokenizer)
        assert batch.input_ids[0].tolist() == tokenizer(text)["input_ids"]
        for number, unit in enumerate(units):
            ids = batch.input_ids[0][batch.unit_ids[0] == number].tolist()
            assert tokenizer.decode(ids).strip() == unit.strip()


def test_a_piece_of_two_sentences_belongs_to_the_one_of_its_last_character():
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    pieces = ["<s>", "</s>", "<unk>", "猫", "大", "。狗", "小", "。"]
    made = Tokenizer(models.Unigram([(piece, -float(len(pieces) - n)) for n, piece in enumerate(pieces)], unk_id=2))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    special = [("<s>", 0), ("</s>", 1)]
    made.post_processor = processors.TemplateProcessing("<s> $A </s>", "<s> $A </s> $B </s>", special_tokens=special)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=made, unk_token="<unk>", cls_token="<s>", sep_token="</s>")
    batch = encode([Sample("k", "g", "d", "zh", "zh", ("猫大。", "狗小。"), None)], tokenizer)
    assert tokenizer.convert_ids_to_tokens(batch.input_ids[0]) == ["<s>", "猫", "大", "。狗", "小", "。", "</s>"]
    assert batch.unit_ids[0].tolist() == [-1, 0, 0, 1, 1, 1, -1]


def test_half_a_surrogate_pair_is_an_error(tiny):
    with pytest.raises(DataError, match="half of a surrogate pair at character 5"):
        encode([Sample("k", "g", "d", "en", "en", ("Anne \ud800 is kind.",), None)], tiny.tokenizers["bert"]())


def test_padding_has_no_language_segment_or_unit(tiny):
    samples = [problem.pair("en", "zh") for problem in tiny.problems()]
    batch = encode(samples, tiny.tokenizers["xlm-roberta"]())
    padding = batch.attention_mask == 0
    assert padding.any()
    assert (batch.language_ids[padding] == 0).all()
    assert (batch.segment_ids[padding] == -1).all()
    assert (batch.unit_ids[padding] == -1).all()
    assert batch.special_mask[padding].all()
    assert torch.equal(batch.lengths, (~padding).sum(1))


def test_no_token_spans_two_units_in_any_of_the_eight_languages(bundled_encoder):
    sentences = {
        "en": ("The cat is big.", "Bob is kind."),
        "fr": ("Le chat est grand.", "Bob est gentil."),
        "ru": ("Кошка большая.", "Боб добрый."),
        "ar": ("القطة كبيرة.", "بوب لطيف."),
        "fa": ("گربه بزرگ است.", "باب مهربان است."),
        "zh": ("猫很大。", "鲍勃很善良。"),
    }
    tokenizer = bundled_encoder.tokenizer
    for code, units in sentences.items():
        batch = encode([Sample("k", "g", "d", code, code, units, units[0])], tokenizer)
        for number, unit in enumerate((*units, units[0])):
            ids = batch.input_ids[0][batch.unit_ids[0] == number].tolist()
            alone = tokenizer(unit, add_special_tokens=False)["input_ids"]
            # Where no blank stands between sentences, the piece of the blank goes with it.
            assert ids == (alone[1:] if code == "zh" and number == 1 else alone), code


def test_word_languages_are_given_to_tokens(tiny):
    text = "Anne is kind est grand."
    spans = ((0, 12, "en"), (13, 23, "fr"))
    sample = Sample("k", "g", "d", "en", "en", (text,), None, word_languages=spans)
    batch = encode([sample], tiny.tokenizers["bert"]())
    en, fr = language_id("en"), language_id("fr")
    assert batch.language_ids[0].tolist() == [en, en, en, en, fr, fr, fr, en]
    assert sample.is_code_switched


def test_a_prefix_belongs_to_no_unit_and_is_not_special(tiny):
    sample = tiny.problems()[0].pair("en", "en")
    plain, prefixed = (encode([sample], tiny.tokenizers["bert"](), prefix=prefix) for prefix in ("", "is is "))
    assert prefixed.unit_ids[0, 1:3].tolist() == [-1, -1]
    assert not prefixed.special_mask[0, 1:3].any()
    assert torch.equal(plain.input_ids[0, 1:], prefixed.input_ids[0, 3:])


def test_a_sample_over_the_limit_is_refused_or_counted(tiny, capsys):
    tokenizer = tiny.tokenizers["bert"]()
    samples = [problem.pair("en", "en") for problem in tiny.problems()]
    longest = max(Encoder(tokenizer).length(sample) for sample in samples)
    with pytest.raises(DataError, match=f"has {longest} tokens; expected at most {longest - 1}"):
        list(batches(samples, tokenizer, max_length=longest - 1))
    kept = [key for batch in batches(samples, tokenizer, max_length=longest - 1, too_long="skip") for key in batch.keys]
    lost = [sample.key for sample in samples if Encoder(tokenizer).length(sample) == longest]
    assert sorted(kept + lost) == sorted(sample.key for sample in samples)
    assert f"left out {len(lost)} of {len(samples)} samples" in capsys.readouterr().err


def test_batches_hold_every_sample_once_whatever_the_order(tiny):
    samples = [problem.pair("en", "zh") for problem in tiny.problems(6)]
    for bucket in (True, False):
        keys = [key for batch in batches(samples, tiny.tokenizers["bert"](), 5, bucket=bucket) for key in batch.keys]
        assert sorted(keys) == sorted(sample.key for sample in samples)
        assert bucket or keys == [sample.key for sample in samples]


@pytest.mark.parametrize("units", [("",), ("Anne is kind.", "  ")])
def test_an_empty_text_is_an_error(tiny, units):
    with pytest.raises(DataError, match="is empty"):
        encode([Sample("k", "g", "d", "en", "en", units, "Anne is big.")], tiny.tokenizers["bert"]())


def test_an_unknown_language_is_an_error(tiny):
    with pytest.raises(DataError, match="got the language 'x1'"):
        encode([Sample("k", "g", "d", "x1", "en", ("Anne is kind.",), "Anne is big.")], tiny.tokenizers["bert"]())

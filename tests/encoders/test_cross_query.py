from __future__ import annotations

import copy
import logging

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from xlprobe.encoders import is_cross_query, language_masks, to_cross_query
from xlprobe.encoders.hooks import hook_points, observe
from xlprobe.errors import CaptureError, CheckpointError, DataError

FAMILIES = ("bert", "xlm-roberta")
HEADS = ("Model", "ForSequenceClassification", "ForMaskedLM")
EN, FR = 149, 180


def first(output):
    return output[0]


@pytest.fixture(params=FAMILIES)
def family(request):
    return request.param


@pytest.fixture
def classifier(tiny, family, plain_directories):
    return (
        tiny.cross_class(family, "ForSequenceClassification")
        .from_pretrained(plain_directories[family, "ForSequenceClassification"])
        .eval()
    )


def perturbed(model):
    """Give Q_cross weights of its own."""
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "cross_lingual" in name:
                parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return model


@pytest.mark.parametrize("head", HEADS)
def test_fresh_model_equals_its_baseline_in_language_only(tiny, family, head, plain_directories, inputs, caplog):
    path = plain_directories[family, head]
    baseline = tiny.plain_class(family, head).from_pretrained(path).eval()
    with caplog.at_level(logging.WARNING, logger="xlprobe"):
        fresh = tiny.cross_class(family, head).from_pretrained(path).eval()
    assert "start as a copy of Q" in caplog.text
    in_language = {key: value[2:] for key, value in inputs.items()}
    with torch.no_grad():
        plain = first(baseline(**tiny.without_languages(inputs)))
        mixed = first(fresh(**inputs))
        alone = first(fresh(**in_language))
    kept = inputs["attention_mask"].bool()
    if plain.dim() == 3:
        plain, mixed, alone = plain * kept[..., None], mixed * kept[..., None], alone * kept[2:, :, None]
    torch.testing.assert_close(alone, plain[2:], atol=1e-6, rtol=0)
    with torch.no_grad():  # other kernels run in a mixed batch: in double precision only the computation is compared
        expected = first(baseline.double()(**tiny.without_languages(inputs)))
        got = first(fresh.double()(**inputs))
    if got.dim() == 3:
        expected, got = expected * kept[..., None], got * kept[..., None]
    torch.testing.assert_close(got[2:], expected[2:], atol=1e-6, rtol=0)
    assert (mixed[:2] - plain[:2]).abs().max() > 1e-5


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize(
    "options", [{}, {"pairs": ["en-fr", "zh-en"], "fallback_pair": "en-zh"}, {"cross_layers": [1]}]
)
def test_saving_and_loading_keeps_every_bit(tiny, family, head, options, tmp_path, plain_directories, caplog):
    from transformers import AutoConfig, AutoModel, AutoModelForMaskedLM, AutoModelForSequenceClassification

    cls = tiny.cross_class(family, head)
    model = perturbed(cls.from_pretrained(plain_directories[family, head], q_p_mask=0.7, **options))
    model.save_pretrained(tmp_path)
    caplog.clear()
    auto = {"Model": AutoModel, "ForMaskedLM": AutoModelForMaskedLM}.get(head, AutoModelForSequenceClassification)
    again = auto.from_pretrained(tmp_path)
    assert type(again) is cls
    assert "copy of Q" not in caplog.text
    assert again.state_dict().keys() == model.state_dict().keys()
    assert all(torch.equal(again.state_dict()[key], value) for key, value in model.state_dict().items())
    config = AutoConfig.from_pretrained(tmp_path)
    assert config.q_p_mask == 0.7
    assert config.pairs == options.get("pairs")
    assert is_cross_query(again)


def test_pattern_is_the_two_terms_and_edits_act(classifier, inputs):
    model = perturbed(classifier)
    seen = {}

    def look(tensor, hook):
        seen[hook.name.rsplit(".", 1)[1]] = tensor

    names = [name for name in hook_points(model) if name.startswith("blocks.1.")]
    with torch.no_grad():
        fused = model(**inputs).logits
        with observe(model, dict.fromkeys(names, look)):
            explicit = model(**inputs).logits
    torch.testing.assert_close(explicit, fused, atol=1e-5, rtol=0)
    same = inputs["language_ids"][:, :, None] == inputs["language_ids"][:, None, :]
    valid = inputs["attention_mask"].bool()[:, None, :]
    s1 = torch.einsum("bqhd,bkhd->bhqk", seen["hook_q"], seen["hook_k"]) / 4
    s2 = torch.einsum("bqhd,bkhd->bhqk", seen["hook_q_cross"], seen["hook_k"]) / 4
    same[:, 0], same[:, :, 0] = True, True
    different = ~(inputs["language_ids"][:, :, None] == inputs["language_ids"][:, None, :])
    different[:, 0], different[:, :, 0] = True, True
    e1 = (s1.exp() * (same & valid)[:, None])[:2]
    e2 = (s2.exp() * (different & valid)[:, None])[:2]
    total = (e1 + e2).sum(-1, keepdim=True)
    rows = inputs["attention_mask"][:2, None, :, None]
    torch.testing.assert_close(seen["hook_pattern_mono"][:2] * rows, e1 / total * rows, atol=1e-6, rtol=1e-4)
    torch.testing.assert_close(seen["hook_pattern_cross"][:2] * rows, e2 / total * rows, atol=1e-6, rtol=1e-4)
    torch.testing.assert_close(seen["hook_pattern"], seen["hook_pattern_mono"] + seen["hook_pattern_cross"])
    assert (seen["hook_pattern_cross"][2:] == 0).all()
    for name in ("hook_q_cross", "hook_attn_scores_cross", "hook_pattern_cross", "hook_pattern_mono", "hook_pattern"):
        with torch.no_grad(), observe(model, {f"blocks.0.attn.{name}": lambda tensor, hook: tensor * 0.5}):
            moved = (model(**inputs).logits - fused).abs().amax(dim=1)
        assert moved[0] > 1e-5, name


def test_in_language_batches_never_touch_q_cross(classifier, inputs):
    in_language = {key: value[2:] for key, value in inputs.items()}
    classifier(**in_language).logits.sum().backward()
    crossed = [p.grad for n, p in classifier.named_parameters() if "cross_lingual" in n]
    assert crossed
    assert all(grad is None for grad in crossed)
    with torch.no_grad():
        for name, parameter in classifier.named_parameters():
            if "cross_lingual" in name:
                parameter.fill_(torch.nan)
        assert classifier(**in_language).logits.isfinite().all()


def test_order_of_samples_and_padding_change_nothing(classifier, inputs):
    model = perturbed(classifier)
    order = torch.tensor([3, 1, 0, 2])
    with torch.no_grad():
        logits = model(**inputs).logits
        shuffled = model(**{key: value[order] for key, value in inputs.items()}).logits
        alone = model(**{key: value[1:2, :7] for key, value in inputs.items()}).logits
    torch.testing.assert_close(shuffled, logits[order], atol=1e-5, rtol=0)
    torch.testing.assert_close(alone[0], logits[1], atol=1e-5, rtol=0)


def test_training_masks_come_from_the_generator_and_evaluation_draws_nothing(classifier, inputs):
    model = perturbed(classifier)
    model.config.q_p_mask = model.config.cross_p_mask = 0.7
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0

    def run(seed, order=slice(None)):
        picked = {key: value[order] for key, value in inputs.items()}
        return model(**picked, mask_generator=torch.Generator().manual_seed(seed)).logits.detach()

    model.train()
    assert torch.equal(run(1), run(1))
    assert (run(1) - run(2))[:2].abs().amax(dim=1).min() > 1e-4
    torch.testing.assert_close(run(1)[2:], run(2)[2:])
    torch.testing.assert_close(run(1, torch.tensor([1, 3, 0])), run(1)[[1, 3, 0]], atol=1e-5, rtol=0)
    model.eval()
    state = torch.get_rng_state()
    assert torch.equal(run(1), run(2))
    assert torch.equal(torch.get_rng_state(), state)


def test_gradient_checkpointing_gives_the_same_gradients(classifier, inputs):
    model = perturbed(classifier).train()
    model.config.q_p_mask = model.config.cross_p_mask = 0.5

    def gradients(one):
        torch.manual_seed(3)
        one(**inputs, labels=torch.tensor([0, 1, 1, 0])).loss.backward()
        return {name: p.grad for name, p in one.named_parameters() if p.grad is not None}

    twin = copy.deepcopy(model)
    twin.activation_checkpointing_enable()
    plain, checkpointed = gradients(model), gradients(twin)
    assert plain.keys() == checkpointed.keys()
    assert any("cross_lingual" in name for name in plain)
    for name in plain:
        torch.testing.assert_close(plain[name], checkpointed[name], atol=1e-5, rtol=1e-3)


def test_autocast(classifier, inputs):
    model = perturbed(classifier)
    with torch.no_grad():
        full = model(**inputs).logits
        with torch.autocast("cpu", dtype=torch.bfloat16):
            short = model(**inputs).logits
    assert short.isfinite().all()
    torch.testing.assert_close(short.float(), full, atol=0.2, rtol=0.2)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_short_formats_train_and_evaluate(classifier, inputs, dtype):
    model = perturbed(classifier)
    with torch.no_grad():
        full = model(**inputs).logits
        torch.testing.assert_close(model.to(dtype)(**inputs).logits.float(), full, atol=0.3, rtol=0.1)
    model.train()(**inputs, labels=torch.tensor([0, 1, 1, 0])).loss.backward()
    gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    assert any("cross_lingual" in name for name in gradients)
    assert all(gradient.isfinite().all() for gradient in gradients.values())


@pytest.mark.slow
@pytest.mark.parametrize(("backend", "pairs"), [("eager", None), ("eager", ["en-fr"]), ("inductor", None)])
def test_compiled_model_computes_the_same(tiny, plain_directories, inputs, backend, pairs):
    cls = tiny.cross_class("bert", "ForSequenceClassification")
    model = perturbed(cls.from_pretrained(plain_directories["bert", "ForSequenceClassification"], pairs=pairs)).eval()
    torch._dynamo.reset()
    # A Q_cross per pair has to read the languages, which breaks the graph.
    compiled = torch.compile(model, backend=backend, fullgraph=pairs is None)
    in_language = {**inputs, "language_ids": inputs["attention_mask"] * EN}
    with torch.no_grad():
        for given in (inputs, in_language):
            torch.testing.assert_close(compiled(**given).logits, model(**given).logits, atol=1e-4, rtol=0)


@st.composite
def texts(draw):
    """Right-padded samples with at most one change of language, and an order to put them in."""
    lengths = draw(st.lists(st.integers(2, 9), min_size=1, max_size=4))
    width = max(lengths) + draw(st.integers(0, 2))
    ids, mask, languages = torch.ones(3, len(lengths), width, dtype=torch.long).unbind()
    mask = torch.arange(width) < torch.tensor(lengths)[:, None]
    for row, length in enumerate(lengths):
        border = draw(st.integers(1, length))
        one, other = draw(st.permutations([EN, FR, 710]))[:2]
        languages[row, :border], languages[row, border:] = one, other
        ids[row, :length] = torch.tensor(draw(st.lists(st.integers(4, 59), min_size=length, max_size=length)))
    inputs = {"input_ids": ids, "attention_mask": mask.long(), "language_ids": languages * mask}
    return inputs, torch.tensor(draw(st.permutations(range(len(lengths)))))


@given(texts(), st.sampled_from(FAMILIES))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_rows_sum_to_one_closed_cells_are_zero_and_samples_do_not_meet(tiny, case, family):
    inputs, order = case
    model = perturbed(to_cross_query(tiny.make_plain(family, "ForSequenceClassification"))).double()
    seen = {}
    names = ("hook_pattern", "hook_pattern_mono", "hook_pattern_cross")
    points = {f"blocks.1.attn.{name}": lambda tensor, hook: seen.update({hook.name[14:]: tensor}) for name in names}
    with torch.no_grad():
        with observe(model, points):
            logits = model(**inputs).logits
        shuffled = model(**{key: value[order] for key, value in inputs.items()}).logits
    rows = inputs["attention_mask"].bool()
    pattern, mono, cross = (seen[name].movedim(1, -1) for name in names)
    torch.testing.assert_close(pattern.sum(2)[rows], torch.ones_like(pattern.sum(2)[rows]))
    m1, m2 = language_masks(inputs["language_ids"], inputs["attention_mask"])
    for part, opened in ((mono, m1), (cross, m2)):
        assert (part[~opened & rows[:, :, None]] == 0).all()
        assert (part[opened & rows[:, :, None]] > 0).all()
    torch.testing.assert_close(shuffled, logits[order], atol=1e-9, rtol=0)


@pytest.mark.parametrize("pairs", [None, ["en-fr"]])
def test_output_attentions(tiny, family, plain_directories, inputs, pairs):
    cls = tiny.cross_class(family, "Model")
    model = cls.from_pretrained(plain_directories[family, "Model"], pairs=pairs).eval()
    with torch.no_grad():
        attentions = model(**inputs, output_attentions=True).attentions
    assert len(attentions) == 2
    torch.testing.assert_close(attentions[1].sum(-1), torch.ones(4, 2, 11))


def test_each_pair_has_its_own_query(tiny, plain_directories, inputs):
    cls = tiny.cross_class("bert", "ForSequenceClassification")
    path = plain_directories["bert", "ForSequenceClassification"]
    model = perturbed(cls.from_pretrained(path, pairs=["fr-en", "en-zh"])).eval()
    zh = 710
    switched = {**inputs, "language_ids": inputs["language_ids"].masked_fill(inputs["language_ids"] == FR, zh)}
    both = {key: torch.cat([inputs[key], switched[key]]) for key in inputs}
    with torch.no_grad():
        french, chinese, together = (model(**batch).logits for batch in (inputs, switched, both))
    torch.testing.assert_close(together, torch.cat([french, chinese]), atol=1e-5, rtol=0)
    assert (french - chinese)[:2].abs().amax(dim=1).min() > 1e-4
    torch.testing.assert_close(french[2:], chinese[2:])
    names = {name for name, _ in model.named_parameters() if "cross_lingual_queries" in name}
    assert len(names) == 2 * 2 * 2
    assert any("en-fr.weight" in name for name in names)

    unknown = {**inputs, "language_ids": inputs["language_ids"].masked_fill(inputs["language_ids"] == EN, zh)}
    with pytest.raises(DataError, match="pair fr-zh"):
        model(**unknown)
    model.config.fallback_pair = "en-zh"
    with torch.no_grad():
        assert model(**unknown).logits.isfinite().all()


def test_switching_inside_a_segment_needs_language_by_token(classifier, inputs):
    switching = {**inputs, "language_ids": inputs["language_ids"].clone()}
    switching["language_ids"][0, ::2] = 710
    with pytest.raises(DataError, match="changes its language"):
        classifier(**switching)
    classifier.config.language_by = "token"
    with torch.no_grad():
        assert classifier(**switching).logits.isfinite().all()


def test_what_makes_no_sense_is_refused(classifier, inputs, tiny):
    with pytest.raises(DataError, match="no language_ids"):
        classifier(**tiny.without_languages(inputs))
    with pytest.raises(DataError, match="expected both"):
        classifier(**{**inputs, "language_ids": inputs["language_ids"][:, :5]})
    with pytest.raises(DataError, match="padding on the right"):
        classifier(**{key: value.flip(1) for key, value in inputs.items()})
    layer = classifier.base_model.encoder.layer[0].attention.self
    with pytest.raises(CaptureError, match="whole encoder"):
        layer(torch.zeros(1, 3, 32))
    cls = tiny.cross_class("bert", "Model")
    for options, match in (
        ({"q_p_mask": 1.5}, "q_p_mask"),
        ({"pairs": []}, "pairs"),
        ({"pairs": ["en-fr"], "fallback_pair": "en-zh"}, "fallback_pair"),
        ({"cross_layers": [7]}, "cross_layers"),
        ({"language_by": "word"}, "language_by"),
        ({"is_decoder": True}, "decoder"),
    ):
        with pytest.raises(CheckpointError, match=match):
            cls(cls.config_class(num_hidden_layers=2, hidden_size=16, num_attention_heads=2, vocab_size=9, **options))
    with pytest.raises(DataError, match="two different"):
        cls(cls.config_class(num_hidden_layers=1, hidden_size=16, num_attention_heads=2, vocab_size=9, pairs=["en-en"]))


def test_trainer_takes_a_step(tiny, plain_directories, inputs, tmp_path):
    from transformers import Trainer, TrainingArguments

    cls = tiny.cross_class("bert", "ForSequenceClassification")
    model = cls.from_pretrained(plain_directories["bert", "ForSequenceClassification"], q_p_mask=0.7, cross_p_mask=0.7)
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    rows = [{**{key: value[i] for key, value in inputs.items()}, "labels": i % 2} for i in range(4)]
    arguments = TrainingArguments(
        tmp_path, max_steps=1, per_device_train_batch_size=4, report_to="none", use_cpu=True, disable_tqdm=True,
        save_strategy="no", learning_rate=1e-2, dataloader_pin_memory=False,
    )  # fmt: skip
    Trainer(model, arguments, train_dataset=rows).train()
    moved = {name for name, parameter in model.named_parameters() if not torch.equal(parameter, before[name])}
    assert any("cross_lingual_query.weight" in name for name in moved)

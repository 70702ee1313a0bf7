from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from xlprobe import encoders
from xlprobe.encoders.hooks import hook_points, observe
from xlprobe.errors import CaptureError
from xlprobe.interventions import Ablate, HeadImportance, KnockOut, Patch, head_means, record, role_mask
from xlprobe.languages import language_id
from xlprobe.samples import Batch, Sample

SIZES: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "vocab_size": 40,
    "max_position_embeddings": 32,
    "pad_token_id": 1,
    "initializer_range": 0.3,
}


def make_batch(pairs=(("en", "fr"), ("en", "en"), ("zh", "en")), lengths=((4, 3), (3, 2), (2, 4)), seed=0) -> Batch:
    """CLS context SEP question SEP, padded on the right."""
    generator = torch.Generator().manual_seed(seed)
    width = max(c + q + 3 for c, q in lengths)
    shape = (len(pairs), width)
    ids, mask, langs = torch.ones(shape, dtype=torch.long), torch.zeros(shape, dtype=torch.long), torch.zeros(shape)
    segments, units, special = torch.full(shape, -1), torch.full(shape, -1), torch.ones(shape, dtype=torch.bool)
    samples = []
    for row, ((first, second), (c, q)) in enumerate(zip(pairs, lengths, strict=True)):
        end = c + q + 3
        ids[row, :end] = torch.randint(5, 40, (end,), generator=generator)
        ids[row, 0], ids[row, c + 1], ids[row, end - 1] = 2, 3, 3
        mask[row, :end] = 1
        langs[row, : c + 2], langs[row, c + 2 : end] = language_id(first), language_id(second)
        segments[row, : c + 2], segments[row, c + 2 : end] = 0, 1
        special[row, 1 : c + 1] = special[row, c + 2 : end - 1] = False
        samples.append(Sample(f"s{row}", f"g{row}", "made", first, second, ("x",), "y", row % 2))
    labels = torch.tensor([sample.label for sample in samples])
    return Batch(ids, mask, torch.zeros_like(ids), langs.long(), segments, units, special, labels, tuple(samples))


@pytest.fixture(params=["plain", "cross"])
def model(request):
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(0)
    plain = BertForSequenceClassification(BertConfig(**SIZES)).eval()
    if request.param == "plain":
        return plain
    made = encoders.to_cross_query(plain)
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if "cross_lingual" in name:
                parameter.mul_(-0.7)
    return made


@pytest.fixture
def batch():
    return make_batch()


def run(model, batch):
    with torch.no_grad():
        return model(**batch.model_inputs(encoders.is_cross_query(model))).logits


def patterns(model, batch):
    seen = {}
    names = [name for name in hook_points(model) if name.endswith("hook_pattern")]
    with observe(model, dict.fromkeys(names, lambda tensor, hook: seen.update({hook.name: tensor}))):
        run(model, batch)
    return [seen[name] for name in names]


def nothing_is_hooked(model):
    return not any(point._forward_hooks for point in hook_points(model).values())


def test_roles(batch):
    counts = {role: role_mask(batch, role).sum(1).tolist() for role in ("context", "question", "cls", "sep", "special")}
    assert counts == {
        "context": [4, 3, 2],
        "question": [3, 2, 4],
        "cls": [1, 1, 1],
        "sep": [2, 2, 2],
        "special": [3, 3, 3],
    }
    assert role_mask(batch, "en").sum(1).tolist() == [4, 5, 4]
    assert role_mask(batch, ("fr", "cls")).sum(1).tolist() == [4, 1, 1]
    assert role_mask(batch, "all").sum(1).tolist() == [10, 8, 9]
    assert torch.equal(role_mask(batch, torch.ones_like(batch.special_mask)), batch.attention_mask.bool())
    with pytest.raises(CaptureError, match="unknown role 'qestion'"):
        role_mask(batch, "qestion")
    with pytest.raises(CaptureError, match="booleans of the batch's shape"):
        role_mask(batch, torch.ones(2, 2, dtype=torch.bool))


def test_cut_edges_get_zero_and_the_rest_is_renormalised(model, batch):
    cut = role_mask(batch, "question")[:, None, :, None] & role_mask(batch, "context")[:, None, None, :]
    free = patterns(model, batch)
    with KnockOut(model, "question", "context", layers=[0, 2], heads=[1]).on(batch):
        held = patterns(model, batch)
        moved = run(model, batch)
    expected = free[0][:, 1:].masked_fill(cut, 0.0)
    torch.testing.assert_close(held[0][:, 1:], expected / expected.sum(-1, keepdim=True), atol=1e-6, rtol=0)
    torch.testing.assert_close(held[0][:, :1], free[0][:, :1])
    assert (held[2][:, 1:].masked_select(cut) == 0).all()
    assert (held[1].masked_select(cut.expand_as(held[1])) > 0).all()
    assert (moved - run(model, batch)).abs().amax(1).min() > 1e-4
    assert nothing_is_hooked(model)


@pytest.mark.parametrize("branch", ["mono", "cross"])
def test_one_branch(batch, branch, request):
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(0)
    model = encoders.to_cross_query(BertForSequenceClassification(BertConfig(**SIZES)).eval())
    name = {"mono": "hook_pattern_mono", "cross": "hook_pattern_cross"}
    seen = {}
    points = {f"blocks.0.attn.{n}": lambda t, hook: seen.update({hook.name[14:]: t}) for n in name.values()}
    cut = (
        (role_mask(batch, "all")[:, :, None] & role_mask(batch, "cls")[:, None, :])[:, None]
        .expand(-1, 2, -1, -1)
        .clone()
    )
    cut[:, :, 0, 0] = False
    with KnockOut(model, "all", "cls", branch=branch).on(batch), observe(model, points):
        run(model, batch)
    assert (seen[name[branch]][cut] == 0).all()
    other = seen[name["cross" if branch == "mono" else "mono"]]
    assert (other[0][cut[0]] > 0).all()


def test_no_row_is_ever_emptied(model, batch):
    everything = KnockOut(model, "all", "all")
    with everything.on(batch), KnockOut(model, "context", "special", relays="closed").on(batch):
        held = patterns(model, batch)
        assert run(model, batch).isfinite().all()
    rows = batch.attention_mask.bool()
    for pattern in held:
        torch.testing.assert_close(pattern.sum(-1), torch.ones_like(pattern.sum(-1)))
        diagonal = pattern.diagonal(dim1=-2, dim2=-1)
        assert (diagonal[rows[:, None].expand_as(diagonal)] - 1).abs().max() < 1e-6


TOKENS = st.sampled_from(["question", "context", "cls", "sep", "special", "all", "en", "fr", ("fr", "cls")])


@given(
    st.lists(
        st.tuples(st.sampled_from([("en", "fr"), ("fr", "en"), ("en", "en")]), st.integers(1, 5), st.integers(1, 4)),
        min_size=1,
        max_size=3,
    ),
    st.lists(st.tuples(TOKENS, TOKENS, st.sampled_from(["both", "mono"])), min_size=1, max_size=3),
    st.sampled_from(["open", "closed"]),
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_nested_knock_outs_cut_exactly_their_edges_and_leave_every_row_whole(model, samples, cuts, relays):
    batch = make_batch(tuple(pair for pair, _, _ in samples), tuple((c, q) for _, c, q in samples))
    before = patterns(model, batch)
    gone = torch.zeros(*batch.input_ids.shape, batch.input_ids.shape[1], dtype=torch.bool)
    with ExitStack() as stack:
        for queries, keys, branch in cuts:
            knock_out = KnockOut(model, queries, keys, branch=branch, relays=relays)
            edges = knock_out.edges(batch)
            if edges.any():
                stack.enter_context(knock_out.on(batch))
                if branch == "both" or not encoders.is_cross_query(model):
                    gone |= edges
        held = patterns(model, batch)
    rows = batch.attention_mask.bool()
    for pattern, free in zip(held, before, strict=True):
        assert (pattern.movedim(1, -1)[gone] == 0).all()
        sums = pattern.movedim(1, -1).sum(dim=2)[rows]
        torch.testing.assert_close(sums, torch.ones_like(sums))
        assert (pattern[free == 0] == 0).all()
    assert nothing_is_hooked(model)
    assert all(torch.equal(one, other) for one, other in zip(patterns(model, batch), before, strict=True))


def test_relays(model, batch):
    opened = KnockOut(model, "question", "context").edges(batch)
    closed = KnockOut(model, "question", "context", relays="closed").edges(batch)
    more = closed & ~opened
    expected = role_mask(batch, "question")[:, :, None] & role_mask(batch, "special")[:, None, :]
    assert torch.equal(more, expected)


@pytest.mark.parametrize(
    "empty",
    [{"queries": ()}, {"keys": ()}, {"layers": ()}, {"heads": ()}],
)
def test_empty_sets_change_nothing_to_the_bit(model, batch, empty):
    before = run(model, batch)
    options = {"queries": "question", "keys": "context", **empty}
    with KnockOut(model, **options).on(batch):
        assert nothing_is_hooked(model)
        assert torch.equal(run(model, batch), before)
    with Ablate(model, []), Patch(model, record(model, batch), heads=()).on(batch):
        assert torch.equal(run(model, batch), before)


def test_random_control_cuts_as_many_edges_by_the_samples_own_key(model, batch):
    real = KnockOut(model, "question", "context").edges(batch)
    control = KnockOut(model, "question", "context", random_seed=1)
    drawn = control.edges(batch)
    assert drawn.sum((1, 2)).tolist() == real.sum((1, 2)).tolist()
    assert not torch.equal(drawn, real)
    assert not drawn.diagonal(dim1=1, dim2=2).any()
    valid = batch.attention_mask.bool()
    assert not (drawn & ~(valid[:, :, None] & valid[:, None, :])).any()
    fields = (
        "input_ids",
        "attention_mask",
        "token_type_ids",
        "language_ids",
        "segment_ids",
        "unit_ids",
        "special_mask",
    )
    swapped = replace(
        batch, **{name: getattr(batch, name).flip(0) for name in fields}, samples=tuple(reversed(batch.samples))
    )
    assert torch.equal(control.edges(swapped), drawn.flip(0))
    assert not torch.equal(KnockOut(model, "question", "context", random_seed=2).edges(batch), drawn)


def test_what_would_do_nothing_is_refused(model, batch):
    with pytest.raises(CaptureError, match="nothing would change"), KnockOut(model, "ru", "context").on(batch):
        pass
    with pytest.raises(CaptureError, match="run it on the batch"), KnockOut(model, "cls", "sep").on(batch):
        run(model, make_batch(seed=1, lengths=((4, 4), (3, 2), (2, 4))))
    assert nothing_is_hooked(model)
    with pytest.raises(CaptureError, match="layers"):
        KnockOut(model, "cls", "sep", layers=[3])
    with pytest.raises(CaptureError, match="heads"):
        KnockOut(model, "cls", "sep", heads=[-1])
    with pytest.raises(CaptureError, match="branch"):
        KnockOut(model, "cls", "sep", branch="left")
    if not encoders.is_cross_query(model):
        with pytest.raises(CaptureError, match="Q_cross"), KnockOut(model, "cls", "sep", branch="cross").on(batch):
            pass


def test_everything_is_removed_after_an_exception(model, batch):
    before = run(model, batch)
    clean = record(model, batch)
    with (
        pytest.raises(RuntimeError, match="on purpose"),
        KnockOut(model, "question", "context").on(batch),
        Ablate(model, [(0, 0)]),
        Patch(model, clean, at="cls").on(batch),
    ):
        raise RuntimeError("on purpose")
    assert nothing_is_hooked(model)
    assert torch.equal(run(model, batch), before)


def test_ablation_replaces_outputs(model, batch):
    means = head_means(model, [batch, batch])
    assert means.shape == (3, 2, 16)
    clean = record(model, batch)
    valid = batch.attention_mask.bool()
    torch.testing.assert_close(means[1], clean.outputs[1][valid].mean(0).double())
    for kind, average, value in (("zero", None, torch.zeros(16)), ("mean", means, means[1, 0].float())):
        with Ablate(model, [(1, 0)], kind, average) as ablation:
            held = record(model, batch).outputs[1]
            with Ablate(model, [(0, 1)]), ablation:
                run(model, batch)
        torch.testing.assert_close(held[:, :, 0], value.expand_as(held[:, :, 0]))
        torch.testing.assert_close(held[:, :, 1], clean.outputs[1][:, :, 1], atol=1e-6, rtol=0)
    assert nothing_is_hooked(model)
    with pytest.raises(CaptureError, match="needs means"):
        Ablate(model, [(0, 0)], "mean")
    with pytest.raises(CaptureError, match="layers"):
        Ablate(model, [(9, 0)])


def test_patching_everything_of_the_last_layer_restores_the_clean_logits(model):
    clean_batch = make_batch((("en", "en"),) * 3)
    corrupt_batch = replace(
        make_batch((("en", "fr"),) * 3),
        input_ids=torch.where(role_mask(clean_batch, "question"), 7, clean_batch.input_ids),
    )
    clean, corrupt = run(model, clean_batch), run(model, corrupt_batch)
    assert (clean - corrupt).abs().max() > 1e-3
    source = record(model, clean_batch)
    with Patch(model, source, heads=[(2, 0), (2, 1)], at="cls").on(corrupt_batch):
        patched = run(model, corrupt_batch)
        held = record(model, corrupt_batch).outputs
    torch.testing.assert_close(held[2][:, 0], source.outputs[2][:, 0])
    assert (held[2][:, 1:] - source.outputs[2][:, 1:]).abs().max() > 1e-4
    assert (patched - corrupt).abs().max() > 1e-4
    with (
        pytest.raises(CaptureError, match="tokens to patch differ"),
        Patch(model, source, at="question").on(corrupt_batch),
    ):
        pass
    without_heads = record(model, clean_batch, [0])
    with (
        pytest.raises(CaptureError, match="record them too"),
        Patch(model, without_heads, heads=[(1, 0)]).on(corrupt_batch),
    ):
        pass
    with pytest.raises(CaptureError, match="nothing would change"), Patch(model, source, at="ru").on(corrupt_batch):
        pass


def test_importance_is_the_derivative_at_full_strength(model, batch):
    importance = HeadImportance(model)
    importance.update(batch)
    got = importance.result()
    assert got.shape == (3, 2)

    def losses(strength):
        point = "blocks.1.attn.hook_z"

        def scale(z, hook):
            return torch.cat([z[:, :, :1] * strength, z[:, :, 1:]], dim=2)

        with observe(model, {point: scale}):
            return torch.nn.functional.cross_entropy(run(model, batch), batch.labels, reduction="none")

    step = 1e-2
    slopes = (losses(1 + step) - losses(1 - step)) / (2 * step)
    assert got[1, 0].item() == pytest.approx(slopes.abs().mean().item(), rel=0.02)
    for parameter in model.parameters():
        assert parameter.grad is None
        parameter.requires_grad_(False)
    frozen = HeadImportance(model)
    frozen.update(batch)
    frozen.update(batch)
    torch.testing.assert_close(frozen.result(), got, atol=1e-6, rtol=1e-4)
    with pytest.raises(CaptureError, match="no batch yet"):
        HeadImportance(model).result()
    with pytest.raises(CaptureError, match="label"):
        HeadImportance(model).update(replace(batch, labels=torch.full((3,), -100)))


def test_importance_takes_a_loss_of_its_own(model, batch):
    """With L = (2 s - 1)^2 in the head's strength s the derivative at 1 is 4."""
    target = {}

    def loss(output, batch):
        strength = target["z"][:, 0, 0].sum(-1) / target["z"][:, 0, 0].sum(-1).detach()
        return (2 * strength - 1) ** 2

    with observe(model, {"blocks.2.attn.hook_z": lambda z, hook: target.update(z=z)}):
        importance = HeadImportance(model, loss)
        importance.update(batch)
    assert importance.result()[2, 0].item() == pytest.approx(4.0, rel=1e-4)
    assert importance.result()[2, 1].item() == 0.0

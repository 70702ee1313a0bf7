from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from xlprobe.encoders.masks import content_seeds, language_masks
from xlprobe.errors import DataError

EN, FR, ZH = 149, 180, 710


@st.composite
def batches(draw):
    """Language ids and attention masks of up to four right-padded samples of one to three languages."""
    rows = draw(st.lists(st.lists(st.sampled_from([EN, FR, ZH]), min_size=1, max_size=9), min_size=1, max_size=4))
    width = max(map(len, rows)) + draw(st.integers(0, 3))
    ids = torch.tensor([row + [0] * (width - len(row)) for row in rows])
    return ids, (ids > 0).long()


def nested_loops(ids, mask):
    m1 = torch.zeros(*ids.shape, ids.shape[1], dtype=torch.bool)
    m2 = m1.clone()
    for b, (row, kept) in enumerate(zip(ids.tolist(), mask.tolist(), strict=True)):
        several = len({language for language, keep in zip(row, kept, strict=True) if keep}) > 1
        for i, query in enumerate(row):
            for j, key in enumerate(row):
                bridge = i == 0 or j == 0
                m1[b, i, j] = bool(kept[j]) and (not several or query == key or bridge)
                m2[b, i, j] = bool(kept[j]) and several and (query != key or bridge)
    return m1, m2


@given(batches())
@settings(max_examples=60, deadline=None)
def test_evaluation_masks_equal_nested_loops(batch):
    ids, mask = batch
    for got, expected in zip(language_masks(ids, mask), nested_loops(ids, mask), strict=True):
        assert torch.equal(got, expected)


@given(batches(), st.floats(0, 1), st.floats(0, 1), st.integers(0, 1000))
@settings(max_examples=60, deadline=None)
def test_random_masks_open_what_evaluation_opens_and_never_padding(batch, q_p, cross_p, seed):
    ids, mask = batch
    m1, m2 = language_masks(ids, mask, q_p, cross_p, torch.Generator().manual_seed(seed))
    e1, e2 = language_masks(ids, mask)
    assert (m1 | ~e1).all()
    assert (m2 | ~e2).all()
    assert not (m1 | m2)[:, :, :][~mask.bool()[:, None, :].expand_as(m1)].any()
    assert (m1 | m2).any(-1).all()


def test_open_shares_are_the_asked_probabilities():
    ids = torch.full((8, 200), EN)
    ids[:, 90:] = FR
    m1, m2 = language_masks(ids, torch.ones_like(ids), 0.7, 0.4, torch.Generator().manual_seed(3))
    different = (ids[:, :, None] != ids[:, None, :])[:, 1:, 1:]
    assert m1[:, 1:, 1:][different].float().mean().item() == pytest.approx(0.3, abs=0.01)
    assert m2[:, 1:, 1:][~different].float().mean().item() == pytest.approx(0.6, abs=0.01)
    # neither rows nor columns nor samples repeat
    drawn = m1[:, 1:90, 90:]
    assert len({tuple(row.tolist()) for row in drawn[0]}) == 89
    assert len({tuple(column.tolist()) for column in drawn[0].T}) == 110
    assert not torch.equal(drawn[0], drawn[1])
    assert drawn.float().mean(dim=(0, 1)).std() < 0.05


def test_a_closed_probability_of_zero_opens_everything():
    ids = torch.tensor([[EN, EN, FR]])
    m1, m2 = language_masks(ids, None, 0.0, 0.0)
    assert m1.all()
    assert m2.all()


def test_same_seed_same_masks_and_draws_ignore_other_samples_and_padding():
    ids = torch.full((3, 12), EN)
    ids[:, 5:] = FR
    mask = torch.ones_like(ids)
    tokens = torch.randint(5, 99, ids.shape, generator=torch.Generator().manual_seed(0))
    seeds = content_seeds(tokens, mask)

    def draw(rows, width=12):
        padded = torch.nn.functional.pad(ids[rows], (0, width - 12))
        kept = torch.nn.functional.pad(mask[rows], (0, width - 12))
        generator = torch.Generator().manual_seed(9)
        return language_masks(padded, kept, 0.5, 0.5, generator, sample_seeds=seeds[rows])

    whole = draw([0, 1, 2])
    assert all(torch.equal(a, b) for a, b in zip(whole, draw([0, 1, 2]), strict=True))
    for a, b in zip(whole, draw([2, 0], width=20), strict=True):
        assert torch.equal(a[[2, 0]], b[:, :12, :12])
    longer = torch.nn.functional.pad(tokens, (0, 4), value=1)
    assert torch.equal(content_seeds(longer, torch.nn.functional.pad(mask, (0, 4))), seeds)


def test_first_token_is_a_bridge_and_one_language_uses_q_alone():
    ids = torch.tensor([[EN, EN, FR], [FR, FR, FR]])
    m1, m2 = language_masks(ids)
    assert m1[0].tolist() == [[True] * 3, [True, True, False], [True, False, True]]
    assert m2[0].tolist() == [[True] * 3, [True, False, True], [True, True, False]]
    assert m1[1].all()
    assert not m2[1].any()


@pytest.mark.parametrize("options", [{"q_p_mask": 1.2}, {"cross_p_mask": -0.1}])
def test_bad_probabilities_are_refused(options):
    with pytest.raises(DataError, match="expected 0 to 1"):
        language_masks(torch.ones(1, 3, dtype=torch.long), **options)


def test_bad_shapes_are_refused():
    with pytest.raises(DataError, match="batch, position"):
        language_masks(torch.ones(3, dtype=torch.long))
    with pytest.raises(DataError, match="expected the same"):
        language_masks(torch.ones(1, 3, dtype=torch.long), torch.ones(1, 4, dtype=torch.long))

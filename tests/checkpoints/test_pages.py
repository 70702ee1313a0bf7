from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from xlprobe.checkpoints.pages import let_go
from xlprobe.measuring.forward import capture
from xlprobe.samples.encoding import batches

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
MIB = 2**20


def in_files():
    """Resident memory that lies in files, in bytes."""
    return int(re.search(r"RssFile:\s+(\d+)", Path("/proc/self/status").read_text())[1]) * 1024


@pytest.fixture
def mapped(tmp_path):
    made = {"a": torch.arange(8 * MIB, dtype=torch.float32), "b": torch.ones(MIB)}
    save_file(made, tmp_path / "weights.safetensors")
    return load_file(tmp_path / "weights.safetensors")


def test_what_was_only_read_is_given_back_and_can_be_read_again(mapped):
    before = in_files()
    total = float(mapped["a"].sum(dtype=torch.float64))
    assert in_files() - before > 30 * MIB
    let_go(mapped.values())
    assert in_files() - before < 8 * MIB
    assert float(mapped["a"].sum(dtype=torch.float64)) == total


def test_what_was_written_to_is_kept(mapped):
    mapped["b"][3] = 7.0
    let_go(mapped.values())
    assert mapped["b"][2:5].tolist() == [1.0, 7.0, 1.0]


def test_memory_of_no_file_is_kept():
    tensor = torch.arange(MIB)
    let_go([tensor, torch.empty(4, device="meta")])
    assert torch.equal(tensor, torch.arange(MIB))


def test_a_capture_gives_back_what_it_read_of_mapped_weights(tiny, tmp_path):
    checkpoint = tiny.checkpoint("bert", "ForSequenceClassification")
    pairs = [one.pair("en", "fr") for one in tiny.problems(4, 2, ("en", "fr"))]
    capture(checkpoint, batches(pairs, checkpoint.encoder(), 2), [Lengths()])  # which reads libraries, too
    words = checkpoint.model.get_input_embeddings()
    many = torch.zeros(8 * MIB // words.embedding_dim, words.embedding_dim)
    many[: words.num_embeddings] = words.weight.detach()
    save_file({"words": many}, tmp_path / "words.safetensors")
    words.weight = torch.nn.Parameter(load_file(tmp_path / "words.safetensors")["words"], requires_grad=False)
    before = in_files()
    assert float(words.weight.sum()) == pytest.approx(float(many.sum()))
    assert in_files() - before > 30 * MIB
    (seen,) = capture(checkpoint, batches(pairs, checkpoint.encoder(), 2), [Lengths()])
    assert in_files() - before < 8 * MIB
    assert seen == [2] * 4


class Lengths:
    """Reads how many texts each batch has."""

    needs = frozenset({"logits"})

    def __init__(self):
        self.seen = []

    def update(self, capture):
        self.seen.append(len(capture.logits))

    def result(self):
        return self.seen

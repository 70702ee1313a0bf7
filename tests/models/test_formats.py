"""Every kind of file that `load` reads, and what `save` writes."""

from __future__ import annotations

import pytest
import torch

from xlprobe import CheckpointError, load
from xlprobe.models.checkpoint import Checkpoint
from xlprobe.models.convert import to_cross_query
from xlprobe.models.formats import save

FAMILIES = ["bert", "xlm-roberta"]


@pytest.fixture
def base(tiny_checkpoints, tmp_path):
    """A plain checkpoint on disk, loaded from there."""

    def make(family, head="Model"):
        path = save(tiny_checkpoints(family, head), tmp_path / f"base-{family}")
        return load(path)

    return make


def same(one, other):
    first, second = one.model.state_dict(), other.model.state_dict()
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("delta", [False, True])
@pytest.mark.parametrize("head", ["Model", "ForSequenceClassification"])
def test_a_saved_cross_query_checkpoint_comes_back_bit_for_bit(base, tmp_path, family, delta, head):
    plain = base(family, head)
    model = to_cross_query(plain.model)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "cross_lingual" in name or name.endswith("bias"):
                parameter.add_(0.01)
    checkpoint = Checkpoint("trained", plain.spec, model, plain.tokenizer, {"base": plain.spec}, {"prefix": "is "})
    checkpoint.save(tmp_path / "out", delta=delta)
    again = load(tmp_path / "out")
    assert same(again, checkpoint)
    assert type(again.model) is type(model)
    assert again.encoding == {"prefix": "is "}
    if delta:
        size = sum(file.stat().st_size for file in (tmp_path / "out").iterdir())
        assert size < sum(p.numel() for p in model.parameters()) * 4
        with pytest.raises(CheckpointError, match="belongs to the base"):
            other = load(plain.spec)
            with torch.no_grad():
                next(other.model.parameters()).add_(1)
            load(tmp_path / "out", base=other)


@pytest.mark.parametrize("family", FAMILIES)
def test_query_pt_goes_onto_a_named_base(base, tmp_path, family):
    plain = base(family)
    crossed = to_cross_query(plain.model)
    query = {
        f"{'bert' if family == 'bert' else 'roberta'}.{name}": torch.randn_like(tensor)
        for name, tensor in crossed.state_dict().items()
        if "cross_lingual_query" in name
    }
    torch.save(query, tmp_path / "query.pt")
    with pytest.raises(CheckpointError, match="say which encoder"):
        load(tmp_path / "query.pt")
    loaded = load(tmp_path / "query.pt", base=plain.spec)
    assert loaded.is_cross_query
    state = loaded.model.state_dict()
    for name, tensor in query.items():
        assert torch.equal(state[name.split(".", 1)[1]], tensor)
    paired = load(tmp_path / "query.pt", base=plain, pair="en-fr")
    assert paired.model.config.pairs == ["en-fr"]


def test_model_pt_takes_the_tokenizer_of_its_base(base, tmp_path):
    plain = base("bert", "ForSequenceClassification")
    torch.save(plain.model, tmp_path / "model.pt")
    loaded = load(tmp_path / "model.pt", base=plain.spec)
    assert same(loaded, plain)
    with pytest.raises(CheckpointError, match="without its tokenizer"):
        load(tmp_path / "model.pt")


def test_a_file_of_neither_kind_says_what_both_readers_expected(tmp_path):
    path = tmp_path / "model.pt"
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(CheckpointError, match=r"as query\.pt, .*; as model\.pt, "):
        load(path, base="bundled:encoder")


def test_an_interrupted_save_leaves_the_old_checkpoint(base, tmp_path, monkeypatch):
    plain = base("bert")
    before = sorted((path.name, path.stat().st_size) for path in (tmp_path / "base-bert").iterdir())

    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(plain.tokenizer, "save_pretrained", full)
    with pytest.raises(OSError, match="No space"):
        save(plain, tmp_path / "base-bert")
    assert sorted((path.name, path.stat().st_size) for path in (tmp_path / "base-bert").iterdir()) == before
    assert [path.name for path in tmp_path.iterdir()] == ["base-bert"]

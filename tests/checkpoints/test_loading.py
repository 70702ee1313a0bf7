"""Every kind of file that `load` reads, and what `save` writes."""

from __future__ import annotations

import copy

import pytest
import torch

from xlprobe import load
from xlprobe.checkpoints.checkpoint import Checkpoint
from xlprobe.checkpoints.saving import save
from xlprobe.encoders.convert import to_cross_query
from xlprobe.errors import CheckpointError

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
@pytest.mark.parametrize("head", ["Model", "ForSequenceClassification", "ForMaskedLM"])
def test_a_saved_cross_query_checkpoint_comes_back_bit_for_bit(base, tmp_path, family, delta, head):
    plain = base(family, head)
    model = to_cross_query(plain.model)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "cross_lingual" in name or name.endswith("bias"):
                parameter.add_(0.01)
    checkpoint = Checkpoint("trained", plain.spec, model, plain.tokenizer, {"base": plain.spec}, {"prefix": "is "})
    save(checkpoint, tmp_path / "out", delta=delta)
    again = load(tmp_path / "out")
    assert same(again, checkpoint)
    assert type(again.model) is type(model)
    assert again.encoding == {"prefix": "is "}
    if delta:
        short = Checkpoint("short", plain.spec, copy.deepcopy(model).bfloat16(), plain.tokenizer, {"base": plain.spec})
        state = torch.get_rng_state()
        assert same(load(save(short, tmp_path / "short", delta=True), dtype="auto"), short)
        assert torch.equal(torch.get_rng_state(), state)
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
    assert load(tmp_path / "query.pt", base=plain.spec, head="none").head == "none"
    with pytest.raises(CheckpointError, match="has the head 'none', not 'mlm'"):
        load(tmp_path / "query.pt", base=plain, head="mlm")
    paired = load(tmp_path / "query.pt", base=plain, pair="fr-en")
    own = paired.model.state_dict()
    for name, tensor in query.items():
        assert torch.equal(own[name.split(".", 1)[1].replace("_query.", "_queries.en-fr.")], tensor)


def test_the_query_of_a_pre_training_run_goes_onto_a_named_base(base, tmp_path):
    from safetensors.torch import save_file

    plain = base("bert", "ForSequenceClassification")
    crossed = to_cross_query(plain.model, pairs=["en-zh", "en-fr"])
    query = {
        name: torch.randn_like(tensor) for name, tensor in crossed.state_dict().items() if "cross_lingual_quer" in name
    }
    save_file(query, tmp_path / "query.safetensors")
    loaded = load(tmp_path / "query.safetensors", base=plain)
    assert sorted(loaded.model.config.pairs) == ["en-fr", "en-zh"]
    assert all(torch.equal(loaded.model.state_dict()[name], tensor) for name, tensor in query.items())
    save_file({"encoder.layer.0.output.dense.weight": torch.zeros(2)}, tmp_path / "query.safetensors")
    with pytest.raises(CheckpointError, match="expected only"):
        load(tmp_path / "query.safetensors", base=plain)


def test_model_pt_takes_the_tokenizer_of_its_base(base, tmp_path):
    plain = base("bert", "ForSequenceClassification")
    torch.save(plain.model, tmp_path / "model.pt")
    loaded = load(tmp_path / "model.pt", base=plain.spec)
    assert same(loaded, plain)
    with pytest.raises(CheckpointError, match="without its tokenizer"):
        load(tmp_path / "model.pt")


def test_a_file_of_another_kind_is_refused(tmp_path):
    path = tmp_path / "model.pt"
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(CheckpointError, match=r"cannot be read as a file of torch\.save"):
        load(path, base="bundled:encoder")


def test_an_interrupted_save_leaves_the_old_checkpoint(base, tmp_path, monkeypatch):
    plain = base("bert")
    before = sorted((path.name, path.stat().st_size) for path in (tmp_path / "base-bert").iterdir())

    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(plain.tokenizer, "save_pretrained", full)
    with pytest.raises(CheckpointError, match=r"cannot be written .*No space"):
        save(plain, tmp_path / "base-bert")
    assert sorted((path.name, path.stat().st_size) for path in (tmp_path / "base-bert").iterdir()) == before
    assert [path.name for path in tmp_path.iterdir()] == ["base-bert"]


@pytest.mark.parametrize("delta", [False, True])
def test_saving_again_replaces_the_checkpoint_and_nothing_else(base, tmp_path, delta):
    plain = base("bert")
    crossed = to_cross_query(plain.model)
    checkpoint = Checkpoint("trained", plain.spec, crossed, plain.tokenizer, {"base": plain.spec})
    for first in (False, True):
        save(checkpoint, tmp_path / "out", delta=first)
        save(checkpoint, tmp_path / "out", delta=delta)
        assert (tmp_path / "out" / "delta.safetensors").exists() == delta
        assert (tmp_path / "out" / "model.safetensors").exists() != delta
        assert same(load(tmp_path / "out"), checkpoint)
    (tmp_path / "out" / "notes.md").write_text("mine")
    with pytest.raises(CheckpointError, match=r"holds \['notes.md'\]"):
        save(checkpoint, tmp_path / "out", delta=delta)
    with pytest.raises(CheckpointError, match="is a file"):
        save(checkpoint, tmp_path / "out" / "notes.md", delta=delta)
    assert (tmp_path / "out" / "notes.md").read_text() == "mine"
    unknown = Checkpoint("own", "own", crossed, plain.tokenizer)
    with pytest.raises(CheckpointError, match="does not say which encoder"):
        save(unknown, tmp_path / "new", delta=True)
    assert not (tmp_path / "new").exists()

from __future__ import annotations

import functools
import os
import pickle
import sys
import types
import zipfile

import pytest
import torch
from torch import nn

from xlprobe.checkpoints.pickles import read_pickle
from xlprobe.checkpoints.released import apply_query, build_released, read_query, read_released
from xlprobe.errors import CheckpointError

FAMILIES = ("bert", "xlm-roberta")


@pytest.fixture
def foreign_module():
    """A module whose classes exist while the pickle is written and not when it is read."""
    module = types.ModuleType("their_code")

    class SelfAttention(nn.Module):
        def __init__(self, old):
            super().__init__()
            self.query, self.key, self.value, self.dropout = old.query, old.key, old.value, old.dropout
            self.cross_lingual_query = nn.Linear(old.query.in_features, old.query.out_features)
            self.scheme = {"interfering"}

    SelfAttention.__module__ = "their_code"
    SelfAttention.__qualname__ = "SelfAttention"
    module.SelfAttention = SelfAttention
    sys.modules["their_code"] = module
    yield module
    sys.modules.pop("their_code", None)


@pytest.fixture
def write_released(foreign_module, tiny, tmp_path):
    def write(family, head="ForSequenceClassification", crossed=True, in_main=False):
        model = tiny.make_plain(family, head, num_labels=3)
        attention = foreign_module.SelfAttention
        if in_main:
            attention.__module__ = "__main__"
            sys.modules["__main__"].SelfAttention = attention
        if crossed:
            for layer in model.base_model.encoder.layer:
                layer.attention.self = attention(layer.attention.self)
        path = tmp_path / "model.pt"
        torch.save(model, path)
        tensors = {key: value.clone() for key, value in model.state_dict().items()}
        if in_main:
            del sys.modules["__main__"].SelfAttention
        sys.modules.pop("their_code", None)
        return path, tensors

    return write


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("in_main", [True, False])
def test_pickled_classifier_is_recovered_without_its_classes(write_released, family, in_main, inputs):
    path, tensors = write_released(family, in_main=in_main)
    with pytest.raises((AttributeError, ModuleNotFoundError)):
        torch.load(path, weights_only=False)
    model = build_released(read_released(path))
    assert type(model).__name__.startswith("CrossQuery")
    assert model.config.num_labels == 3
    assert model.config.hidden_size == 32
    assert model.state_dict().keys() == tensors.keys()
    assert all(torch.equal(model.state_dict()[key], value) for key, value in tensors.items())
    with torch.no_grad():
        assert model(**inputs).logits.shape == (4, 3)


@pytest.mark.parametrize(("family", "head"), [("bert", "ForMaskedLM"), ("xlm-roberta", "ForSequenceClassification")])
def test_pickled_plain_models_are_recovered(write_released, tiny, family, head, inputs):
    path, _ = write_released(family, head, crossed=False)
    model = build_released(read_released(path))
    plain = tiny.make_plain(family, head, num_labels=3)
    assert type(model) is type(plain)
    given = tiny.without_languages(inputs)
    with torch.no_grad():
        torch.testing.assert_close(model(**given).logits, plain(**given).logits)


class _Calls:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def _pickle_with(path, thing):
    model = nn.Linear(2, 2)
    model.extra = thing
    torch.save(model, path)


def test_malicious_pickles_do_nothing(tmp_path):
    witness = tmp_path / "witness"
    for name, thing in {
        "os.system": _Calls(os.system, f"touch {witness}"),
        "builtins.eval": _Calls(eval, f"open({str(witness)!r}, 'w')"),
        "builtins.exec": _Calls(exec, f"open({str(witness)!r}, 'w')"),
        "builtins.getattr": _Calls(getattr, 5, "real"),
        "pathlib.Path": _Calls(type(witness), str(witness)),
    }.items():
        path = tmp_path / "model.pt"
        _pickle_with(path, thing)
        with pytest.raises(CheckpointError, match=r"refused|cannot be read"):
            read_released(path)
        assert not witness.exists(), name
    # The harness is able to notice: the ordinary way does run it.
    _pickle_with(path, _Calls(os.system, f"touch {witness}"))
    torch.load(path, weights_only=False)
    assert witness.exists()


def test_functions_of_other_packages_are_not_called(tmp_path):
    path = tmp_path / "model.pt"
    called = []
    module = types.ModuleType("their_code")
    module.run = lambda *args: called.append(args)
    module.run.__module__, module.run.__qualname__, module.run.__name__ = "their_code", "run", "run"
    sys.modules["their_code"] = module
    try:
        _pickle_with(path, _Calls(module.run, "now"))
        found = read_pickle(path)
    finally:
        del sys.modules["their_code"]
    assert not called
    assert type(found.extra).__name__ == "run"


def test_partial_functions_of_a_model_are_left_alone(tiny, tmp_path):
    model = tiny.make_plain("bert", "ForSequenceClassification")
    model.bert._gradient_checkpointing_func = functools.partial(torch.nn.functional.gelu, approximate="tanh")
    torch.save(model, tmp_path / "model.pt")
    again = build_released(read_released(tmp_path / "model.pt"))
    assert all(torch.equal(again.state_dict()[name], tensor) for name, tensor in model.state_dict().items())
    _pickle_with(tmp_path / "model.pt", _Calls(functools.partial(os.system, "false")))
    with pytest.raises(CheckpointError, match="posix.system"):
        read_released(tmp_path / "model.pt")


def test_tensors_outside_their_storage_are_refused(tmp_path):
    class Tensorish:
        def __reduce__(self):
            storage = torch.zeros(4).storage()
            return torch._utils._rebuild_tensor_v2, (storage, 0, (10**9, 4), (0, 1), False, {})

    path = tmp_path / "model.pt"
    with pytest.warns(UserWarning, match="TypedStorage"):
        _pickle_with(path, Tensorish())
    with pytest.raises(CheckpointError, match="outside its own data"):
        read_released(path)


def test_truncated_and_foreign_files_are_refused(write_released, tmp_path):
    path, _ = write_released("bert")
    whole = path.read_bytes()
    for size in (0, 10, len(whole) // 2, len(whole) - 30):
        path.write_bytes(whole[:size])
        with pytest.raises(CheckpointError, match="cannot be read"):
            read_released(path)
    with pytest.raises(CheckpointError, match="no such file"):
        read_released(tmp_path / "nothing.pt")
    torch.save({"a": torch.zeros(2)}, path)
    with pytest.raises(CheckpointError, match="expected a whole model"):
        read_released(path)
    path.write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(CheckpointError, match="cannot be read"):
        read_released(path)


def test_damaged_pickle_inside_a_sound_archive(write_released, tmp_path):
    path, _ = write_released("bert")
    damaged = tmp_path / "damaged.pt"
    for change in ("cut", "compressed"):
        with zipfile.ZipFile(path) as source, zipfile.ZipFile(damaged, "w") as target:
            for item in source.infolist():
                data = source.read(item)
                if item.filename.endswith("data.pkl"):
                    kind = zipfile.ZIP_DEFLATED if change == "compressed" else zipfile.ZIP_STORED
                    target.writestr(item.filename, data[:300] if change == "cut" else data, compress_type=kind)
                else:
                    target.writestr(item.filename, data)
        with pytest.raises(CheckpointError):
            read_released(damaged)


def test_every_missing_or_unexpected_tensor_is_named(write_released):
    path, _ = write_released("bert")
    released = read_released(path)
    lacking = {key: value for key, value in released.tensors.items() if "layer.1.output.dense" not in key}
    with pytest.raises(CheckpointError, match=r"layer\.1\.output\.dense"):
        build_released(type(released)(released.architecture, lacking, released.config))
    more = {**released.tensors, "bert.adapter.weight": torch.zeros(1)}
    with pytest.raises(CheckpointError, match=r"bert\.adapter"):
        build_released(type(released)(released.architecture, more, released.config))
    old = {**released.tensors, "bert.embeddings.position_ids": torch.arange(64)[None]}
    build_released(type(released)(released.architecture, old, released.config))
    with pytest.raises(CheckpointError, match="GPT2Model"):
        build_released(type(released)("GPT2Model", released.tensors, released.config))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("prefixed", [True, False])
def test_query_goes_onto_its_base(tiny, family, prefixed, tmp_path, plain_directories):
    cls = tiny.cross_class(family, "ForSequenceClassification")
    model = cls.from_pretrained(plain_directories[family, "ForSequenceClassification"])
    prefix = f"{model.base_model_prefix}." if prefixed else ""
    generator = torch.Generator().manual_seed(0)
    wanted = {
        f"{prefix}encoder.layer.{layer}.attention.self.cross_lingual_query.{kind}": torch.randn(
            shape, generator=generator
        )
        for layer in range(2)
        for kind, shape in (("weight", (32, 32)), ("bias", (32,)))
    }
    torch.save(wanted, tmp_path / "query.pt")
    apply_query(model, read_query(tmp_path / "query.pt"))
    own = dict(model.base_model.named_parameters())
    for key, tensor in wanted.items():
        assert torch.equal(own[key.removeprefix(prefix)], tensor)


def test_query_that_does_not_fit_is_refused(tiny, tmp_path, plain_directories):
    path = tmp_path / "query.pt"

    def key(layer, kind):
        return f"bert.encoder.layer.{layer}.attention.self.cross_lingual_query.{kind}"

    model = tiny.cross_class("bert", "Model").from_pretrained(plain_directories["bert", "Model"])
    one_layer = {key(0, "weight"): torch.zeros(32, 32), key(0, "bias"): torch.zeros(32)}
    torch.save(one_layer, path)
    with pytest.raises(CheckpointError, match="each of the model's 2 layers"):
        apply_query(model, read_query(path))
    narrow = {key(i, kind): torch.zeros(shape) for i in (0, 1) for kind, shape in (("weight", (8, 8)), ("bias", (8,)))}
    torch.save(narrow, path)
    with pytest.raises(CheckpointError, match=r"shape \(8"):
        apply_query(model, read_query(path))
    torch.save({key(0, "weight"): torch.zeros(2, 2)}, path)
    with pytest.raises(CheckpointError, match="counterpart"):
        read_query(path)
    torch.save({**one_layer, "bert.pooler.dense.weight": torch.zeros(2)}, path)
    with pytest.raises(CheckpointError, match="pooler"):
        read_query(path)
    _pickle_with(path, 3)
    with pytest.raises(CheckpointError, match="cannot be read as a file|expected query.pt"):
        read_query(path)
    torch.save(one_layer, path)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(CheckpointError, match="cannot be read as a file|expected query.pt"):
        read_query(path)

"""Passes by oneDNN give what torch gives, and leave to torch what is not for them."""

import os
import subprocess
import sys

import pytest
import torch
from torch.nn.functional import linear

from xlprobe import measure
from xlprobe.encoders import products
from xlprobe.encoders.products import fast_passes, products_by


@pytest.fixture
def one_dnn(monkeypatch):
    """Products by oneDNN whatever the processor; returns how many it has done."""
    if not (torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")):
        pytest.skip("this torch comes without oneDNN")
    monkeypatch.delenv("XLPROBE_ONEDNN", raising=False)
    monkeypatch.setattr(products, "_is_faster", lambda: True)
    done = []
    fits = products._fits

    def counted(*arguments):
        done.append(fits(*arguments))
        return done[-1]

    monkeypatch.setattr(products, "_fits", counted)
    return lambda: sum(done)


def inputs(*shape, **options):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), **options)


@pytest.mark.parametrize(
    ("values", "bias"),
    [
        (inputs(300, 96), True),
        (inputs(4, 50, 96), True),
        (inputs(4, 50, 96), False),
        (inputs(96, 300).T, True),
        (inputs(4, 50, 192)[..., ::2], True),
    ],
    ids=["matrix", "batch", "no bias", "transposed", "strided"],
)
def test_products_are_those_of_torch(one_dnn, values, bias):
    layer = torch.nn.Linear(96, 40, bias=bias)
    with torch.inference_mode():
        expected = layer.double()(values.double())
        layer.float()
        with fast_passes():
            out = layer(values)
    assert one_dnn() == 1
    assert out.shape == expected.shape
    assert out.dtype == torch.float32
    torch.testing.assert_close(out.double(), expected, rtol=0, atol=2e-6)


class Own(torch.Tensor):
    """A kind of tensor of somebody else's."""


def test_other_kinds_of_tensors_are_left_to_torch(one_dnn):
    weight = torch.randn(40, 96).as_subclass(Own)
    with torch.no_grad(), fast_passes():
        assert type(linear(inputs(300, 96), weight)) is Own
    assert one_dnn() == 0


def test_gradients_other_types_and_small_layers_are_left_to_torch(one_dnn):
    layer, values = torch.nn.Linear(96, 40), inputs(300, 96)
    with fast_passes():
        layer(values).sum().backward()
        with torch.no_grad():
            assert torch.equal(layer(values[:2]), linear(values[:2], layer.weight, layer.bias))
            half = layer.bfloat16()(values.bfloat16())
    assert one_dnn() == 0
    assert layer.weight.grad is not None
    assert half.dtype == torch.bfloat16


def test_nothing_changes_after_the_block_or_where_it_is_switched_off(one_dnn, monkeypatch):
    layer, values = torch.nn.Linear(96, 40), inputs(300, 96)
    with torch.no_grad():
        with fast_passes():
            layer(values)
        layer(values)
        assert one_dnn() == 1
        monkeypatch.setenv("XLPROBE_ONEDNN", "off")
        assert products_by() == "torch"
        with fast_passes():
            layer(values)
    assert one_dnn() == 1


def test_what_users_call_multiplies_so(one_dnn, tiny):
    checkpoint, problems = tiny.checkpoint("bert", "ForSequenceClassification"), tiny.problems(4, 8)
    options = {"pairs": "en-fr", "metrics": ["js_stability", "correct"], "show_progress": False}
    results = measure(checkpoint, problems, **options)
    assert one_dnn() > 0
    assert results.manifest["products"] == "oneDNN"


CAPACITIES = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY")


@pytest.mark.parametrize("own", [None, "5"])
def test_few_compiled_programs_are_kept_unless_somebody_says_how_many(one_dnn, monkeypatch, own):
    for name in CAPACITIES:
        monkeypatch.setenv(name, own or "")  # also so that it is afterwards as it was before
        if own is None:
            monkeypatch.delenv(name)
    with fast_passes():
        pass
    assert [os.environ[name] for name in CAPACITIES] == [own or "16"] * 2


def test_memory_does_not_grow_with_the_number_of_lengths():
    code = """
import torch
from xlprobe.encoders import products
products._is_faster = lambda: True
layer = torch.nn.Linear(256, 256)
def held():
    return int(next(line for line in open("/proc/self/status") if line.startswith("RssAnon")).split()[1]) >> 10
def run(lengths):
    for length in lengths:
        with products.fast_passes(), torch.inference_mode():
            layer(torch.zeros(length, 256))
run(range(100, 180))
before = held()
run(range(200, 600))
print(held() - before)
"""
    if sys.platform != "linux" or not torch.backends.mkldnn.is_available():
        pytest.skip("needs Linux and oneDNN")
    environment = {name: value for name, value in os.environ.items() if name not in CAPACITIES}
    grown = subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True)
    assert int(grown.stdout) < 30

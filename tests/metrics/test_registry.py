"""Every metric is registered, and has the properties that it is registered with."""

import importlib
import math
import pkgutil
import subprocess
import sys

import numpy as np
import pytest
import torch

import xlprobe.metrics
from xlprobe.errors import DataError
from xlprobe.metrics import METRICS as KNOWN
from xlprobe.metrics import get_metric

METRICS = {name: metric for name, metric in KNOWN.items() if isinstance(metric.compute, str)}
"""Those that xlprobe comes with."""

RNG_SEEDS = range(5)
NOT_METRICS = {
    "align", "attention_rollout", "block_mass", "by_computation", "compare", "compare_pairs", "get_metric", "halves",
    "head_divergences", "js_divergence", "language_subspace", "metric", "metrics_in", "norm_weighted",
    "online_code_length", "pattern_distance", "profile",
    "profile_entropy", "remove_subspace", "retrieval_items", "value_norms",
}  # fmt: skip
"""Public functions that are steps or batched forms of metrics and have no name of their own in the table."""


def rows(rng, count=6, cells=7):
    return rng.dirichlet(np.full(cells, 0.5), count)


def spaces(rng, items=24, width=6):
    meaning = rng.normal(size=(items, width))
    return [meaning + rng.normal(size=width) + 0.5 * rng.normal(size=meaning.shape) for _ in range(2)]


def rates(name):
    return lambda x, y: xlprobe.metrics.retrieval_rates(x, y)[name]


def probe(name):
    return lambda x, y: getattr(xlprobe.metrics.language_probe({"a": x, "b": y}), name)


def batched(name):
    """The mean over heads and samples of a quantity of a made-up batch of attention."""

    def value(rng):
        positions, context = 12, 6
        segments = torch.tensor([[0] * (context + 2) + [1] * (positions - context - 2)])
        units = torch.tensor([[-1, 0, 0, 1, 1, 2, 2, -1, 3, 3, 3, -1]])
        roles = xlprobe.metrics.Roles.from_ids(segments, units, units < 0)
        pattern = torch.tensor(rng.dirichlet(np.full(positions, 0.3), (1, 2, positions)))
        pooled = xlprobe.metrics.PooledPattern(pattern, roles)
        cross = xlprobe.metrics.PooledPattern(pattern * torch.tensor(rng.random()), roles)
        mass = xlprobe.metrics.block_mass(pooled, "question->context")
        return (
            {
                "attention_distance": lambda: xlprobe.metrics.pattern_distance(pooled),
                "sink_mass": lambda: pooled.profile().sink_mass,
                "cross_lingual_mass": lambda: mass.observed,
                "mass_expectation": lambda: mass.expected,
                "mass_lift": lambda: mass.lift,
                "share_mono": lambda: xlprobe.metrics.query_shares(pooled, cross, "")[0],
                "share_cross": lambda: xlprobe.metrics.query_shares(pooled, cross, "")[1],
            }[name]()
            .flatten()
            .numpy()
        )

    return value


PAIRS = {
    name: (rows, METRICS[name].documented)
    for name in ("js_stability", "total_variation", "cosine", "hellinger", "pearson", "argmax_agreement")
}
PAIRS["norm_js_stability"] = PAIRS["js_stability"]
HEADS = {
    "head_rsa": METRICS["head_rsa"].documented,
    "top_heads_jaccard": lambda a, b: METRICS["top_heads_jaccard"].documented(a, b, 4),
}
SPACES = {
    "cka": METRICS["cka"].documented,
    **{name: rates(name) for name in xlprobe.metrics.RETRIEVALS},
    "language_eta_squared": lambda x, y: METRICS["language_eta_squared"].documented({"a": x, "b": y}),
    "language_probe_accuracy": probe("accuracy"),
    "language_probe_control": probe("control"),
    "language_probe_selectivity": probe("selectivity"),
    "language_mdl_bits": lambda x, y: xlprobe.metrics.language_mdl_bits({"a": x, "b": y})[0],
}
SINGLE = {
    "entropy": lambda rng: METRICS["entropy"].documented(rows(rng)).numpy(),
    "instability": lambda rng: METRICS["instability"].documented(rng.random(9), rng.random(9), rng.random(9)),
    **{
        name: batched(name)
        for name in (
            "attention_distance", "sink_mass", "cross_lingual_mass", "mass_expectation", "mass_lift", "share_mono",
            "share_cross",
        )
    },
}  # fmt: skip
SINGLE["norm_cross_lingual_mass"], SINGLE["norm_mass_lift"] = SINGLE["cross_lingual_mass"], SINGLE["mass_lift"]
OF_MODELS = {
    "knock_out_effect", "head_importance", "ablation_effect", "patching_recovery", "patching_gain", "patching_gap",
    "correct", "gold_margin", "attention", "map_x", "map_y", "tokens_per_word", "typological_distance",
}  # fmt: skip
"""Metrics of models, texts and kept patterns; `tests/measuring` holds them to their properties."""


def in_range(name, values):
    metric = METRICS[name]
    values = np.asarray(values, dtype=float)
    values = values[~np.isnan(values)]
    return len(values) > 0 and bool(((values >= metric.low - 1e-9) & (values <= metric.high + 1e-9)).all())


def test_every_metric_is_tested_here():
    assert set(PAIRS) | set(HEADS) | set(SPACES) | set(SINGLE) | OF_MODELS == set(METRICS)


def test_every_public_function_is_registered_or_named_as_a_step():
    functions = {name for name in xlprobe.metrics.__all__ if callable(getattr(xlprobe.metrics, name))}
    functions = {name for name in functions if name[0].islower()}
    registered = {metric.documented.__name__ for metric in METRICS.values()}
    assert functions - registered == NOT_METRICS


def test_every_module_is_reached_from_the_package():
    for module in pkgutil.iter_modules(xlprobe.metrics.__path__):
        found = importlib.import_module(f"xlprobe.metrics.{module.name}")
        public = {name for name in found.__all__ if getattr(getattr(found, name), "__module__", "") == found.__name__}
        assert public & set(xlprobe.metrics.__all__) or module.name in ("blocks", "compiled", "tensors", "registry"), (
            module.name
        )


@pytest.mark.parametrize("name", sorted(set(METRICS) - OF_MODELS))
def test_formulas_exist_and_are_documented(name):
    metric = METRICS[name]
    text = metric.documented.__doc__
    assert "range" in text.lower() or name in ("instability", "sink_mass")
    assert metric.low < metric.high
    assert metric.label
    assert metric.zero


def tensor(value):
    if isinstance(value, dict):
        return {key: tensor(entry) for key, entry in value.items()}
    return torch.tensor(value) if isinstance(value, tuple) else value


@pytest.mark.parametrize("name", sorted(name for name, metric in METRICS.items() if metric.known))
def test_known_answers(name):
    """What a metric is declared to give for given arguments is what its formula gives."""
    for arguments, expected in METRICS[name].known:
        value = METRICS[name](*(tensor(argument) for argument in arguments))
        assert torch.as_tensor(value).double().flatten().tolist() == pytest.approx(
            np.ravel(expected).tolist(), abs=1e-6
        )


@pytest.mark.parametrize("name", sorted(PAIRS))
def test_comparisons_of_rows(name):
    make, function = PAIRS[name]
    metric = METRICS[name]
    same = 1.0 if metric.direction == "up" else 0.0
    for seed in RNG_SEEDS:
        rng = np.random.default_rng(seed)
        p, q = make(rng), make(rng)
        value, order = function(p, q), rng.permutation(p.shape[1])
        assert in_range(name, value)
        assert metric.symmetric == bool(torch.allclose(value, function(q, p)))
        assert torch.allclose(value, function(p[:, order], q[:, order]))
        assert np.allclose(function(p, p), same, atol=1e-6)
        near = 0.9 * p + 0.1 * q
        closer = function(p, near).mean() - value.mean()
        assert closer >= 0 if metric.direction == "up" else closer <= 0


@pytest.mark.parametrize("name", sorted(HEADS))
def test_comparisons_of_heads(name):
    function = HEADS[name]
    for seed in RNG_SEEDS:
        rng = np.random.default_rng(seed)
        a, b = rng.random(15), rng.random(15)
        order = rng.permutation(15)
        value = function(a, b)
        assert in_range(name, value)
        assert function(b, a) == pytest.approx(value)
        assert function(a[order], b[order]) == pytest.approx(value)
        assert function(a, a) == pytest.approx(1)
        assert function(np.exp(a), b**3) == pytest.approx(value)


@pytest.mark.parametrize("name", sorted(SPACES))
def test_comparisons_of_representations(name):
    function, metric = SPACES[name], METRICS[name]
    for seed in range(2):
        rng = np.random.default_rng(seed)
        x, y = spaces(rng)
        value = function(x, y)
        assert in_range(name, value)
        if metric.symmetric:
            assert function(y, x) == pytest.approx(value), "symmetric"
        rotation = np.linalg.qr(rng.normal(size=(6, 6)))[0]
        order, shift = rng.permutation(len(x)), rng.normal(size=6)
        changed = {
            "rotation": (x @ rotation, y @ rotation),
            "scale": (3 * x, 3 * y),
            "shift": (x + shift, y + shift),
            "language shift": (x + shift, y - shift),
            "order of items": (x[order], y[order]),
        }
        assert set(metric.invariant_to) <= set(changed)
        for change in metric.invariant_to:
            assert function(*changed[change]) == pytest.approx(value, abs=0.03 if "probe" in name else None), change


@pytest.mark.parametrize("name", sorted(SINGLE))
def test_ranges_of_single_patterns(name):
    for seed in RNG_SEEDS:
        assert in_range(name, SINGLE[name](np.random.default_rng(seed)))


def test_neutrality_moves_as_declared():
    """From one language to two: what is declared to go up with neutrality falls, and the other way round."""
    rng = np.random.default_rng(0)
    meaning = rng.normal(size=(60, 8))
    near = [meaning + 0.3 * rng.normal(size=meaning.shape) for _ in range(2)]
    far = [near[0], near[1] @ np.linalg.qr(rng.normal(size=(8, 8)))[0] * 0.5 + 5 * rng.normal(size=8)]
    for name in ("retrieval_raw", "language_eta_squared", "language_probe_accuracy", "language_mdl_bits"):
        difference = SPACES[name](*near) - SPACES[name](*far)
        assert difference > 0 if METRICS[name].direction == "up" else difference < 0, name


def test_unknown_names_are_refused():
    assert get_metric("cka").per == "set"
    with pytest.raises(DataError, match="'stabilty'"):
        get_metric("stabilty")


def test_looking_up_a_metric_imports_nothing_heavy():
    code = "import sys; from xlprobe.metrics import METRICS; print(len(METRICS), 'torch' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.split() == [str(len(METRICS)), "False"]


def test_infinite_ranges_are_declared_as_such():
    assert METRICS["mass_lift"].low == -math.inf
    assert METRICS["language_mdl_bits"].low == 0

"""A made-up table with a baseline and a cross-query checkpoint, small and with every kind of row."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import pytest

LANGUAGES = ("en", "fr", "ar")
LAYERS, HEADS, THEORIES, QUESTIONS = 3, 4, 6, 2
NAMES = {"base": False, "crossed": True}


def _row(**columns: Any) -> dict[str, Any]:
    return {"dataset": "toy", "condition": "observed", "block": "", "pooling": "", "depth": 1} | columns


def _samples() -> list[tuple[str, str]]:
    return [(f"t{t}-q{q}", f"t{t}") for t in range(THEORIES) for q in range(QUESTIONS)]


def _attention(rng: np.random.Generator) -> list[dict[str, Any]]:
    rows = []
    pairs = [("en", c) for c in LANGUAGES[1:]] + [(c, "en") for c in LANGUAGES[1:]]
    owns = [(c, c) for c in LANGUAGES]
    for (name, crossed), (sample, group), layer, head in product(
        NAMES.items(), _samples(), range(LAYERS), range(HEADS)
    ):
        at = {"checkpoint": name, "sample": sample, "group": group, "layer": layer, "head": head}
        for context, question in [*owns, *pairs]:
            pair = {"context_language": context, "question_language": question}
            switched = context != question
            for block in ("question->context", "context->question"):
                value = rng.normal(-0.5 - 0.4 * switched + 0.3 * (switched and crossed), 0.1)
                rows.append(_row(metric="mass_lift", block=block, value=value, **at, **pair))
            shape = {"metric": "entropy", "block": "question->context", "pooling": "token"}
            rows.append(_row(value=rng.uniform(0.4, 0.9), **shape, **at, **pair))
            if crossed:
                share = 1.0 if not switched else rng.uniform(0.2, 0.6)
                rows.append(_row(metric="share_mono", block="question->context", value=share, **at, **pair))
                rows.append(_row(metric="share_cross", block="question->context", value=1 - share, **at, **pair))
            kinds = (
                ["observed", "forced"] if crossed and switched else ["observed"] if switched else ["floor", "chance"]
            )
            for block, kind in product(("question->context", "context->context", "cls->context"), kinds):
                level = {"observed": 0.9 + 0.05 * crossed, "forced": 0.97, "floor": 0.98, "chance": 0.6}[kind]
                stable = {
                    "metric": "js_stability",
                    "block": block,
                    "pooling": "token",
                    "reference": f"{context}-{context}",
                }
                value = np.clip(rng.normal(level, 0.02), 0, 1)
                rows.append(_row(value=value, **stable | {"condition": kind}, **at, **pair))
    return rows


def _sentences(rng: np.random.Generator) -> list[dict[str, Any]]:
    rows = []
    for name, (sample, group), layer, (context, question) in product(
        NAMES, _samples(), range(LAYERS + 1), [("en", "fr"), ("en", "ar"), ("fr", "en"), ("ar", "en")]
    ):
        at = {"checkpoint": name, "sample": sample, "group": group, "layer": layer}
        raw, centred = rng.random() < 0.5, rng.random() < 0.8
        for metric, value in (
            ("retrieval_raw", raw),
            ("retrieval_centred", centred),
            ("neutrality_gap", centred - raw),
        ):
            rows.append(
                _row(metric=metric, value=float(value), context_language=context, question_language=question, **at)
            )
    return rows


def _outputs(rng: np.random.Generator) -> list[dict[str, Any]]:
    rows = []
    for (name, crossed), (sample, group), context, question in product(NAMES.items(), _samples(), LANGUAGES, LANGUAGES):
        right = float(rng.random() < (0.9 if context == question or crossed else 0.6))
        rows.append(
            _row(metric="correct", value=right, checkpoint=name, sample=sample, group=group, context_language=context,
                 question_language=question)
        )  # fmt: skip
    return rows


def _sets(rng: np.random.Generator) -> list[dict[str, Any]]:
    """Values of whole sets of sentences, positions on a map, and what is known of languages."""
    rows = []
    for name, layer in product(NAMES, range(LAYERS + 1)):
        at = {"checkpoint": name, "layer": layer}
        for one, other in (("en", "fr"), ("en", "ar"), ("fr", "ar")):
            rows.append(
                _row(metric="cka", value=0.2 * layer + 0.1, context_language=one, question_language=other, **at)
            )
        for metric, value in (
            ("language_probe_accuracy", 0.9), ("language_probe_control", 0.4), ("language_probe_selectivity", 0.5),
            ("language_eta_squared", 0.3), ("language_mdl_bits", 40.0),
        ):  # fmt: skip
            rows.append(_row(metric=metric, value=value - 0.02 * layer, **at))
    for name, kind, number, code in product(NAMES, ("raw", "centred"), range(12), LANGUAGES):
        for metric in ("map_x", "map_y"):
            where = {"sample": f"sentence-{number}", "context_language": code, "question_language": code}
            value = rng.normal(3 * LANGUAGES.index(code) * (kind == "raw") * (metric == "map_x"), 1)
            rows.append(_row(metric=metric, value=value, checkpoint=name, layer=LAYERS, **where | {"condition": kind}))
    for name, (code, value, far) in product(NAMES, (("en", 1.2, 0.0), ("fr", 1.5, 0.4), ("ar", 2.1, 0.6))):
        where = {"checkpoint": name, "context_language": "en", "question_language": code}
        rows.append(_row(metric="tokens_per_word", value=value, **where))
        rows.append(_row(metric="typological_distance", block="syntactic", value=far, **where))
    return rows


def _effects(rng: np.random.Generator) -> list[dict[str, Any]]:
    rows = []
    for name, (sample, group), question in product(NAMES, _samples()[::2], ("en", "fr", "ar")):
        at = {"checkpoint": name, "sample": sample, "group": group, "context_language": "en",
              "question_language": question}  # fmt: skip
        for layer, block, kind in product(
            (None, *range(LAYERS)), ("question->context", "cls->context"), ("observed", "control", "net")
        ):
            value = rng.normal(-1.0 if kind != "control" else 0.0, 0.3)
            rows.append(
                _row(metric="knock_out_effect", block=block, value=value, layer=layer, **at | {"condition": kind})
            )
        for layer, head in product(range(LAYERS), range(HEADS)):
            rows.append(_row(metric="head_importance", value=rng.exponential(0.1), layer=layer, head=head, **at))
        for layer in range(LAYERS) if question != "en" else ():
            gain = rng.normal(2 * layer / LAYERS, 0.4)
            rows.append(_row(metric="patching_gain", value=gain, layer=layer, **at))
        if question != "en":
            # In Arabic the base loses nothing, so that there is nothing to recover.
            gap = 2.0 if (name, question) != ("base", "ar") else 0.1
            rows.append(_row(metric="patching_gap", value=rng.normal(gap, 0.2), **at))
    return rows


def make_steps(seed: int = 0) -> pd.DataFrame:
    """Accuracy, and stability with its floor, of both checkpoints at three steps of training."""
    rng = np.random.default_rng(seed)
    rows = []
    for name, step, (sample, group), (c, q) in product(NAMES, (0, 10, 20), _samples(), (("en", "en"), ("en", "fr"))):
        value = float(rng.random() < 0.5 + step / 50)
        rows.append(
            _row(metric="correct", value=value, step=step, checkpoint=name, sample=sample, group=group,
                 context_language=c, question_language=q)
        )  # fmt: skip
        stable = {"metric": "js_stability", "block": "question->context", "pooling": "token", "reference": "en-en"}
        rows.append(
            _row(value=rng.normal(0.9 - step / 400, 0.01), step=step, checkpoint=name, sample=sample, group=group,
                 context_language=c, question_language=q, layer=0, head=0,
                 **stable | {"condition": "floor" if c == q else "observed"})
        )  # fmt: skip
    return pd.DataFrame(rows)


def make_frame(seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(_attention(rng) + _sentences(rng) + _outputs(rng) + _sets(rng) + _effects(rng))
    # One head that is never defined, so that it must be hatched.
    lost = (frame["metric"] == "js_stability") & (frame["layer"] == 2) & (frame["head"] == 3)
    frame.loc[lost & (frame["block"] == "question->context"), "value"] = np.nan
    return frame


MANIFEST = {
    "created": "2024-01-01T00:00:00+00:00",
    "arguments": {"base": "en", "seed": 0, "pairs": ["en-fr", "en-ar", "fr-en", "ar-en"]},
    "checkpoints": {
        name: {"spec": name, "sha256": "0" * 64, "is_cross_query": crossed, "head": "classification", "layers": LAYERS,
               "heads": HEADS, "trained_on": ["en-en", "en-fr"] if crossed else ["en-en"]}
        for name, crossed in NAMES.items()
    },
    "data": {"datasets": ["toy"], "samples": THEORIES * QUESTIONS, "groups": THEORIES, "languages": list(LANGUAGES)},
    "versions": {"python": "3.11"},
}  # fmt: skip


@pytest.fixture(scope="session")
def frame() -> pd.DataFrame:
    return make_frame()


def make_results(frame: pd.DataFrame) -> Any:
    """Join the made-up table with the rows of the made-up patterns."""
    from xlprobe.plots import attention_rows
    from xlprobe.results import Results

    rows = attention_rows(make_kept())
    joined = Results.concat([Results(frame, MANIFEST), rows])
    joined.manifest = {**MANIFEST, **rows.manifest}
    return joined


@pytest.fixture(scope="session")
def results(frame: pd.DataFrame) -> Any:
    return make_results(frame)


@pytest.fixture(scope="session")
def runs(frame: pd.DataFrame) -> Any:
    """The made-up table as if each checkpoint had been trained three times."""
    rng = np.random.default_rng(0)
    spread = 0.01 * (frame["metric"] != "tokens_per_word")  # training changes no tokenizer
    several = [
        frame.assign(seed=seed, value=frame["value"] + spread * rng.normal(size=len(frame))) for seed in range(3)
    ]
    return make_results(pd.concat(several, ignore_index=True))


@pytest.fixture(scope="session")
def steps() -> Any:
    from xlprobe.results import Results

    return Results(make_steps(), MANIFEST)


@pytest.fixture(scope="session")
def manifest() -> dict[str, Any]:
    return MANIFEST


TEXTS = {
    "en": ("Anne is kind.", "Bob is big.", "Bob is big."),
    "fr": ("Anne est gentille.", "Bob est grand.", "Bob est grand."),
    "ar": ("آن طيبة.", "بوب كبير.", "بوب كبير."),
}


def _kept(checkpoint: str, crossed: bool, key: str, context: str, question: str, rng: np.random.Generator) -> Any:

    units = [*TEXTS[context][:2], TEXTS[question][2]]
    tokens, unit_ids, segment_ids = ["<s>"], [-1], [0]
    for number, text in enumerate(units):
        words = [f"▁{word}" for word in text.split()]
        tokens += words + (["</s>"] if number > 0 else [])
        unit_ids += [number] * len(words) + ([-1] if number > 0 else [])
        segment_ids += [int(number == 2)] * (len(words) + (number > 0))
    size = len(tokens)
    raw = rng.gamma(0.5, size=(LAYERS, HEADS, size, size)) + 1e-9
    pattern = raw / raw.sum(axis=-1, keepdims=True)
    share = rng.uniform(size=pattern.shape) if crossed and context != question else np.ones(pattern.shape)
    layers = {"pattern": list(pattern.astype(np.float16))}
    if crossed:
        layers["mono"] = list((pattern * share).astype(np.float16))
        layers["cross"] = list((pattern * (1 - share)).astype(np.float16))
    from xlprobe.results.patterns import KeptPattern
    from xlprobe.samples.types import Sample

    sample = Sample(key, key.split("-")[0], "made-up", context, question, tuple(units[:2]), units[2])

    return KeptPattern(
        checkpoint, sample, tokens, np.array(segment_ids), np.array(unit_ids), np.array(unit_ids) < 0, layers
    )


def make_kept() -> list[Any]:
    rng = np.random.default_rng(1)
    pairs = [(c, c) for c in LANGUAGES] + [("en", "fr"), ("en", "ar"), ("ar", "en")]
    return [
        _kept(name, crossed, key, *pair, rng)
        for (name, crossed), key, pair in product(NAMES.items(), ("t0-q0", "t1-q0"), pairs)
    ]


@pytest.fixture(scope="session")
def kept() -> list[Any]:
    return make_kept()

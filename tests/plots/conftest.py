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


def make_frame(seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(_attention(rng) + _sentences(rng) + _outputs(rng))
    # One head that is never defined, so that it must be hatched.
    lost = (frame["metric"] == "js_stability") & (frame["layer"] == 2) & (frame["head"] == 3)
    frame.loc[lost & (frame["block"] == "question->context"), "value"] = np.nan
    return frame


MANIFEST = {
    "created": "2024-01-01T00:00:00+00:00",
    "arguments": {"base": "en", "seed": 0, "pairs": ["en-fr", "en-ar", "fr-en", "ar-en"]},
    "checkpoints": {
        name: {"spec": name, "sha256": "0" * 64, "is_cross_query": crossed, "head": "classification", "layers": LAYERS,
               "heads": HEADS}
        for name, crossed in NAMES.items()
    },
    "data": {"datasets": ["toy"], "samples": THEORIES * QUESTIONS, "groups": THEORIES, "languages": list(LANGUAGES)},
    "versions": {"python": "3.11"},
}  # fmt: skip


@pytest.fixture(scope="session")
def frame() -> pd.DataFrame:
    return make_frame()


@pytest.fixture(scope="session")
def results(frame: pd.DataFrame) -> Any:
    from xlprobe.results import Results

    return Results(frame, MANIFEST)


@pytest.fixture(scope="session")
def manifest() -> dict[str, Any]:
    return MANIFEST


TEXTS = {
    "en": ("Anne is kind.", "Bob is big.", "Bob is big."),
    "fr": ("Anne est gentille.", "Bob est grand.", "Bob est grand."),
    "ar": ("آن طيبة.", "بوب كبير.", "بوب كبير."),
}


def _kept(checkpoint: str, crossed: bool, key: str, context: str, question: str, rng: np.random.Generator) -> Any:
    from types import SimpleNamespace

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
    sample = SimpleNamespace(
        key=key, context_language=context, question_language=question, context=tuple(units[:2]), question=units[2]
    )
    from xlprobe.captures.patterns import KeptPattern

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

"""Patterns made small enough for a page: roots of weights in whole steps, compressed, one block per layer."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import numpy as np

from xlprobe.errors import ResultsError
from xlprobe.languages import get_language
from xlprobe.plots.style import language_colour

if TYPE_CHECKING:
    from xlprobe.results.patterns import KeptPattern

__all__ = ["explorer_data", "pool_slots", "quantise", "slots_of"]

SPACELESS = ("zh", "ja", "th")
TERMS = ("pattern", "mono", "cross")
LEVELS = (255, 63, 31, 15, 7)
BUDGET = 9_500_000
"""Bytes of base64 text for patterns token by token; patterns unit by unit are always there."""


def quantise(weights: np.ndarray, levels: int = 255) -> np.ndarray:
    """Return attention weights in [0, 1] as uint8: the root in `levels` steps, so that small weights stay apart.

    Read back as (q / levels)^2; the error is at most 1 / levels of a weight's root.
    """
    return np.round(np.sqrt(np.clip(weights.astype(np.float32), 0, 1)) * levels).astype(np.uint8)


def slots_of(kept: KeptPattern) -> np.ndarray:
    """Return the slot of every token: its unit's place in the sequence; a special token has a slot of its own."""
    slots = np.zeros(len(kept.tokens), dtype=np.int64)
    for place in range(1, len(slots)):
        same = (
            kept.unit_ids[place] == kept.unit_ids[place - 1] and not kept.special[place] and not kept.special[place - 1]
        )
        slots[place] = slots[place - 1] + (not same)
    return slots


def words_of(kept: KeptPattern, slots: np.ndarray) -> np.ndarray:
    """Return the word of every token, from 0: pieces that a tokenizer marks as going on belong to the word before.

    Where marks say nothing of words (Chinese), every piece is a word.
    """
    opens = any(token.startswith(("▁", "Ġ")) for token in kept.tokens)
    words = np.zeros(len(kept.tokens), dtype=np.int64)
    for place in range(1, len(words)):
        token = kept.tokens[place]
        goes_on = not token.startswith(("▁", "Ġ")) if opens else token.startswith("##")
        spaceless = kept.sample.question_language if kept.segment_ids[place] == 1 else kept.sample.context_language
        joined = goes_on and slots[place] == slots[place - 1] and get_language(spaceless).code not in SPACELESS
        words[place] = words[place - 1] + (not joined)
    return words


def pool_slots(pattern: np.ndarray, slots: np.ndarray) -> np.ndarray:
    """Return (layer, head, slot, slot): weights summed over a slot's keys and averaged over its queries."""
    member = np.eye(int(slots.max()) + 1)[slots]
    return (member / member.sum(axis=0)).T @ pattern.astype(np.float64) @ member  # type: ignore[no-any-return]


def _blocks(pattern: np.ndarray, levels: int) -> list[str]:
    return [
        base64.b64encode(zlib.compress(np.ascontiguousarray(layer).tobytes(), 6)).decode()
        for layer in quantise(pattern, levels)
    ]


def _terms(kept: KeptPattern) -> list[str]:
    """Return the terms worth storing: on in-language samples all is Q's, so that the pattern alone says it."""
    if "mono" in kept.layers and "cross" in kept.layers and any(np.any(part) for part in kept.layers["cross"]):
        return list(TERMS)
    return ["pattern"]


def _item(kept: KeptPattern, problem: int, crossed: bool) -> dict[str, Any]:
    sample = kept.sample
    slots = slots_of(kept)
    texts = list(sample.context) + ([sample.question] if sample.question is not None else [])
    first = [int(np.flatnonzero(slots == slot)[0]) for slot in range(int(slots.max()) + 1)]
    item = {
        "checkpoint": kept.checkpoint,
        "problem": problem,
        "context": sample.context_language,
        "question": sample.question_language,
        "crossed": crossed,
        "tokens": list(kept.tokens),
        "slots": slots.tolist(),
        "words": words_of(kept, slots).tolist(),
        "slotSegments": [int(kept.segment_ids[place]) for place in first],
        "slotUnits": [-1 if kept.special[place] else int(kept.unit_ids[place]) for place in first],
        "slotTexts": [kept.tokens[p] if kept.special[p] else texts[int(kept.unit_ids[p])] for p in first],
        "slotLanguages": [
            ""
            if kept.special[p]
            else (sample.question_language if kept.segment_ids[p] == 1 else sample.context_language)
            for p in first
        ],
        "unit": {},
        "token": None,
        "levels": 0,
    }
    for term in _terms(kept):
        pattern = kept.pattern(term)
        assert pattern is not None
        item["layers"], item["heads"] = pattern.shape[:2]
        item["unit"][term] = _blocks(pool_slots(pattern, slots), 255)
    return item


def _tokenwise(kept: KeptPattern, levels: int, step: int = 1) -> dict[str, list[str]]:
    """Return the blocks of every `step`-th layer; the combined pattern is the sum of its terms and not stored twice."""
    terms = [term for term in _terms(kept) if term != "pattern"] or ["pattern"]
    return {term: _blocks(np.stack(kept.layers[term][::step]), levels) for term in terms}


def _tokens_size(kept: KeptPattern, levels: int) -> float:
    """Estimate the size of a version's blocks from every fourth layer."""
    layers = len(next(iter(kept.layers.values())))
    return _size(_tokenwise(kept, levels, 4)) * layers / len(range(0, layers, 4))


def _fits(members: Iterable[KeptPattern], levels: int, share: int) -> bool:
    """Return whether all these are likely to fit; the rest is not packed once some do not."""
    return all(size <= share for size in accumulate(_tokens_size(one, levels) for one in members))


def _size(terms: dict[str, list[str]]) -> int:
    return sum(len(block) for blocks in terms.values() for block in blocks)


def _add_tokens(items: list[dict[str, Any]], kept: Sequence[KeptPattern], keys: list[str], budget: int) -> None:
    """Add patterns token by token, the shortest problem first, each as finely as its share of what is left allows."""
    shortest = {key: min(len(one.tokens) for one in kept if one.sample.key == key) for key in keys}
    for turn, key in enumerate(sorted(keys, key=lambda name: shortest[name])):
        members = [place for place, one in enumerate(kept) if one.sample.key == key]
        # The coarsest step that all problems get comes before the finer steps of the first.
        share = budget if turn == len(keys) - 1 else budget // 3
        fitting = (levels for levels in LEVELS if _fits([kept[place] for place in members], levels, share))
        levels = next(fitting, LEVELS[-1])
        for place in members:
            packed = _tokenwise(kept[place], levels)
            if (size := _size(packed)) <= budget:
                items[place]["token"], items[place]["levels"] = packed, levels
                budget -= size


def explorer_data(kept: Sequence[KeptPattern], budget: int = BUDGET) -> dict[str, Any]:
    """Return what the explorer shows: every version's pattern unit by unit, and token by token within `budget` bytes.

    Problems come in token by token, shortest first, until the budget is spent; steps get coarser before a version is
    left out. Raises `ResultsError` without patterns.
    """
    if not kept:
        raise ResultsError("got no patterns to explore; keep some with measure(..., keep_patterns=[keys], kept=list)")
    keys = list(dict.fromkeys(one.sample.key for one in kept))
    crossed = {one.checkpoint for one in kept if "cross" in one.layers}
    items = [_item(one, keys.index(one.sample.key), one.checkpoint in crossed) for one in kept]
    _add_tokens(items, kept, keys, budget)
    codes = sorted({code for item in items for code in (item["context"], item["question"])})
    return {
        "languages": {
            code: {
                "name": get_language(code).name,
                "direction": get_language(code).direction,
                "colour": language_colour(code),
            }
            for code in codes
        },
        "problems": [{"key": key, "label": _label(kept, key)} for key in keys],
        "checkpoints": list(dict.fromkeys(one.checkpoint for one in kept)),
        "items": items,
        "tokenwise": sum(item["token"] is not None for item in items),
    }


def _label(kept: Sequence[KeptPattern], key: str) -> str:
    """Name a problem by its question, in the first language that it is there in."""
    sample = next(one.sample for one in kept if one.sample.key == key)
    text = sample.question if sample.question is not None else sample.context[0]
    return f"{key}: {text}" if len(key) <= 12 else text

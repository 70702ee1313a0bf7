"""Patterns made small enough for a page: roots of weights in whole steps, compressed, one block per layer."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from xlprobe.errors import ResultsError
from xlprobe.languages import get_language
from xlprobe.plots.style import language_colour

if TYPE_CHECKING:
    from xlprobe.measuring.patterns import KeptPattern

__all__ = ["explorer_data", "pool_slots", "quantise", "slots_of"]

TERMS = ("pattern", "mono", "cross")
LEVELS = (255, 63, 31)
BUDGET = 2_600_000
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


def pool_slots(pattern: np.ndarray, slots: np.ndarray) -> np.ndarray:
    """Return (layer, head, slot, slot): weights summed over a slot's keys and averaged over its queries."""
    member = np.eye(int(slots.max()) + 1)[slots]
    return np.einsum("lhqk,qs,kt->lhst", pattern.astype(np.float64), member / member.sum(axis=0), member)


def _blocks(pattern: np.ndarray, levels: int) -> list[str]:
    return [
        base64.b64encode(zlib.compress(np.ascontiguousarray(layer).tobytes(), 9)).decode()
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


def _tokenwise(kept: KeptPattern, levels: int) -> dict[str, list[str]]:
    # The combined pattern is the sum of its terms, so it is not stored twice.
    terms = [term for term in _terms(kept) if term != "pattern"] or ["pattern"]
    found = {}
    for term in terms:
        pattern = kept.pattern(term)
        assert pattern is not None
        found[term] = _blocks(pattern, levels)
    return found


def _size(terms: dict[str, list[str]]) -> int:
    return sum(len(block) for blocks in terms.values() for block in blocks)


def explorer_data(kept: Sequence[KeptPattern], budget: int = BUDGET) -> dict[str, Any]:
    """Return what the explorer shows: every version's pattern unit by unit, and token by token within `budget` bytes.

    Problems come in, shortest first, token by token until the budget is spent; the steps get coarser before a problem
    is left out. Raises `ResultsError` without patterns.
    """
    if not kept:
        raise ResultsError("got no patterns to explore; keep some with measure(..., keep_patterns=[keys], kept=list)")
    keys = list(dict.fromkeys(one.sample.key for one in kept))
    crossed = {one.checkpoint for one in kept if "cross" in one.layers}
    items = [_item(one, keys.index(one.sample.key), one.checkpoint in crossed) for one in kept]
    spent = 0
    order = sorted(
        range(len(keys)), key=lambda number: min(len(k.tokens) for k in kept if k.sample.key == keys[number])
    )
    for number in order:
        if spent >= budget:
            break
        members = [place for place, one in enumerate(kept) if one.sample.key == keys[number]]
        for levels in LEVELS:
            packed = {place: _tokenwise(kept[place], levels) for place in members}
            size = sum(map(_size, packed.values()))
            if spent + size <= budget or levels == LEVELS[-1]:
                break
        for place in members:
            if spent + _size(packed[place]) <= budget:
                items[place]["token"], items[place]["levels"] = packed[place], levels
                spent += _size(packed[place])
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

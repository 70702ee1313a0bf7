"""Small rows of each format, and a writer of them."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

THEORY = {
    "id": "T-1",
    "context": "Anne is kind. If someone is kind then they are big.",
    "questions": [
        {"text": "Anne is big.", "label": True, "meta": {"QDep": 1, "QLen": 3, "strategy": "proof"}},
        {"text": "Anne is red.", "label": False, "meta": {"QDep": 0, "QLen": "", "strategy": "random"}},
    ],
}
FRENCH = {
    "id": "T-1",
    "context": "Anne est gentille. Si quelqu'un est gentil, il est grand.",
    "questions": [
        {"text": "Anne est grande.", "label": True, "meta": {"QDep": 1}},
        {"text": "Anne est rouge.", "label": False, "meta": {"QDep": 0}},
    ],
}
LEAP = {"id": "a", "context": "A bee is an insect. An insect has legs.", "phrase": "A bee has legs.", "answer": 1}
XNLI = {
    "premise_en": "A.",
    "premise_fr": "B.",
    "hypothesis_en": "C.",
    "hypothesis_fr": "D.",
    "gold_label": "neutral",
}
TAGGED = {
    "sent_id": "s1",
    "text": "Ja, çok gut!",
    "tokens": ["Ja", ",", "çok", "gut", "!"],
    "csid": ["DE", "OTHER", "TR", "MIXED", "OTHER"],
}


def write(path: Path, rows: list[Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


@pytest.fixture
def rows() -> SimpleNamespace:
    """One row of each format, and `write(path, rows)`."""
    return SimpleNamespace(theory=THEORY, french=FRENCH, leap=LEAP, xnli=XNLI, tagged=TAGGED, write=write)

"""Whatever a line holds: every row becomes a sample, or an error or a remark names it; none is lost."""

from __future__ import annotations

import json
import random

import pytest

from xlprobe.errors import DataError
from xlprobe.samples.readers import Rejections, read

ROWS = {
    "flat": {
        "context_en": "A b. C d.",
        "context_fr": "E f. G h.",
        "question_en": "I?",
        "question_fr": "J ?",
        "label": 1,
    },
    "xnli": {"premise_en": "A.", "premise_fr": "B.", "hypothesis_en": "C.", "hypothesis_fr": "D.", "label": "neutral"},
    "parallel": {"en": "A.", "fr": "B."},
    "tagged": {"text": "Ja, tamam!", "tokens": ["Ja", ",", "tamam", "!"], "csid": ["de", "other", "tr", "other"]},
    "leap_of_thought": {"context": "A bee is big. A bee has legs.", "phrase": "A bee has legs.", "answer": 1},
    "jsonl": {"key": "k", "context": {"en": ["A."], "fr": ["B."]}, "question": {"en": "C?", "fr": "D ?"}, "label": 0},
}
VALUES = [
    None,
    True,
    -1,
    0,
    2,
    10**30,
    1.5,
    "",
    " ",
    "x",
    "\u2028",
    "\ud800",
    [],
    ["x"],
    [[1]],
    {},
    {"en": "x"},
    "]" * 99,
]


def mutated(row: dict, draw: random.Random) -> str:
    row = dict(row)
    for _ in range(draw.choice((0, 1, 1, 2))):
        name = draw.choice(list(row) or ["x"])
        change = draw.randrange(4)
        if change == 0:
            row[name] = draw.choice(VALUES)
        elif change == 1:
            row.pop(name, None)
        elif change == 2:
            row[draw.choice(["extra", "label", "context", "en", "id", "zz"])] = draw.choice(VALUES)
        elif isinstance(row.get(name), str):
            row[name] = row[name] + draw.choice([" ", "\t", "\u0000", "“", "。", "\r", "é", "\u200f"])
    line = json.dumps(row, ensure_ascii=draw.random() < 0.5).encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    if draw.random() < 0.3:
        place = draw.randrange(len(line))
        line = (
            line[:place]
            + draw.choice(["", "\u0000", '"', "{", "}", "[", "\\", "\\ud800", "1", ","])
            + line[place + 1 :]
        )
    return line.replace("\n", " ")


@pytest.mark.parametrize("count", [600, pytest.param(10_000, marks=pytest.mark.slow)])
def test_no_row_is_lost(tmp_path, count):
    draw, outcomes = random.Random(count), {"read": 0, "refused": 0}
    path = tmp_path / "rows"
    for number in range(count):
        form = list(ROWS)[number % len(ROWS)]
        lines = [json.dumps(ROWS[form] | {"key": f"k{place}"} if form == "jsonl" else ROWS[form]) for place in (0, 1)]
        lines.insert(1, mutated(ROWS[form], draw))
        path.write_bytes("\n".join(lines).encode("utf-8", "replace"))
        found = Rejections()
        options = {"rejections": found} if form == "leap_of_thought" else {}
        try:
            got = len(list(read(path, form, **options))) + sum(not item.kept for item in found.items)
        except DataError as error:
            outcomes["refused"] += "\n" not in str(error) and len(str(error)) < 2000
        else:
            outcomes["read"] += got == 3
    assert sum(outcomes.values()) == count
    assert min(outcomes.values()) > count / 10

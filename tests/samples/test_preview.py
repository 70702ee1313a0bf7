from __future__ import annotations

import io
import re

import pytest

from xlprobe.samples import RULETAKER, ParallelSample, generate
from xlprobe.samples.preview import show


def printed(sample, width, languages=None):
    from rich.console import Console

    stream = io.StringIO()
    show(sample, languages, Console(file=stream, width=width))
    return stream.getvalue()


def problem(**changes):
    languages = ("en", "fr", "ar", "zh")
    fields = {
        "key": "k",
        "group": "g",
        "dataset": "d",
        "context": {code: (f"{code} one.", f"{code} [bold]two[/bold].") for code in languages},
        "question": {code: f"{code} asked." for code in languages},
        "label": 1,
        "depth": 1,
        "meta": {},
    }
    return ParallelSample(**(fields | changes))


@pytest.mark.parametrize(("width", "tables"), [(300, 1), (80, 2), (40, 4)])
def test_languages_stand_side_by_side_as_the_width_allows(width, tables):
    text = printed(problem(), width)
    assert text.count("┏") == tables
    assert max(map(len, text.splitlines())) <= width
    for code in ("en", "fr", "ar", "zh"):
        assert f"{code} one." in text
        assert f"{code} asked." in text


def test_text_is_never_read_as_markup():
    assert "en [bold]two[/bold]." in printed(problem(), 200)


def test_only_the_languages_asked_for():
    text = printed(problem(), 200, ("zh",))
    assert "zh one." in text
    assert "en one." not in text


def test_right_to_left_is_aligned_to_the_right():
    row = next(line for line in printed(problem(), 200, ("en", "ar")).splitlines() if "ar one." in line)
    _, _, english, arabic, _ = row.split("│")
    assert english.startswith(" en one.")
    assert arabic.endswith("ar one.\u2069 ")


@pytest.mark.parametrize("width", [40, 90, 200])
def test_each_right_to_left_line_is_isolated_within_its_cell(width):
    from rich.cells import cell_len

    texts = {
        "ar": "إذا كان شيء ما مكسوًا بالفرو، فإنه يحتاج إلى البقرة.",
        "fa": "اگر چیزی پشمالو باشد، آنگاه آن بزرگ است.",
    }
    sample = problem(context={code: (text,) for code, text in texts.items()}, question={})
    lines = printed(sample, width).splitlines()
    cells = [cell for line in lines for cell in line.split("│") if any("\u0600" < sign < "\u0700" for sign in cell)]
    assert all(re.fullmatch(" +\u2067[^\u2067\u2069]+\u2069 ", cell) for cell in cells)
    said = " ".join(cell.strip(" \u2067\u2069") for cell in cells)
    assert sorted(said.split()) == sorted(" ".join(texts.values()).split())
    assert len({cell_len(line) for line in lines if line[:1] in "│┏└"}) == 1


@pytest.mark.parametrize("width", [40, 61, 80, 120])
def test_nothing_is_cut_off(width):
    codes = ("en", "de", "zh", "ar")
    for sample in generate(10, questions=1, languages=codes, seed=1, **RULETAKER):
        for code in codes:
            text = printed(sample, width, (code,))
            cells = [re.sub("[\u2067\u2069]", "", line.split("│")[2]) for line in text.splitlines() if "│" in line]
            units = (*sample.context[code], sample.question[code])
            assert "".join("".join(cells).split()) == "".join("".join(units).split())
            assert "…" not in text


def test_left_to_right_takes_no_isolates():
    assert "\u2067" not in printed(problem(), 200, ("en", "fr", "zh"))


def test_the_proof_marks_its_units():
    proof = [
        {"statement": 1, "depth": 0, "gives": "Anne is big.", "from": []},
        {"statement": 0, "depth": 1, "gives": "Anne is red.", "from": ["Anne is big."]},
    ]
    text = printed(problem(meta={"proof": proof}), 200)
    assert "1 [1]" in text
    assert "2 [0]" in text
    assert "depth 0: Anne is big. (sentence 2)" in text
    assert "depth 1: Anne is red. (sentence 1, from: Anne is big.)" in text


def test_what_the_closed_world_decides_says_so():
    assert "the closed world decides" in printed(problem(meta={"proof": [], "by_failure": True}), 200)


def test_plain_sentences_have_no_question():
    text = printed(problem(question={}, label=None, depth=None), 200)
    assert "?" not in text
    assert "label" not in text

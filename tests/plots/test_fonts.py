"""Text that no font here can draw is counted, and the caption says what to install."""

from __future__ import annotations

import string
from typing import Any

import pytest

from xlprobe import plots
from xlprobe.plots import fonts


@pytest.fixture
def latin_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fonts, "_known", lambda family: frozenset(map(ord, string.printable + "…")))


def test_the_letters_without_a_font_are_named_once_each(latin_only: None) -> None:
    assert fonts.missing_glyphs(["a 安 b", "安妮"]) == "妮安"
    assert fonts.missing_note(["Anne is kind."]) is None


def test_the_caption_says_that_there_are_boxes_and_what_to_install(latin_only: None, results: Any) -> None:
    figure = plots.attention_maps(results)
    assert (
        "characters of the text have no font on this machine and are shown as boxes: install a font" in figure.caption
    )
    assert "fonts-noto-cjk" in " ".join(text.get_text().replace("\n", " ") for text in figure.texts)


def test_where_all_letters_have_a_font_the_caption_says_nothing(results: Any) -> None:
    if fonts.missing_glyphs("آن طيبة."):
        pytest.skip("no font with Arabic letters here")
    assert "boxes" not in plots.attention_maps(results).caption


def test_titles_leave_out_the_fonts_without_a_bold_face(results: Any) -> None:
    title = plots.stability_by_layer(results).texts[0]
    assert title.get_fontweight() == "bold"
    assert set(title.get_fontfamily()) == set(fonts.latin(fonts.families()))

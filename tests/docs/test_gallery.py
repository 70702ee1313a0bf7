"""The gallery shows every figure, with a line that draws it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from by_path import load

from xlprobe import plots


@pytest.fixture(scope="module")
def gallery() -> Any:
    return load("docs/gallery.py")


@pytest.fixture(scope="module")
def written(gallery: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page, with the few figures drawn that are quick."""
    patch = pytest.MonkeyPatch()
    quick = {name: plots.FIGURES[name] for name in ("transfer_matrix", "cka_matrix", "dynamics_over_steps")}
    patch.setattr(plots, "FIGURES", quick)
    patch.setattr(gallery, "SHIPPED", Path("nowhere"))
    place = tmp_path_factory.mktemp("gallery")
    gallery.write(place / "gallery", place / "cache")
    patch.undo()
    return place / "gallery"


def test_every_figure_is_there_once_and_its_line_draws_it(gallery: Any, results: Any) -> None:
    found = gallery.entries()
    assert [one.figure.name for one in found] == list(plots.FIGURES)
    for one in found:
        assert one.text().count("```python\n") == 1
        name = re.fullmatch(r"plots\.(\w+)\(results\)", one.line)
        assert name is not None
        assert getattr(plots, name[1]) is one.figure
        assert one.figure.title in one.text()
    drawn = eval(found[2].line, {"plots": plots, "results": results})
    assert len(drawn.numbers) > 0


def test_a_page_with_its_pictures_is_written(written: Path) -> None:
    text = (written / "index.md").read_text(encoding="utf-8")
    pictures = re.findall(r"!\[.*?\]\((.*?)\)", text)
    assert pictures == ["palette.png", "transfer_matrix.png", "cka_matrix.png", "dynamics_over_steps.png"]
    for name in pictures:
        assert (written / name).stat().st_size > 5000, name
    assert text.count("made-up numbers") == 3


def test_what_was_drawn_is_not_drawn_again(gallery: Any, written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plots, "FIGURES", {"cka_matrix": plots.cka_matrix})
    monkeypatch.setattr(gallery, "SHIPPED", Path("nowhere"))
    monkeypatch.setattr(gallery, "palette_picture", lambda: pytest.fail("drawn again"))
    monkeypatch.setattr(type(plots.cka_matrix), "__call__", lambda *_, **__: pytest.fail("drawn again"))
    gallery.write(written.parent / "again", written.parent / "cache")
    assert (written.parent / "again" / "cka_matrix.png").read_bytes() == (written / "cka_matrix.png").read_bytes()


def test_the_palette_page_shows_every_look(gallery: Any) -> None:
    from xlprobe.plots.palette import CHECKPOINT_LOOKS, EDGE_COLOURS, LANGUAGE_COLOURS

    figure = gallery.palette_picture()
    named = [tick.get_text() for axes in figure.axes for tick in axes.get_yticklabels() if tick.get_text()]
    assert set(LANGUAGE_COLOURS) < set(named)
    assert len(named) == len(LANGUAGE_COLOURS) + len(CHECKPOINT_LOOKS) + len(EDGE_COLOURS) + 2
    assert [axes.get_title() for axes in figure.axes] == ["colour", "grey", "dark"] * 2

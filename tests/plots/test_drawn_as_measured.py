"""Every figure shows the numbers of its table: marks are read back from its artists, and changes are noticed."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from drawn import CHECKS
from matplotlib.axes import Axes

from xlprobe import plots
from xlprobe.plots import heat, layout, lines


def check(name: str, results: Any, steps: Any) -> None:
    figure = plots.FIGURES[name](steps if plots.FIGURES[name].over_steps else results)
    CHECKS[name](figure, figure.numbers)


@pytest.mark.parametrize("name", plots.FIGURES)
def test_it_shows_the_numbers_of_its_table(name: str, results: Any, steps: Any) -> None:
    assert name in CHECKS, f"the figure {name} has no check; write one in tests/support/drawn.py"
    check(name, results, steps)


@pytest.mark.parametrize("name", [name for name, one in plots.FIGURES.items() if not one.over_steps])
def test_several_runs_are_drawn_as_runs_and_counted(name: str, runs: Any) -> None:
    figure = plots.FIGURES[name](runs)
    CHECKS[name](figure, figure.numbers)
    if name not in ("attention_maps", "query_masks", "tokens_per_word"):  # of one problem, of masks, of tokenizers
        assert re.search(r"Training runs \([a-z ]+\): (base 3, )?crossed 3\.", figure.caption), figure.caption


def around(target: Any, name: str, change: Callable[..., Any]) -> Callable[[pytest.MonkeyPatch], None]:
    """Call `change(original, *arguments)` in the place of a function."""

    def apply(monkeypatch: pytest.MonkeyPatch) -> None:
        original = getattr(target, name)
        monkeypatch.setattr(target, name, lambda *args, **options: change(original, *args, **options))

    return apply


def others(original: Any, axes: Any, columns: Any, rows: Any, *more: Any) -> None:
    mesh = next(one for one in axes.collections if hasattr(one, "get_coordinates"))
    height, width = (side - 1 for side in mesh.get_coordinates().shape[:2])
    there = {(int(row), int(column)) for column, row in zip(columns, rows, strict=True)}
    rest = [(row, column) for row in range(height) for column in range(width) if (row, column) not in there]
    original(axes, [column for _, column in rest], [row for row, _ in rest], *more)


def wider(label: str, side: int) -> Callable[..., Any]:
    """Return a `plot` that draws lines of a name half as long again."""

    def plot(original: Any, axes: Any, *data: Any, **options: Any) -> Any:
        if str(options.get("label", "")).startswith(label):
            ends = np.asarray(data[side], dtype=float)
            data = tuple(ends + (ends - ends.mean()) / 2 if place == side else one for place, one in enumerate(data))
        return original(axes, *data, **options)

    return plot


def wider_band(original: Any, axes: Any, rows: Any, *more: Any) -> None:
    if "low" in rows:
        rows = rows.assign(low=rows["low"] - 0.01)
    original(axes, rows, *more)


def exchanged_faces(original: Any, pair: Any, base: Any) -> Any:
    look = original(pair, base)
    return look | {"markerfacecolor": look["color"] if look["markerfacecolor"] == "white" else "white"}


def mixed_up_legend(original: Any, *args: Any) -> Any:
    handles = original(*args)
    labels = [handle.get_label() for handle in handles]
    for handle, label in zip(handles, labels[::-1], strict=True):
        handle.set_label(label)
    return handles


MUTATIONS: dict[str, tuple[str, Callable[[pytest.MonkeyPatch], None]]] = {
    "dots at the heads that do not hold up": ("stability_by_head", around(heat, "dots", others)),
    "dots transposed": ("stability_by_head", around(heat, "dots", lambda f, axes, x, y, *more: f(axes, y, x, *more))),
    "dots of pairs transposed": (
        "transfer_matrix",
        around(heat, "matrix", lambda f, axes, values, *more: f(axes, values.T, *more)),
    ),
    "bars with the sign turned": (
        "knock_out_effects", around(Axes, "barh", lambda f, axes, y, width, **more: f(axes, y, -width, **more))
    ),
    "whiskers widened": ("knock_out_effects", around(Axes, "plot", wider("_whisker", 0))),
    "whiskers of heads widened": ("heads_that_change", around(Axes, "plot", wider("_interval", 0))),
    "whiskers of languages widened": ("typological_distance", around(Axes, "plot", wider("_interval", 1))),
    "bands widened": ("stability_by_layer", around(lines, "band", wider_band)),
    "an attention map mirrored": (
        "attention_maps", around(heat, "cells", lambda f, axes, values, *more: f(axes, values[:, ::-1], *more))
    ),
    "an attention map transposed": (
        "attention_maps", around(heat, "cells", lambda f, axes, values, *more: f(axes, values.T, *more))
    ),
    "maps of heads upside down": (
        "head_importance", around(heat, "head_map", lambda f, axes, values, *more: f(axes, values[::-1], *more))
    ),
    "masks transposed": (
        "query_masks",
        around(Axes, "pcolormesh", lambda f, axes, x, y, cells, **more: f(axes, x, y, cells[::-1], **more)),
    ),
    "other cells outlined": ("transfer_matrix", around(heat, "outline", lambda f, axes, x, y: f(axes, y, x))),
    "all cells outlined": (
        "transfer_matrix", around(heat, "outline", lambda f, axes, x, y: [f(axes, x, row) for row in range(3)])
    ),
    "names of languages reversed": (
        "transfer_matrix",
        around(heat, "matrix", lambda f, axes, values, names, *more: f(axes, values, names[::-1], *more)),
    ),
    "filled and hollow exchanged": ("cross_lingual_mass", around(lines, "pair_look", exchanged_faces)),
    "colours of languages exchanged": (
        "neutrality_by_layer",
        around(lines, "language_colour", lambda f, code: f({"fr": "ar", "ar": "fr"}.get(code, code))),
    ),
    "markers of languages exchanged": (
        "query_shares", around(lines, "language_marker", lambda f, code: f({"fr": "ar", "ar": "fr"}.get(code, code)))
    ),
    "floor drawn as chance": (
        "stability_by_layer",
        around(
            lines, "controls",
            lambda f, axes, rows: f(
                axes, rows.replace({"condition": {"floor": "chance", "chance": "floor"}})
            ),
        ),
    ),
    "legend mixed up": ("language_identity", around(layout, "_handles", mixed_up_legend)),
    "lines a layer too late": (
        "patching_recovery",
        around(lines, "line", lambda f, axes, rows, *more, **o: f(axes, rows.assign(layer=rows.layer + 1), *more, **o)),
    ),
    "rings around other heads": ("head_importance", around(heat, "rings", others)),
    "undefined cells not hatched": (
        "stability_by_head",
        around(heat, "cells", lambda f, axes, values, *more, **o: f(axes, np.nan_to_num(values), *more, **o)),
    ),
    "entropy and stability exchanged": (
        "entropy_and_stability", around(Axes, "scatter", lambda f, axes, x, y, **more: f(axes, y, x, **more))
    ),
    "checkpoints exchanged": (
        "dynamics_over_steps",
        around(plots.figure.View, "of", lambda f, view, panel, **o: f(view, panel, **o).replace(
            {"checkpoint": {"base": "crossed", "crossed": "base"}})),
    ),
    "x and y of a map exchanged": (
        "map_of_sentences", around(Axes, "plot", lambda f, axes, x, y, *more, **o: f(axes, y, x, *more, **o))
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", MUTATIONS)
def test_a_change_of_the_drawing_is_noticed(
    what: str, results: Any, steps: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, apply = MUTATIONS[what]
    plots.FIGURES[name].table(steps if plots.FIGURES[name].over_steps else results)
    apply(monkeypatch)
    with pytest.raises(AssertionError):
        check(name, results, steps)

"""Marks read back from the artists of a drawn figure, and compared with its table."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from xlprobe.plots.palette import language_colour, language_marker

BASE = "en"


def panels(figure: Any) -> dict[str, Any]:
    """The visible panels by their key."""
    return {axes.get_label(): axes for axes in figure.axes if axes.get_visible() and axes.get_label() != "_colours"}


def line(axes: Any, label: str) -> Any:
    found = [one for one in axes.get_lines() if one.get_label() == label]
    assert len(found) == 1, (
        f"{len(found)} lines are called {label!r}; there are {[o.get_label() for o in axes.get_lines()]}"
    )
    return found[0]


def numbers(values: Any) -> Any:
    return pytest.approx(np.asarray(values, dtype=float), abs=1e-6, nan_ok=True)


def colour(value: Any) -> str:
    return str(to_hex(value)).lower()


def curve(axes: Any, rows: pd.DataFrame, label: str, x: str = "layer", bands: bool = True) -> Any:
    """A line shows the means of some rows, its band their intervals, thin lines the single runs."""
    whole = rows[rows["seed"].isna()].sort_values(x)
    drawn = line(axes, label)
    assert np.asarray(drawn.get_xdata(), float) == numbers(whole[x])
    assert np.asarray(drawn.get_ydata(), float) == numbers(whole["mean"])
    band = [one for one in axes.collections if one.get_label() == f"_band {label}"]
    known = whole[whole["low"].notna() & whole["high"].notna()]
    if not bands or known.empty:
        assert not band
        return drawn
    points = np.concatenate([path.vertices for path in band[0].get_paths()])
    for row in known.itertuples():
        here = points[np.isclose(points[:, 0], getattr(row, x)), 1]
        assert (here.min(), here.max()) == (pytest.approx(row.low, abs=1e-6), pytest.approx(row.high, abs=1e-6)), label
    for seed, run in rows[rows["seed"].notna()].groupby("seed"):
        assert np.asarray(line(axes, f"_run {seed} {label}").get_ydata(), float) == numbers(run.sort_values(x)["mean"])
    return drawn


def curves_of_pairs(axes: Any, rows: pd.DataFrame) -> None:
    """There is a line for each pair that is defined anywhere, in its look, and none for any other in the legend."""
    known = rows[rows["mean"].notna() & rows["seed"].isna()]
    pairs = sorted(set(zip(known["context_language"].astype(str), known["question_language"].astype(str), strict=True)))
    labels = {f"{context}–{question}" for context, question in pairs}
    assert labels == {
        one.get_label() for one in axes.get_lines() if "–" in one.get_label() and one.get_label()[0] != "_"
    }
    for context, question in pairs:
        own = rows[(rows["context_language"] == context) & (rows["question_language"] == question)]
        look_of_pair(curve(axes, own, f"{context}–{question}"), context, question)


def look_of_pair(drawn: Any, context: str, question: str, linestyle: bool = True) -> None:
    other = question if context == BASE else context
    assert colour(drawn.get_color()) == language_colour(other).lower()
    assert str(drawn.get_marker()) == str(language_marker(other))
    hollow = context != question and question == BASE
    assert colour(drawn.get_markerfacecolor()) == ("#ffffff" if hollow else language_colour(other).lower())
    solid = context == BASE and context != question
    if linestyle:
        assert drawn.get_linestyle() == ("-" if solid else "--" if hollow else ":") or not solid
        assert (drawn.get_linestyle() == "-") == solid


def curves_of_controls(axes: Any, rows: pd.DataFrame) -> None:
    for condition, label in (("floor", "floor: another question"), ("chance", "chance: another theory")):
        own = rows[rows["condition"] == condition]
        if len(own):
            drawn = curve(axes, own, label)
            assert colour(drawn.get_color()) == {"floor": "#8c8c8c", "chance": "#bdbdbd"}[condition]


def levels(axes: Any, *values: float) -> None:
    """Horizontal or vertical lines stand at these values."""
    ends = [one for one in axes.get_lines() if len(one.get_xdata()) == 2]
    found = {float(v) for one in ends for side in one.get_data() for v in side if side[0] == side[1]}
    assert set(values) <= found, found


def names(axis: Any) -> list[str]:
    """What stands at the ticks of an axis, whether its panel shows them or another one does."""
    return list(axis.get_major_formatter().format_ticks(axis.get_majorticklocs()))


def cells(axes: Any) -> np.ndarray:
    """What a map shows, as seen: the first row on top, the first column at the left."""
    mesh = next(one for one in axes.collections if hasattr(one, "get_coordinates"))
    shape = tuple(side - 1 for side in mesh.get_coordinates().shape[:2])
    values = np.ma.filled(np.ma.asarray(mesh.get_array(), dtype=float), np.nan).reshape(shape)
    corner, step = mesh.get_coordinates()[0, 0], mesh.get_coordinates()[1, 1] - mesh.get_coordinates()[0, 0]
    assert np.allclose(corner, 0)
    assert np.allclose(step, 1)
    assert axes.get_xlim()[0] < axes.get_xlim()[1]
    return values if axes.get_ylim()[0] > axes.get_ylim()[1] else values[::-1]


def head_map(axes: Any, rows: pd.DataFrame, value: str) -> None:
    """A map shows layers from below and heads from the left, and hatches what is undefined."""
    shown = cells(axes)[::-1]
    wanted = np.full(shown.shape, np.nan)
    wanted[rows["layer"].astype(int), rows["head"].astype(int)] = rows[value]
    assert shown == numbers(wanted)
    assert undefined(axes) == {(int(row), int(column)) for row, column in np.argwhere(np.isnan(wanted))}
    for ticks in (axes.get_xticklabels(), axes.get_yticklabels()):
        for tick in ticks:
            if tick.get_text():
                place = tick.get_position()[0 if tick in axes.get_xticklabels() else 1]
                assert float(tick.get_text()) + 0.5 == pytest.approx(place)


def undefined(axes: Any) -> set[tuple[int, int]]:
    return {(int(one.get_y()), int(one.get_x())) for one in axes.patches if one.get_label() == "_undefined"}


def marks(axes: Any, label: str) -> set[tuple[int, int]]:
    """The cells, (row, column) from the axes' origin, in which dots or rings stand."""
    found = line(axes, label)
    assert found.get_marker() == "o"
    return {(int(np.floor(y)), int(np.floor(x))) for x, y in zip(*found.get_data(), strict=True)}


def matrix(axes: Any, rows: pd.DataFrame, value: str, scale: float, form: str) -> None:
    """A matrix shows context languages from above and question languages from the left, as its labels say."""
    columns, lines = names(axes.xaxis), names(axes.yaxis)
    order = [code for code in ("en", "fr", "ar") if code in columns]
    assert columns == lines == order
    shown, texts = cells(axes), {one.get_position(): one.get_text() for one in axes.texts}
    for row in rows.itertuples():
        place = order.index(str(row.context_language)), order.index(str(row.question_language))
        number = scale * getattr(row, value)
        assert shown[place] == pytest.approx(number, abs=1e-6)
        assert texts[place[1] + 0.5, place[0] + 0.5] == form.format(number).replace("-", "−")


def legend(figure: Any) -> dict[str, Any]:
    """The legend's handles; each line's look is that of the lines of its name in the panels."""
    found: dict[str, Any] = {}
    for one in figure.legends:
        found |= dict(zip([text.get_text() for text in one.get_texts()], one.legend_handles, strict=True))
    drawn = {one.get_label(): one for axes in figure.axes for one in axes.get_lines()}
    for label, handle in found.items():
        if label not in drawn:
            continue
        for name in ("color", "marker", "markerfacecolor", "linestyle"):
            assert str(getattr(handle, f"get_{name}")()) == str(getattr(drawn[label], f"get_{name}")()), (label, name)
    named = {label for axes in panels(figure).values() for label in axes.get_legend_handles_labels()[1]}
    assert named <= set(found), named - set(found)
    return found

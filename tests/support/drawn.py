"""One check per figure: every mark that is drawn is a number of the figure's table, and every number is drawn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from reading_back import (
    cells,
    colour,
    curve,
    curves_of_controls,
    curves_of_pairs,
    head_map,
    legend,
    levels,
    line,
    look_of_pair,
    marks,
    matrix,
    names,
    numbers,
    panels,
)

from xlprobe.plots.palette import CHECKPOINT_LOOKS, edge_colour, language_colour, language_marker

CHECKS: dict[str, Callable[[Any, Any], None]] = {}
NAMES = ("base", "crossed")


def shows(*names: str) -> Callable[[Any], Any]:
    def kept(check: Any) -> Any:
        CHECKS.update(dict.fromkeys(names, check))
        return check

    return kept


def of(table: Any, name: str, **columns: Any) -> Any:
    rows = table[table["checkpoint"] == name]
    for column, value in columns.items():
        rows = rows[rows[column] == value]
    return rows


@shows("stability_by_layer", "stability_within_context", "stability_of_first_token")
def stability(figure: Any, table: Any) -> None:
    found = panels(figure)
    assert set(found) == {f"{name}|{part}" for name in NAMES for part in ("stability S", "S − floor")}
    for key, axes in found.items():
        name, part = key.split("|")
        rows = of(table, name, quantity=part)
        curves_of_pairs(axes, rows[rows["condition"] == "observed"])
        curves_of_controls(axes, rows)
        assert part == "stability S" or levels(axes, 0) is None
    legend(figure)


@shows("instability_by_layer")
def instability(figure: Any, table: Any) -> None:
    for name, axes in panels(figure).items():
        curves_of_pairs(axes, of(table, name))
        for label, value in (("floor: another question (0)", 0), ("chance: another theory (1)", 1)):
            assert set(line(axes, label).get_ydata()) == {value}
    legend(figure)


@shows("cross_lingual_mass", "cross_lingual_mass_from_context")
def mass(figure: Any, table: Any) -> None:
    for key, axes in panels(figure).items():
        name, part = key.split("|")
        curves_of_pairs(axes, of(table, name, quantity=part))
        levels(axes, 0)
    legend(figure)


@shows("query_shares")
def shares(figure: Any, table: Any) -> None:
    found = panels(figure)
    # In the made-up table no share is fixed by masks.
    assert set(found) == {f"crossed|{block}" for block in table["block"].unique()}
    for key, axes in found.items():
        name, block = key.split("|")
        curves_of_pairs(axes, of(table, name, block=block))
        levels(axes, 0.5)
    legend(figure)


@shows("neutrality_by_layer")
def neutrality(figure: Any, table: Any) -> None:
    found = panels(figure)
    assert len(found) == 2 * 3
    for key, axes in found.items():
        name, metric = key.split("|")
        rows = of(table, name, metric=metric)
        curves_of_pairs(axes, rows)
        levels(axes, rows["chance"].iloc[0])
    legend(figure)


@shows("patching_recovery")
def patching(figure: Any, table: Any) -> None:
    for name, axes in panels(figure).items():
        curves_of_pairs(axes, of(table, name))
        levels(axes, 0, 1)
        assert f"{name} (n = 6 theories)" == axes.get_title(loc="left")
    legend(figure)


@shows("routing")
def routing(figure: Any, table: Any) -> None:
    (axes,) = panels(figure).values()
    for condition, label, face in (
        ("observed", "reference read with Q alone", "#1a1a1a"),
        ("forced", "reference read with both queries", "#ffffff"),
    ):
        drawn = curve(axes, of(table, "crossed", condition=condition), label)
        assert colour(drawn.get_markerfacecolor()) == face
    curves_of_controls(axes, table)
    legend(figure)


@shows("stability_by_head")
def heads(figure: Any, table: Any) -> None:
    found = panels(figure)
    assert set(found) == {
        *(f"{name}|{part}" for name in NAMES for part in ("stability S", "S − floor")), "crossed|change"
    }  # fmt: skip
    for key, axes in found.items():
        name, part = key.split("|")
        rows = of(table, name, quantity=part)
        head_map(axes, rows, "mean")
        if part == "change":
            held = rows[rows["held"].astype(bool)]
            assert 0 < len(held) < len(rows)
            assert marks(axes, "q < .05") == set(zip(held["layer"].astype(int), held["head"].astype(int), strict=True))
            assert axes.get_title(loc="left") == "crossed − base"
    assert "q < .05" in legend(figure)


@shows("heads_that_change")
def changing(figure: Any, table: Any) -> None:
    (axes,) = panels(figure).values()
    ticks = {round(tick.get_position()[1]): tick.get_text() for tick in axes.get_yticklabels()}
    points = [one for one in axes.get_lines() if "–" in one.get_label()]
    whiskers = [one for one in axes.get_lines() if one.get_label() == "_interval"]
    assert len(points) == len(whiskers) == len(table)
    for row in table.itertuples():
        point = next(one for one in points if one.get_ydata()[0] == row.rank)
        assert point.get_xdata()[0] == pytest.approx(row.mean)
        assert point.get_label() == f"{row.context_language}–{row.question_language}"
        look_of_pair(point, str(row.context_language), str(row.question_language), linestyle=False)
        whisker = next(one for one in whiskers if one.get_ydata()[0] == row.rank)
        assert list(whisker.get_xdata()) == numbers([row.low, row.high])
        assert ticks[row.rank] == f"layer {row.layer:.0f}, head {row.head:.0f}"
    held = set(line(axes, "q < .05").get_ydata())
    assert held == set(table[table["held"]]["rank"])
    assert axes.get_ylim()[0] > axes.get_ylim()[1]
    levels(axes, 0)


@shows("head_importance")
def importance(figure: Any, table: Any) -> None:
    found = panels(figure)
    assert len(found) == 4
    for key, axes in found.items():
        name, languages = key.split("|")
        rows = of(table, name, languages=languages)
        head_map(axes, rows, "share")
        largest = rows.nlargest(5, "value")
        assert marks(axes, "_rings") == set(zip(largest["layer"].astype(int), largest["head"].astype(int), strict=True))
        assert axes.get_title(loc="left") == f"{name} (sum {rows['total'].iloc[0]:.2g})"


@shows("transfer_matrix")
def transfer(figure: Any, table: Any) -> None:
    found = panels(figure)
    assert set(found) == {"base|accuracy", "crossed|accuracy", "crossed|change"}
    for key, axes in found.items():
        name, part = key.split("|")
        rows = of(table, name, quantity=part)
        matrix(axes, rows, "mean", 100, "{:.0f}" if part == "accuracy" else "{:+.0f}")
        order = names(axes.xaxis)
        places = [
            (order.index(str(r.context_language)), order.index(str(r.question_language))) for r in rows.itertuples()
        ]
        outlined = {(int(p.get_y()), int(p.get_x())) for p in axes.patches if p.get_label() == "_outline"}
        if part == "accuracy":
            trained = {"base": [("en", "en")], "crossed": [("en", "en"), ("en", "fr")]}[name]
            assert outlined == {(order.index(context), order.index(question)) for context, question in trained}
        else:
            assert not outlined
            held = {place for place, may in zip(places, rows["held"], strict=True) if may}
            dots = {"q < .05"} if held else set()
            assert {one.get_label() for one in axes.get_lines()} == dots
            assert not held or marks(axes, "q < .05") == held
    assert set(legend(figure)) == {"trained on"} | dots


@shows("cka_matrix")
def cka(figure: Any, table: Any) -> None:
    for key, axes in panels(figure).items():
        name, layer = key.split("|")
        rows = of(table, name, layer=float(layer))
        matrix(axes, rows, "value", 1, "{:.2f}")
        turned = rows.rename(columns={"context_language": "question_language", "question_language": "context_language"})
        matrix(axes, turned, "value", 1, "{:.2f}")
        assert np.diag(cells(axes)) == numbers([1, 1, 1])


@shows("knock_out_effects")
def knock_out(figure: Any, table: Any) -> None:
    edges = ["question->context", "cls->context"]
    for key, axes in panels(figure).items():
        name, part = key.split("|")
        rows = of(table, name, quantity=part)
        assert set(rows["block"]) == set(edges)
        for row in rows.drop_duplicates(["block", "languages"]).itertuples():
            shade = edge_colour(edges, row.block).lower()
            across = row.languages == "across languages"
            if part == "all layers":
                (bar,) = [one for one in axes.patches if one.get_label() == f"_{row.block}, {row.languages}"]
                ends = sorted([bar.get_x(), bar.get_x() + bar.get_width()])
                assert ends == numbers(sorted([0, row.mean]))
                assert round(bar.get_y() + bar.get_height() / 2) == edges.index(row.block)
                assert colour(bar.get_facecolor()) == (shade if across else "#ffffff")
                assert colour(bar.get_edgecolor()) == shade
                assert list(line(axes, f"_whisker {row.block}, {row.languages}").get_xdata()) == numbers(
                    [row.low, row.high]
                )
                runs = rows[(rows["block"] == row.block) & (rows["languages"] == row.languages) & rows["seed"].notna()]
                for run in runs.itertuples():
                    stroke = line(axes, f"_run {run.seed} {row.block}, {row.languages}")
                    assert list(stroke.get_xdata()) == numbers([run.mean])
                    assert stroke.get_ydata()[0] == pytest.approx(bar.get_y() + bar.get_height() / 2)
            else:
                own = rows[(rows["block"] == row.block) & (rows["languages"] == row.languages)]
                drawn = curve(axes, own, f"_{row.block}, {row.languages}")
                assert colour(drawn.get_color()) == shade
                assert colour(drawn.get_markerfacecolor()) == (shade if across else "#ffffff")
                assert (drawn.get_linestyle() == "-") == across
        if part == "all layers":
            assert names(axes.yaxis) == ["question → context", "first token → context"]
            assert axes.get_ylim()[0] > axes.get_ylim()[1]
    said = legend(figure)
    assert colour(said["question → context"].get_facecolor()) == edge_colour(edges, edges[0]).lower()
    assert colour(said["first token → context"].get_facecolor()) == edge_colour(edges, edges[1]).lower()
    assert colour(said["in one language"].get_markerfacecolor()) == "#ffffff"
    assert colour(said["across languages"].get_markerfacecolor()) != "#ffffff"


@shows("entropy_and_stability")
def entropy(figure: Any, table: Any) -> None:
    for name, axes in panels(figure).items():
        rows = of(table, name)
        (points,) = [one for one in axes.collections if one.get_label() == "_heads"]
        assert np.asarray(points.get_offsets()) == numbers(rows[["entropy", "js_stability"]])
        assert np.asarray(points.get_array()) == numbers(rows["layer"])
        assert axes.get_title(loc="left") == f"{name}: ρ = {rows['rho'].iloc[0]:+.2f}".replace("-", "−")


@shows("tokens_per_word")
def tokens(figure: Any, table: Any) -> None:
    (axes,) = panels(figure).values()
    rows = table[table["checkpoint"] == "base"]
    said = {round(tick.get_position()[1]): tick.get_text() for tick in axes.get_yticklabels()}
    shown = {said[round(bar.get_y() + bar.get_height() / 2)]: bar for bar in axes.patches}
    assert {code: bar.get_width() for code, bar in shown.items()} == pytest.approx(
        dict(zip(rows["language"].astype(str), rows["value"], strict=True))
    )
    assert all(colour(bar.get_facecolor()) == language_colour(code).lower() for code, bar in shown.items())
    assert sorted(text.get_text().strip() for text in axes.texts) == sorted(f"{value:.2f}" for value in rows["value"])


@shows("typological_distance")
def typology(figure: Any, table: Any) -> None:
    for key, axes in panels(figure).items():
        name, metric = key.split("|")
        for row in of(table, name, metric=metric).itertuples():
            code = str(row.language)
            point, whisker = line(axes, code), line(axes, f"_interval {code}")
            assert [point.get_xdata()[0], point.get_ydata()[0]] == numbers([row.distance, row.mean])
            assert list(whisker.get_ydata()) == numbers([row.low, row.high])
            assert colour(point.get_color()) == language_colour(code).lower()
            assert str(point.get_marker()) == str(language_marker(code))
    legend(figure)


def look_of_checkpoint(drawn: Any, name: str) -> None:
    shade, marker, _ = CHECKPOINT_LOOKS[NAMES.index(name)]
    assert (colour(drawn.get_color()), drawn.get_marker()) == (shade.lower(), marker)
    assert (drawn.get_linestyle() == "-") == (name == "base")


@shows("language_identity")
def identity(figure: Any, table: Any) -> None:
    found = panels(figure)
    assert len(found) == 4
    for metric, axes in found.items():
        for name in NAMES:
            look_of_checkpoint(curve(axes, of(table, name, metric=metric), name), name)
            if metric == "language_probe_accuracy":
                curve(axes, of(table, name, metric="language_probe_control"), f"_control {name}")
    legend(figure)


@shows("dynamics_over_steps")
def dynamics(figure: Any, table: Any) -> None:
    for key, axes in panels(figure).items():
        metric, languages = key.split("|")
        for name in NAMES:
            own = of(table, name, quantity=metric, languages=languages)
            look_of_checkpoint(curve(axes, own, name, x="step"), name)
        assert axes.get_title(loc="left") == languages
    legend(figure)


@shows("map_of_sentences")
def sentence_map(figure: Any, table: Any) -> None:
    found = panels(figure)
    assert len(found) == 4
    for key, axes in found.items():
        name, kind = key.split("|")
        rows = of(table, name, kind=kind)
        for code in ("en", "fr", "ar"):
            own, drawn = rows[rows["language"] == code], line(axes, code)
            assert np.column_stack(drawn.get_data()) == numbers(own[["x", "y"]])
            assert colour(drawn.get_color()) == language_colour(code).lower()
            assert str(drawn.get_marker()) == str(language_marker(code))
        for sample, own in rows[rows["joined"]].groupby("sample"):
            corners = {(round(x, 5), round(y, 5)) for x, y in zip(*line(axes, f"_{sample}").get_data(), strict=True)}
            assert corners == {(round(x, 5), round(y, 5)) for x, y in zip(own["x"], own["y"], strict=True)}
    legend(figure)


@shows("query_masks")
def masks(figure: Any, table: Any) -> None:
    shades = {".": "#ffffff", "Q": "#e6c98a", "X": "#5b3a7d", "B": "#b07a9b"}
    for scheme, axes in panels(figure).items():
        rows = table[table["scheme"] == scheme].sort_values("token")
        mesh = next(one for one in axes.collections if one.get_label() == "_masks")
        shown = cells(axes)
        for row, letters in enumerate(rows["open"]):
            assert [colour(mesh.cmap(mesh.norm(value))) for value in shown[row]] == [shades[one] for one in letters]
        border = int((rows["part"] == "context").sum())
        levels(axes, border)
        languages = rows.groupby("part", sort=False)["language"].first()
        parts = [f"{part}\n({code})" for part, code in languages.items()]
        assert names(axes.xaxis) == names(axes.yaxis) == parts
    said = {name: colour(handle.get_facecolor()) for name, handle in legend(figure).items()}
    known = {"Q": shades["Q"], "Q_cross": shades["X"], "both": shades["B"], "neither": shades["."]}
    letters = {"Q": "Q", "Q_cross": "X", "both": "B", "neither": "."}
    assert said == {name: shade for name, shade in known.items() if letters[name] in "".join(table["open"])}


@shows("attention_maps")
def attention(figure: Any, table: Any) -> None:
    found = panels(figure)
    assert len(found) == 2 * 3
    for key, axes in found.items():
        name, version = key.split("|")
        rows, shown = of(table, name, version=version), cells(axes)
        wanted = np.full(shown.shape, np.nan)
        wanted[rows["query"] - 1, rows["key"] - 1] = rows["value"]
        assert shown == numbers(wanted)
        assert names(axes.xaxis) == ["1", "2", "Q"]
        said = [text.strip().split("\n")[0] for text in names(axes.yaxis)]
        assert said == ["Anne is kind.  1", "Bob is big.  2", "Bob is big.  Q"]

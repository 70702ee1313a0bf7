from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from xlprobe import plots
from xlprobe.errors import ResultsError
from xlprobe.results import Results

ALWAYS = (
    "stability_by_layer",
    "instability_by_layer",
    "stability_by_head",
    "cross_lingual_mass",
    "neutrality_by_layer",
)
SAVED = ("stability_by_layer", "stability_by_head", "attention_maps", "transfer_matrix")


def drawable(results: Any) -> list[str]:
    return [name for name, spec in plots.FIGURES.items() if spec.needs(results) is None]


@pytest.fixture(scope="module")
def written(results: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("figures")
    for name in SAVED:
        spec = plots.FIGURES[name]
        plots.save(spec.draw(results), name, directory, spec.table(results))
    return directory


def test_the_table_allows_all_figures_but_dynamics(results: Any) -> None:
    assert set(plots.FIGURES) - set(drawable(results)) == {"dynamics_over_steps"}


def test_nothing_here_loads_a_model() -> None:
    code = (
        "import sys, xlprobe.plots, xlprobe.report.page; "
        "print(sorted({'torch', 'transformers', 'matplotlib'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


@pytest.mark.parametrize("name", plots.FIGURES)
def test_nothing_is_clipped_or_tiny(results: Any, steps: Any, name: str) -> None:
    from matplotlib.text import Text

    rows = steps if name == "dynamics_over_steps" else results
    figure = plots.FIGURES[name].draw(rows)
    figure.draw_without_rendering()
    width, height = figure.get_size_inches()
    box = figure.get_tightbbox()
    assert box is not None
    assert min(box.x0, box.y0) > -0.02
    assert box.x1 < width + 0.02
    assert box.y1 < height + 0.02
    sizes = [text.get_fontsize() for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]
    assert min(sizes) >= 9
    assert len(plots.FIGURES[name].table(rows)) > 0


def test_every_figure_has_four_files(written: Path) -> None:
    for name in SAVED:
        for kind in ("pdf", "svg", "png", "csv"):
            assert (written / f"{name}.{kind}").stat().st_size > 100, f"{name}.{kind}"


def test_equal_tables_give_equal_bytes(frame: Any, manifest: dict[str, Any], written: Path, tmp_path: Path) -> None:
    again = Results(frame.copy(), manifest)
    for name in ("stability_by_layer", "stability_by_head"):
        spec = plots.FIGURES[name]
        for path in plots.save(spec.draw(again), name, tmp_path, spec.table(again)):
            assert path.read_bytes() == (written / path.name).read_bytes(), path.name


def test_text_can_be_selected_and_says_who_and_how_many(results: Any, written: Path) -> None:
    svg = (written / "stability_by_layer.svg").read_text()
    assert "<text" in svg
    for words in ("base, crossed", "12 problems from 6 theories", "ar, en, fr", "95 %"):
        assert words in svg, words
    assert b"/FontFile2" in (written / "stability_by_layer.pdf").read_bytes()


def test_undefined_cells_are_hatched_and_counted(results: Any) -> None:
    from matplotlib.patches import Rectangle

    figure = plots.stability_by_layer_and_head(results)
    hatched = [p for axes in figure.axes for p in axes.patches if isinstance(p, Rectangle) and p.get_hatch()]
    # One head of 2 checkpoints and their difference, in 4 pairs.
    assert len(hatched) == 3 * 4
    assert "Hatched: 8 undefined cells" in figure._supxlabel.get_text().replace("\n", " ")


def test_heads_show_means_of_the_rows(results: Any, frame: Any) -> None:
    from matplotlib.figure import Figure

    axes = Figure().subplots()
    plots.stability_by_layer_and_head(results, checkpoint="base", pair=("en", "ar"), ax=axes)
    shown = np.asarray(axes.images[0].get_array().filled(np.nan))
    rows = frame[
        (frame["metric"] == "js_stability") & (frame["checkpoint"] == "base") & (frame["block"] == "question->context")
        & (frame["context_language"] == "en")
        & (frame["question_language"] == "ar")
        & (frame["condition"] == "observed")
    ]  # fmt: skip
    assert shown[1, 2] == pytest.approx(rows[(rows["layer"] == 1) & (rows["head"] == 2)]["value"].mean(), abs=1e-6)
    assert np.isnan(shown[2, 3])


@pytest.mark.parametrize(
    "draw", [plots.stability_by_layer, plots.instability_by_layer, plots.cross_lingual_mass, plots.neutrality_by_layer]
)
def test_one_panel_goes_into_given_axes(results: Any, draw: Any) -> None:
    from matplotlib.figure import Figure

    figure = Figure()
    axes = figure.subplots()
    assert draw(results, ax=axes) is figure
    assert axes.lines


def test_what_cannot_be_drawn_says_why(results: Any) -> None:
    only = results.select(metric="correct")
    for name in ALWAYS:
        reason = plots.FIGURES[name].needs(only)
        assert reason is not None
        assert "the table has no" in reason
        with pytest.raises(ResultsError, match="cannot draw this figure"):
            plots.FIGURES[name].draw(only)


def test_undefined_everywhere_gives_the_reason_of_the_rows(frame: Any) -> None:
    rows = frame[frame["metric"] == "retrieval_raw"].assign(value=np.nan, reason="too few sentences")
    assert "too few sentences" in plots.FIGURES["neutrality_by_layer"].needs(Results(rows))


def test_instability_is_the_way_from_floor_to_chance(results: Any) -> None:
    from xlprobe.plots.estimates import instability

    table = instability(results, "context->context", "token")
    base, crossed = (table[table["checkpoint"] == name]["mean"].mean() for name in ("base", "crossed"))
    # Distances .1 and .05 between a floor of .02 and a chance of .4, as the made-up table has it.
    assert base == pytest.approx((0.10 - 0.02) / (0.40 - 0.02), abs=0.02)
    assert crossed == pytest.approx((0.05 - 0.02) / (0.40 - 0.02), abs=0.02)
    assert ((table["low"] <= table["mean"]) & (table["mean"] <= table["high"])).all()


def test_the_mass_changes_as_it_was_made_to(results: Any) -> None:
    table = plots.FIGURES["cross_lingual_mass"].table(results)
    change = table[(table["quantity"] == "difference")].groupby("checkpoint", observed=True)["mean"].mean()
    assert change["base"] == pytest.approx(-0.4, abs=0.03)
    assert change["crossed"] == pytest.approx(-0.1, abs=0.03)


def test_a_single_theory_has_no_interval_but_a_figure(frame: Any, manifest: dict[str, Any]) -> None:
    one = Results(frame[frame["group"] == "t0"], manifest)
    table = plots.FIGURES["stability_by_layer"].table(one)
    assert table["low"].isna().all()
    assert plots.stability_by_layer(one).axes

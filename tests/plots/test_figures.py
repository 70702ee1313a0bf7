"""What every figure does: what it needs, its size in print, the user's style, the same bytes."""

from __future__ import annotations

import re
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from xlprobe import plots
from xlprobe.errors import ResultsError
from xlprobe.plots.palette import DARK, LANGUAGE_COLOURS, adaptable, dark_css
from xlprobe.results import Results

SAVED = ("stability_by_layer", "stability_by_head", "attention_maps", "transfer_matrix")


@pytest.fixture(scope="module")
def written(results: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("figures")
    for name in SAVED:
        plots.save(plots.FIGURES[name](results), name, directory)
    return directory


def rows_for(name: str, results: Any, steps: Any) -> Any:
    return steps if plots.FIGURES[name].over_steps else results


def test_the_table_allows_all_figures_but_dynamics(results: Any) -> None:
    refused = {name: why for name, one in plots.FIGURES.items() if (why := one.needs(results)) is not None}
    assert list(refused) == ["dynamics_over_steps"], refused


def test_some_figures_are_the_main_ones() -> None:
    main = [name for name, one in plots.FIGURES.items() if not one.appendix]
    assert {"stability_by_layer", "transfer_matrix", "heads_that_change", "query_masks"} <= set(main)
    assert {"stability_within_context", "map_of_sentences"} <= set(plots.FIGURES) - set(main)


def test_nothing_here_loads_a_model() -> None:
    code = (
        "import sys, xlprobe.plots, xlprobe.report.page; "
        "print(sorted({'torch', 'transformers', 'matplotlib'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


@pytest.mark.parametrize("width", ["text", "column"])
@pytest.mark.parametrize("name", plots.FIGURES)
def test_it_fits_a_page_with_legible_type(results: Any, steps: Any, name: str, width: str) -> None:
    from matplotlib.text import Text

    figure = plots.FIGURES[name](rows_for(name, results, steps), width=width)
    figure.draw_without_rendering()
    wide, high = figure.get_size_inches()
    assert wide == pytest.approx({"text": 6.9, "column": 3.3}[width])
    assert high <= 9
    box = figure.get_tightbbox()
    assert box is not None
    assert min(box.x0, box.y0) > -0.02
    assert box.x1 < wide + 0.02
    assert box.y1 < high + 0.02
    texts = [one for one in figure.findobj(Text) if one.get_visible() and one.get_text().strip()]
    sizes = [one.get_fontsize() for one in texts]
    assert min(sizes) >= (6 if name in ("transfer_matrix", "cka_matrix") else 7)
    assert max(sizes) <= 9
    assert figure.numbers is plots.FIGURES[name].table(rows_for(name, results, steps))
    assert len(figure.numbers) > 0


@pytest.mark.parametrize("name", plots.FIGURES)
def test_panels_do_not_cover_each_other_or_the_words(results: Any, steps: Any, name: str) -> None:
    figure = plots.FIGURES[name](rows_for(name, results, steps))
    figure.draw_without_rendering()
    boxes = [axes.get_tightbbox() for axes in figure.axes if axes.get_visible()]
    boxes += [text.get_window_extent() for text in figure.texts]
    boxes += [legend.get_window_extent() for legend in figure.legends]
    for number, one in enumerate(boxes):
        for other in boxes[number + 1 :]:
            across = min(one.x1, other.x1) - max(one.x0, other.x0)
            down = min(one.y1, other.y1) - max(one.y0, other.y0)
            assert min(across, down) < 4, (one, other)


def test_words_can_be_left_to_the_journal(results: Any) -> None:
    plain = plots.stability_by_layer(results, caption=False)
    assert not plain.texts
    assert plain.caption.startswith("How stable is attention when the question changes language? ")
    assert "n = 12 problems from 6 theories" in plain.caption
    full = plots.stability_by_layer(results)
    words = " ".join(" ".join(text.get_text().split()) for text in full.texts)
    assert words == " ".join(full.caption.split())
    assert full.get_figheight() > plain.get_figheight()


def test_widths_that_no_page_has_are_refused(results: Any) -> None:
    for width in ("wide", 0.5, 99):
        with pytest.raises(ResultsError, match="expected 'column', 'text' or a number of inches"):
            plots.stability_by_layer(results, width=width)
    assert plots.stability_by_layer(results, width=5.5).get_figwidth() == 5.5


def test_unknown_options_and_checkpoints_are_refused(results: Any) -> None:
    with pytest.raises(ResultsError, match="expected some of checkpoint, width, caption, legend, ax, block, pooling"):
        plots.stability_by_layer(results, blocks="x")
    with pytest.raises(ResultsError, match="got checkpoint='other'; the figure stability_by_layer has base, crossed"):
        plots.stability_by_layer(results, checkpoint="other")


def test_axes_of_ones_own_get_names_and_if_asked_a_legend(results: Any, steps: Any) -> None:
    from matplotlib.figure import Figure

    for name, one in plots.FIGURES.items():
        figure = Figure(figsize=(4, 3))
        axes = figure.subplots()
        assert one(rows_for(name, results, steps), ax=axes) is figure, name
        panel = one.panels(one._view(rows_for(name, results, steps), None, one._options({}), 6.9))[0][0]
        assert (axes.get_xlabel(), axes.get_ylabel()) == (panel.x, panel.y), name
        assert axes.get_legend() is None
    figure = Figure()
    plots.stability_by_layer(results, ax=figure.subplots(), legend=True)
    said = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert {"floor: another question", "chance: another theory", "en–fr"} <= set(said)
    assert plots.stability_by_layer(results, legend=False).legends == []


def test_the_users_style_wins(results: Any) -> None:
    import matplotlib as mpl

    with mpl.rc_context({"font.size": 11, "axes.facecolor": "#fafafa", "font.family": ["serif"]}):
        figure = plots.stability_by_layer(results)
    title = figure.axes[0].title
    assert title.get_fontsize() == 11
    assert title.get_fontfamily()[0] == "serif"
    assert mpl.colors.to_hex(figure.axes[0].get_facecolor()) == "#fafafa"


def test_every_figure_has_four_files(written: Path) -> None:
    for name in SAVED:
        for kind in ("pdf", "svg", "png", "csv"):
            assert (written / f"{name}.{kind}").stat().st_size > 100, f"{name}.{kind}"


def test_equal_tables_give_equal_bytes(frame: Any, manifest: dict[str, Any], written: Path, tmp_path: Path) -> None:
    again = Results(frame.copy(), manifest)
    for name in ("stability_by_layer", "stability_by_head"):
        for path in plots.save(plots.FIGURES[name](again), name, tmp_path):
            assert path.read_bytes() == (written / path.name).read_bytes(), path.name


def test_last_bits_of_a_layout_are_not_kept(results: Any, written: Path, tmp_path: Path, monkeypatch: Any) -> None:
    """The solver of layouts gives others now and then, and an svg names what it clips by all bits."""
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    found = ConstrainedLayoutEngine.execute

    def otherwise(engine: Any, figure: Any) -> None:
        found(engine, figure)
        for axes in figure.axes:
            axes.set_position(np.nextafter(axes.get_position(original=True).bounds, 1))

    monkeypatch.setattr(ConstrainedLayoutEngine, "execute", otherwise)
    for path in plots.save(plots.attention_maps(results), "attention_maps", tmp_path):
        assert path.read_bytes() == (written / path.name).read_bytes(), path.name


def test_text_can_be_selected_and_says_who_and_how_many(written: Path) -> None:
    svg = (written / "stability_by_layer.svg").read_text()
    assert "<text" in svg
    for words in ("base, crossed", "12 problems from 6 theories", "95\u00a0% intervals"):
        assert words in svg, words
    assert b"/FontFile2" in (written / "stability_by_layer.pdf").read_bytes()


def test_undefined_cells_are_counted(results: Any) -> None:
    assert "Hatched: 2 undefined." in plots.stability_by_head(results).caption


def test_what_cannot_be_drawn_says_why(results: Any) -> None:
    only = results.select(metric="correct")
    for name, one in plots.FIGURES.items():
        if name in ("transfer_matrix", "typological_distance", "query_masks"):  # these have what they need
            continue
        reason = one.needs(only)
        assert reason is not None, name
        with pytest.raises(ResultsError, match=f"cannot draw the figure {name}: "):
            one(only)


def test_undefined_everywhere_gives_the_reason_of_the_rows(frame: Any) -> None:
    rows = frame[frame["metric"] == "retrieval_raw"].assign(value=np.nan, reason="too few sentences")
    assert "too few sentences" in plots.FIGURES["neutrality_by_layer"].needs(Results(rows))


def test_few_theories_have_no_interval_and_the_caption_says_why(frame: Any, manifest: dict[str, Any]) -> None:
    few = Results(frame[frame["group"].isin(["t0"]) | frame["group"].isna()], manifest)
    figure = plots.stability_by_layer(few)
    assert figure.numbers["low"].isna().all()
    assert "No intervals: 1 theory, and fewer than 6 give none." in figure.caption
    assert not [one for axes in figure.axes for one in axes.collections]
    assert "Bands" not in figure.caption


def odd(kind: str, frame: Any) -> Any:
    if kind == "one theory":
        return frame[frame["group"].isin(["t0"]) | frame["group"].isna()]
    if kind == "one language":
        own = [
            frame[f"{part}_language"].isna() | frame[f"{part}_language"].eq("en") for part in ("context", "question")
        ]
        return frame[own[0] & own[1]]
    return frame.assign(value=frame["value"].where(frame["checkpoint"] != "crossed"))


@pytest.mark.parametrize("kind", ["one theory", "one language", "one checkpoint undefined"])
def test_odd_tables_are_drawn_or_refused_in_plain_words(frame: Any, manifest: dict[str, Any], kind: str) -> None:
    from matplotlib.text import Text

    results = Results(odd(kind, frame), manifest)
    drawn = 0
    for name, one in plots.FIGURES.items():
        if one.appendix or one.needs(results) is not None:
            continue
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "All-NaN slice", RuntimeWarning)
            figure = one(results)
        words = [figure.caption, *(text.get_text() for text in figure.findobj(Text))]
        wrong = [text for text in words if re.search(r"\b1 (theories|problems|sentences)\b|\bnan\b|n = 0", text)]
        assert not wrong, (name, wrong)
        if "low" in figure.numbers and figure.numbers["low"].isna().all():
            assert "95\u00a0%" not in figure.caption, name
        drawn += 1
    assert drawn >= 4


def test_one_checkpoint_is_enough(results: Any, manifest: dict[str, Any]) -> None:
    one = results.select(checkpoint="crossed")
    refused = {name: why for name, figure in plots.FIGURES.items() if (why := figure.needs(one)) is not None}
    assert set(refused) == {"heads_that_change", "dynamics_over_steps"}
    for name in plots.FIGURES.keys() - refused.keys():
        figure = plots.FIGURES[name](one)
        assert figure.get_figheight() <= 6, name


def test_training_runs_are_drawn_and_counted(runs: Any) -> None:
    figure = plots.cross_lingual_mass(runs)
    assert "Training runs (thin lines): base 3, crossed 3." in figure.caption
    thin = [one for one in figure.axes[0].get_lines() if str(one.get_label()).startswith("_run")]
    assert len(thin) == 3 * len([one for one in figure.axes[0].get_lines() if "–" in str(one.get_label())]) / 4
    assert figure.numbers["seed"].notna().sum() == 3 * figure.numbers["seed"].isna().sum()


def test_one_run_of_each_checkpoint_is_drawn_once(runs: Any) -> None:
    every = runs.to_frame()
    first, *_, last = sorted(every["seed"].unique())
    one = every[every["seed"] == np.where(every["checkpoint"] == "base", first, last)]
    assert plots.cross_lingual_mass(Results(one, runs.manifest)).numbers["seed"].isna().all()


def test_a_page_in_the_dark_gets_other_inks() -> None:
    svg = '<path style="fill: #222222; stroke: #0072b2"/>'
    assert adaptable(svg) == ('<path style="fill: var(--ink-222222, #222222); stroke: var(--ink-0072b2, #0072b2)"/>')
    assert f"--ink-222222:{DARK['#222222']}" in dark_css()


def test_languages_differ_by_colour_and_marker() -> None:
    from xlprobe.plots.palette import CHECKPOINT_LOOKS, EDGE_COLOURS, language_marker

    families = [set(LANGUAGE_COLOURS.values()), {look[0] for look in CHECKPOINT_LOOKS}, set(EDGE_COLOURS)]
    assert len(set.union(*families)) == sum(map(len, families))
    assert len({str(language_marker(code)) for code in LANGUAGE_COLOURS}) == len(LANGUAGE_COLOURS)
    assert len({str(look[2]) for look in CHECKPOINT_LOOKS}) == len(CHECKPOINT_LOOKS)


def test_what_stands_on_maps_keeps_its_colour_in_the_dark(results: Any) -> None:
    from matplotlib.colors import to_hex

    changed = {colour.lower() for colour in DARK}
    texts = [text for axes in plots.transfer_matrix(results).axes for text in axes.texts]
    strokes = [line for axes in plots.stability_by_head(results).axes for line in axes.get_lines()]
    assert len(texts) > 9
    assert any(line.get_label() == "_below 0" and len(line.get_xdata()) for line in strokes)
    assert not changed & {to_hex(one.get_color()) for one in [*texts, *strokes]}

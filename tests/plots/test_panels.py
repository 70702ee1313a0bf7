"""What the figures of maps, transfer, effects, distance and confounds show, against the rows that they show it of."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from xlprobe import plots
from xlprobe.errors import ResultsError
from xlprobe.results import Results


def only_axes(draw: Any, results: Any, **options: Any) -> Any:
    from matplotlib.figure import Figure

    axes = Figure().subplots()
    draw(results, ax=axes, **options)
    return axes


def test_attention_rows_sum_to_one_and_keep_the_words(kept: Any) -> None:
    rows = plots.attention_rows(kept)
    table = plots.FIGURES["attention_maps"].table(rows)
    keys = ["checkpoint", "context_language", "question_language", "layer", "query"]
    assert table.groupby(keys)["value"].sum().to_numpy() == pytest.approx(1, abs=2e-3)
    told = rows.manifest["attention_maps"]
    assert told["texts"]["en-ar"] == ["Anne is kind.", "Bob is big.", "بوب كبير."]
    assert told["tokens"]["base"]["en-ar"]["units"].count(0) == 3


def test_attention_rows_average_queries_and_add_keys(kept: Any) -> None:
    one = kept[0]
    rows = plots.attention_rows([one]).select(layer=1, block="3->1").to_frame()
    pattern = one.pattern().astype(float)[1].mean(axis=0)
    wanted = pattern[np.ix_(one.unit_ids == 2, one.unit_ids == 0)].sum(axis=1).mean()
    assert rows["value"].tolist() == pytest.approx([wanted], abs=1e-5)


def test_patterns_of_an_unknown_problem_are_refused(kept: Any) -> None:
    with pytest.raises(ResultsError, match="the patterns are of t0-q0, t1-q0"):
        plots.attention_rows(kept, "t9")
    with pytest.raises(ResultsError, match="got no patterns"):
        plots.attention_rows([])


def test_maps_leave_special_tokens_out(results: Any) -> None:
    axes = only_axes(plots.attention_maps, results, checkpoint="base", pair=("en", "fr"))
    shown = np.asarray(axes.images[0].get_array())
    assert shown.shape == (3, 3)
    assert shown.sum(axis=1) == pytest.approx(1)


def test_right_to_left_labels_keep_their_words(results: Any) -> None:
    figure = plots.attention_maps(results, pair=("en", "ar"))
    labels = [label.get_text() for axes in figure.axes for label in axes.get_yticklabels()]
    assert any("بوب كبير." in label for label in labels)


def test_masks_open_what_the_method_says(results: Any) -> None:
    table = plots.FIGURES["query_masks"].table(results).set_index(["scheme", "mask", "block"])["open"].sort_index()
    assert (table["one language", "M1 (Q)"] == 1).all()
    assert (table["one language", "M2 (Q_cross)"] == 0).all()
    sharp = table["two languages, non-interfering"]
    assert sharp["M1 (Q)", "question->question"] == 1
    assert sharp["M2 (Q_cross)", "question->context"] == 1
    assert sharp["M2 (Q_cross)", "question->question"] == 0
    # Only the first token's column is open to Q across the border.
    assert 0 < sharp["M1 (Q)", "question->context"] < 0.3
    loose = table["two languages, interfering"]
    assert loose["M1 (Q)", "question->context"] > sharp["M1 (Q)", "question->context"]


def test_the_matrix_shows_accuracy_and_outlines_zero_shot(results: Any, frame: Any) -> None:
    from matplotlib.patches import Rectangle

    axes = only_axes(plots.transfer_matrix, results, checkpoint="crossed")
    order = [label.get_text() for label in axes.get_xticklabels()]
    assert order == ["en", "fr", "ar"]
    right = frame[(frame["metric"] == "correct") & (frame["checkpoint"] == "crossed")]
    cell = right[(right["context_language"] == "fr") & (right["question_language"] == "ar")]["value"].mean()
    assert np.asarray(axes.images[0].get_array())[1, 2] == pytest.approx(100 * cell, abs=1e-3)
    outlined = [patch for patch in axes.patches if isinstance(patch, Rectangle) and not patch.get_fill()]
    assert len(outlined) == 9 - len({"en-en", "en-fr"})


def test_the_matrix_pairs_the_checkpoints(results: Any) -> None:
    table = plots.FIGURES["transfer_matrix"].table(results)
    pair = (table["context_language"] == "fr") & (table["question_language"] == "ar")
    means = table[pair].set_index("checkpoint")["mean"]
    assert means["crossed − base"] == pytest.approx(means["crossed"] - means["base"], abs=1e-6)


def test_knock_out_shows_the_effect_beyond_chance(results: Any, frame: Any) -> None:
    table = plots.FIGURES["knock_out_effects"].table(results)
    one = table[
        (table["checkpoint"] == "base") & (table["block"] == "cls->context") & table["layer"].isna()
        & (table["languages"] == "in one language")
    ]  # fmt: skip
    rows = frame[
        (frame["metric"] == "knock_out_effect") & (frame["condition"] == "net") & (frame["checkpoint"] == "base")
        & (frame["block"] == "cls->context") & frame["layer"].isna() & (frame["question_language"] == "en")
    ]  # fmt: skip
    assert one["mean"].tolist() == pytest.approx([rows["value"].mean()], abs=1e-5)


def test_importance_is_split_by_languages(results: Any) -> None:
    table = plots.FIGURES["head_importance"].table(results)
    wide = table.pivot_table(index=["checkpoint", "layer", "head"], columns="languages", values="value")
    assert (wide["across languages"] - wide["in one language"]).to_numpy() == pytest.approx(
        wide["difference"].to_numpy(), abs=1e-9
    )


def test_distances_come_from_the_table(results: Any) -> None:
    table = plots.FIGURES["typological_distance"].table(results)
    assert table.groupby("language")["distance"].first().to_dict() == pytest.approx({"ar": 0.6, "fr": 0.4}, abs=1e-6)
    # Two languages are too few for a rank correlation.
    assert table["rho"].isna().all()


def test_five_languages_are_correlated(frame: Any) -> None:
    rows = [
        {"metric": "correct", "checkpoint": "base", "sample": "s", "group": "g", "context_language": "en",
         "question_language": code, "value": value, "condition": "observed", "block": "", "pooling": ""}
        for code, value in (("fr", 0.9), ("de", 0.8), ("ru", 0.7), ("ar", 0.6), ("zh", 0.5))
    ]  # fmt: skip
    far = [{**row, "metric": "typological_distance", "value": place / 10} for place, row in enumerate(rows)]
    table = plots.FIGURES["typological_distance"].table(Results(type(frame)(rows + far)))
    assert table["rho"].unique() == pytest.approx([-1])
    assert table["p"].unique() == pytest.approx([2 / 120])


def test_routing_compares_forced_with_observed(results: Any) -> None:
    table = plots.FIGURES["routing"].table(results)
    means = table.groupby("condition", observed=True)["mean"].mean()
    assert means["forced"] == pytest.approx(0.97, abs=0.01)
    assert means["observed"] == pytest.approx(0.95, abs=0.01)
    assert set(table["checkpoint"]) == {"crossed"}


def test_dynamics_tell_steps_apart(steps: Any) -> None:
    table = plots.FIGURES["dynamics_over_steps"].table(steps)
    assert sorted(table["step"].unique()) == [0, 10, 20]
    assert set(table["languages"]) == {"across languages", "in one language"}


def test_other_figures_show_the_last_step(steps: Any) -> None:
    from xlprobe.plots.facts import last_steps

    assert last_steps(steps).unique("step") == [20]
    assert len(last_steps(last_steps(steps))) == len(last_steps(steps))


def test_the_map_centres_each_language(results: Any) -> None:
    table = plots.FIGURES["map_of_sentences"].table(results)
    apart = table.groupby(["kind", "language"])["x"].mean().unstack()
    assert np.ptp(apart.loc["raw"]) > 4
    assert np.ptp(apart.loc["centred"]) < 2


def test_tokenizers_that_agree_share_their_bars(results: Any) -> None:
    figure = plots.tokens_per_word(results)
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["base, crossed"]

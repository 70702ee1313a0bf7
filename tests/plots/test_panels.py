"""What the figures of maps, transfer, effects, distance and confounds show, against the rows that they show it of."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from xlprobe import plots
from xlprobe.errors import ResultsError
from xlprobe.results import Results


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
    table = plots.attention_maps.table(results, pair=("en", "fr"))
    keys = ["checkpoint", "version", "query"]
    sums = table.groupby(keys)["value"].sum()
    assert sums.drop("change", level="version").to_numpy() == pytest.approx(1)
    assert sums.xs("change", level="version").to_numpy() == pytest.approx(0, abs=1e-6)
    assert set(table["query"]) == set(table["key"]) == {1, 2, 3}


def test_right_to_left_labels_keep_their_words(results: Any) -> None:
    figure = plots.attention_maps(results, pair=("en", "ar"))
    labels = [label.get_text() for axes in figure.axes for label in axes.get_yticklabels()]
    assert any("بوب كبير." in label for label in labels)
    narrow = plots.attention_maps(results, pair=("en", "ar"), width="column")
    assert "1: Anne is kind. 2: Bob is big. Q: Bob is big. / بوب كبير." in narrow.caption


def test_masks_open_what_the_method_says(results: Any) -> None:
    table = plots.query_masks.table(results)
    lines = {scheme: own["open"].tolist() for scheme, own in table.groupby("scheme")}
    count = len(lines["one language"])
    border = int((table["part"] == "context").sum() / 3)
    assert lines["one language"] == ["Q" * count] * count
    assert lines["two languages"] == (
        ["B" * count]
        + ["B" + "Q" * (border - 1) + "X" * (count - border)] * (border - 1)
        + ["B" + "X" * (border - 1) + "Q" * (count - border)] * (count - border)
    )
    loose = "".join(line[1:] for line in lines["two languages, interfering"][1:])
    # Each query also sees the other's pairs in three cells of ten.
    assert 0.15 < loose.count("B") / len(loose) < 0.45
    assert "." not in loose


def test_the_matrix_pairs_the_checkpoints(results: Any) -> None:
    table = plots.FIGURES["transfer_matrix"].table(results)
    pair = (table["context_language"] == "fr") & (table["question_language"] == "ar")
    means = table[pair].set_index(["quantity", "checkpoint"])["mean"]
    change = means["accuracy", "crossed"] - means["accuracy", "base"]
    assert means["change", "crossed"] == pytest.approx(change, abs=1e-6)


def test_knock_out_shows_the_effect_beyond_chance(results: Any, frame: Any) -> None:
    table = plots.knock_out_effects.table(results)
    one = table[
        (table["checkpoint"] == "base") & (table["block"] == "cls->context") & (table["quantity"] == "all layers")
        & (table["languages"] == "in one language")
    ]  # fmt: skip
    rows = frame[
        (frame["metric"] == "knock_out_effect") & (frame["condition"] == "net") & (frame["checkpoint"] == "base")
        & (frame["block"] == "cls->context") & frame["layer"].isna() & (frame["question_language"] == "en")
    ]  # fmt: skip
    assert one["mean"].tolist() == pytest.approx([rows["value"].mean()], abs=1e-5)
    assert set(one["beyond"]) == {"random edges"}


def test_a_pair_that_is_undefined_everywhere_is_not_in_the_legend(results: Any, frame: Any) -> None:
    def named(table: Any) -> set[str]:
        figure = plots.patching_recovery(table)
        return {text.get_text() for legend in figure.legends for text in legend.get_texts()}

    small = frame.copy()
    lost = small["metric"].eq("patching_gap") & small["question_language"].eq("fr")
    small.loc[lost, "value"] = 0.01  # less than a logit
    gone = named(results) - named(Results(small, results.manifest))
    assert gone == {name for name in named(results) if name.endswith("fr")}
    assert gone


def test_importance_is_shared_out_per_map(results: Any, frame: Any) -> None:
    table = plots.head_importance.table(results)
    assert table.groupby(["checkpoint", "languages"])["share"].sum().to_numpy() == pytest.approx(100)
    rows = frame[
        (frame["metric"] == "head_importance") & (frame["checkpoint"] == "base") & (frame["question_language"] != "en")
    ]
    own = table[(table["checkpoint"] == "base") & (table["languages"] == "across languages")]
    wanted = rows.groupby(["layer", "head"])["value"].mean()
    assert own.set_index(["layer", "head"])["value"].to_numpy() == pytest.approx(wanted.to_numpy(), abs=1e-6)
    assert own["total"].iloc[0] == pytest.approx(wanted.sum(), abs=1e-5)


def test_stability_is_drawn_above_its_floor(results: Any) -> None:
    table = plots.stability_by_layer.table(results)
    above = table[table["quantity"] == "S − floor"].groupby("checkpoint", observed=True)["mean"].mean()
    # Made up: .9 and .95 observed, .98 floor.
    assert above["base"] == pytest.approx(-0.08, abs=0.01)
    assert above["crossed"] == pytest.approx(-0.03, abs=0.01)


def test_changes_of_heads_have_the_floor_taken_off(results: Any, frame: Any) -> None:
    table = plots.stability_by_head.table(results)
    change = table[(table["quantity"] == "change") & (table["layer"] == 1) & (table["head"] == 2)]
    rows = frame[
        (frame["metric"] == "js_stability")
        & (frame["block"] == "question->context")
        & (frame["layer"] == 1)
        & (frame["head"] == 2)
    ]

    def above(name: str) -> float:
        own = rows[rows["checkpoint"] == name]
        observed = own[(own["condition"] == "observed")].groupby("context_language")["value"].mean()
        floor = own[own["condition"] == "floor"].groupby("context_language")["value"].mean()
        pairs = {"en": 2, "fr": 1, "ar": 1}
        return sum(count * (observed[code] - floor[code]) for code, count in pairs.items()) / 4

    assert change["mean"].tolist() == pytest.approx([above("crossed") - above("base")], abs=1e-5)


def test_the_most_changed_heads_come_first(results: Any) -> None:
    table = plots.heads_that_change.table(results, most=5)
    assert table["rank"].tolist() == [0, 1, 2, 3, 4]
    assert (table["mean"].abs().diff().dropna() <= 0).all()
    assert table["tests"].unique().tolist() == [4 * 3 * 4]
    whole = plots.heads_that_change.table(results, most=1000)
    assert set(zip(whole["context_language"], whole["question_language"], strict=True)) == {
        ("en", "fr"), ("en", "ar"), ("fr", "en"), ("ar", "en")
    }  # fmt: skip


def test_instability_is_the_way_from_floor_to_chance(results: Any) -> None:
    table = plots.instability_by_layer.table(results, block="context->context")
    base, crossed = (table[table["checkpoint"] == name]["mean"].mean() for name in ("base", "crossed"))
    # Distances .1 and .05 between a floor of .02 and a chance of .4, as the made-up table has it.
    assert base == pytest.approx((0.10 - 0.02) / (0.40 - 0.02), abs=0.02)
    assert crossed == pytest.approx((0.05 - 0.02) / (0.40 - 0.02), abs=0.02)
    assert ((table["low"] <= table["mean"]) & (table["mean"] <= table["high"])).all()


def test_the_mass_changes_as_it_was_made_to(results: Any) -> None:
    table = plots.cross_lingual_mass.table(results)
    change = table[table["quantity"] == "change by the border"].groupby("checkpoint", observed=True)["mean"].mean()
    assert change["base"] == pytest.approx(-0.4, abs=0.03)
    assert change["crossed"] == pytest.approx(-0.1, abs=0.03)


def test_retrieval_has_its_chance(results: Any) -> None:
    table = plots.neutrality_by_layer.table(results)
    assert table[table["metric"] == "retrieval_raw"]["chance"].unique() == pytest.approx([2 / 12])
    assert table[table["metric"] == "neutrality_gap"]["chance"].unique() == [0]


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
    from xlprobe.plots.scope import last_steps

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

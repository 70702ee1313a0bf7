"""Contrasts and summaries of long tables."""

import itertools

import numpy as np
import pandas as pd
import pytest

from xlprobe.errors import ResultsError
from xlprobe.results import COLUMNS
from xlprobe.statistics import contrast, contrast_frame, difference_in_differences, subtract_reference, summarise

LANGUAGES = ("fr", "de")


def table(checkpoints=("base", "cross"), groups=6, heads=2, effect=0.1, metric="js_stability", seed=0, **fixed):
    """Two samples per group; the checkpoint's number times `effect` is added on code-switched pairs."""
    rng = np.random.default_rng(seed)
    rows = []
    for group, question, head in itertools.product(range(groups), range(2), range(heads)):
        for language in ("en", *LANGUAGES):
            base = rng.normal()
            for number, checkpoint in enumerate(checkpoints):
                shift = effect * number * (language != "en") + rng.normal() * 0.01
                rows.append(
                    {
                        "checkpoint": checkpoint, "dataset": "rules", "context_language": "en",
                        "question_language": language, "reference": "en-en", "sample": f"s{group}-{question}",
                        "group": f"g{group}", "depth": 1, "layer": 0, "head": head, "metric": metric, "block": "c",
                        "pooling": "token", "condition": "observed", "value": base + shift, "step": None, "seed": None,
                        "reason": None,
                    }
                )  # fmt: skip
    return pd.DataFrame(rows, columns=list(COLUMNS)).assign(**fixed)


def test_contrast_pairs_rows_whatever_their_order():
    frame = table()
    shuffled = frame.sample(frac=1, random_state=1)
    first, second = (contrast_frame(part, "cross", "base", "js_stability") for part in (frame, shuffled))
    pd.testing.assert_frame_equal(first, second)
    assert first["head"].tolist() == [0, 1]
    assert first["n"].tolist() == [36, 36]
    assert first["n_groups"].tolist() == [6, 6]
    assert np.allclose(first["estimate"], 0.1 * 2 / 3, atol=0.01)
    assert np.allclose(first["estimate"], first["mean_a"] - first["mean_b"])


def test_contrast_equals_the_array_version():
    frame = table(heads=1)
    wide = frame.pivot_table(index=["group", "sample", "question_language"], columns="checkpoint", values="value")
    expected = contrast((wide["cross"] - wide["base"]).to_numpy(), wide.index.get_level_values("group"))
    got = contrast_frame(frame, "cross", "base", "js_stability")
    for name in ("estimate", "low", "high", "d_z", "p", "q"):
        assert got[name][0] == pytest.approx(getattr(expected, name)[0]), name


def test_by_language_enlarges_the_family():
    frame = table(effect=0.3)
    answer = contrast_frame(frame, "cross", "base", "js_stability", by=("question_language", "layer", "head"))
    assert len(answer) == 6
    assert (answer["q"] >= answer["p"]).all()
    means = answer.groupby("question_language", observed=True)["estimate"].mean()
    assert means["en"] == pytest.approx(0, abs=0.02)
    assert means["fr"] == pytest.approx(0.3, abs=0.02)


def test_kinds_are_never_averaged_over():
    frame = pd.concat([table(), table(seed=1, pooling="mass"), table(seed=2, condition="floor")])
    answer = contrast_frame(frame, "cross", "base", "js_stability", by=("head", "pooling", "condition"))
    assert len(answer) == 6
    usual = contrast_frame(frame, "cross", "base", "js_stability", by=("head",))
    assert not {"pooling", "condition", "block"} & set(usual.columns)
    pd.testing.assert_frame_equal(usual, contrast_frame(table(), "cross", "base", "js_stability", by=("head",)))
    blocks = pd.concat([table(), table(seed=3, block="d")])
    assert contrast_frame(blocks, "cross", "base", "js_stability", by=("head",))["block"].tolist() == ["c", "d"] * 2
    one = contrast_frame(blocks, "cross", "base", "js_stability", by=("head",), block="c")
    pd.testing.assert_frame_equal(one, usual)
    with pytest.raises(ResultsError, match="block='e'; these rows have c, d"):
        contrast_frame(blocks, "cross", "base", "js_stability", block="e")


def test_of_several_references_the_own_language_counts():
    own = table(context_language="fr", reference="fr-fr")
    other = table(context_language="fr", reference="en-en", seed=1)
    expected = contrast_frame(own, "cross", "base", "js_stability")
    answer = contrast_frame(pd.concat([own, other]), "cross", "base", "js_stability")
    pd.testing.assert_frame_equal(answer, expected)
    # What was selected by hand stays.
    assert contrast_frame(other, "cross", "base", "js_stability")["n"].tolist() == [36, 36]


def test_nan_and_unpaired_rows_are_counted():
    frame = table(heads=1)
    lost = frame[(frame["checkpoint"] == "cross") & (frame["sample"] == "s0-0")].index
    frame = frame.drop(lost[0])
    frame.loc[lost[1], "value"] = np.nan
    answer = contrast_frame(frame, "cross", "base", "js_stability")
    assert answer["n_nan"][0] == 1
    assert answer["n_unpaired"][0] == 1
    assert answer["n"][0] == 34


def test_training_seeds_are_the_outer_level():
    parts = [table(seed=0, effect=0.1 * factor).assign(seed=number) for number, factor in enumerate((1, 3, 5))]
    answer = contrast_frame(pd.concat(parts), "cross", "base", "js_stability")
    pooled = contrast_frame(parts[1], "cross", "base", "js_stability")
    assert ((answer["high"] - answer["low"]) > 3 * (pooled["high"] - pooled["low"])).all()


def test_a_model_without_seeds_is_the_partner_of_every_seed():
    base = table(("base",))
    cross = [table(("cross",), effect=0.0).assign(seed=number) for number in range(3)]
    answer = contrast_frame(pd.concat([base, *cross]), "cross", "base", "js_stability")
    assert answer["n"].tolist() == [108, 108]
    assert answer["n_unpaired"].tolist() == [0, 0]
    swapped = contrast_frame(pd.concat([base, *cross]), "base", "cross", "js_stability")
    assert np.allclose(swapped["estimate"], -answer["estimate"])


def test_a_checkpoint_against_itself_is_zero():
    frame = pd.concat([table(("base",)), table(("base",)).assign(checkpoint="again")])
    answer = contrast_frame(frame, "again", "base", "js_stability")
    assert (answer["estimate"] == 0).all()
    assert (answer["p"] == 1).all()
    assert (answer["q"] == 1).all()


def test_categories_and_the_results_table_work_alike():
    from xlprobe.results import Results

    frame = table()
    answer = Results(frame).contrast("cross", "base", "js_stability")
    assert np.allclose(
        answer["estimate"], contrast_frame(frame, "cross", "base", "js_stability")["estimate"], atol=1e-6
    )


def test_summary_has_group_intervals_and_counts():
    frame = table(checkpoints=("base",))
    frame.loc[0, "value"] = np.nan
    answer = summarise(frame, ["checkpoint", "question_language"])
    assert len(answer) == 3
    assert answer["n_nan"].sum() == 1
    assert answer["n_groups"].tolist() == [6, 6, 6]
    one = frame[frame["question_language"] == "fr"]
    row = answer[answer["question_language"] == "fr"].iloc[0]
    assert row["mean"] == pytest.approx(one["value"].mean())
    assert row["low"] < row["mean"] < row["high"]


def test_summary_of_set_level_rows_has_no_interval():
    frame = table(groups=1, heads=1).iloc[:1].assign(group=None, sample=None, metric="cka")
    answer = summarise(frame, ["metric"])
    assert np.isnan(answer["low"][0])
    assert answer["n"][0] == 1
    assert answer["n_groups"][0] == 0


def test_reference_is_taken_off():
    frame = table(heads=1, metric="mass_lift")
    changed = subtract_reference(frame, "mass_lift")
    assert set(changed["question_language"]) == {"fr", "de"}
    assert len(changed) == 2 * 12 * 2
    keys = ["checkpoint", "sample"]
    wide = frame.pivot_table(index=keys, columns="question_language", values="value")
    got = changed[changed["question_language"] == "fr"].set_index(keys)["value"]
    assert np.allclose(got.sort_index(), (wide["fr"] - wide["en"]).sort_index())


def test_a_missing_reference_is_nan_with_a_reason():
    frame = table(heads=1, metric="mass_lift")
    frame = frame[~((frame["question_language"] == "en") & (frame["sample"] == "s0-0"))]
    changed = subtract_reference(frame, "mass_lift")
    lost = changed[changed["value"].isna()]
    assert set(lost["sample"]) == {"s0-0"}
    assert lost["reason"].str.contains("no in-language reference").all()


def test_a_reference_that_names_no_pair_is_missing():
    frame = table(heads=1, metric="mass_lift")
    odd = (frame["question_language"] == "fr") & (frame["sample"] == "s0-0")
    changed = subtract_reference(frame.assign(reference=np.where(odd, "french", None)), "mass_lift")
    lost = changed[changed["value"].isna()]
    assert set(lost["sample"]) == {"s0-0"}
    assert set(lost["question_language"]) == {"fr"}


def test_difference_in_differences():
    frame = table(metric="mass_lift", effect=0.4)
    both = difference_in_differences(frame, "mass_lift", "cross", "base", by=("head",))
    assert np.allclose(both["estimate"], 0.4, atol=0.03)
    one = difference_in_differences(frame, "mass_lift", "base", by=("head",))
    changed = subtract_reference(frame, "mass_lift")
    expected = changed[changed["checkpoint"] == "base"].groupby("head")["value"].mean()
    assert np.allclose(one["estimate"], expected)
    every = difference_in_differences(frame, "mass_lift", by=("head",))
    assert set(every["checkpoint"]) == {"base", "cross"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: (f, "cross", "none", "js_stability"), "'none' without rows"),
        (lambda f: (f, "cross", "base", "cka"), "no rows of 'cka'"),
        (lambda f: (pd.concat([f, f]), "cross", "base", "js_stability"), "several rows"),
        (lambda f: (f.assign(step=range(len(f))), "cross", "base", "js_stability"), "share no rows"),
    ],
)
def test_what_cannot_be_paired_is_refused(change, message):
    with pytest.raises(ResultsError, match=message):
        contrast_frame(*change(table()))


def test_columns_that_do_not_vary_may_be_absent():
    frame = table(heads=1)
    few = ["checkpoint", "sample", "group", "question_language", "metric", "value"]
    for whole, part in (
        (summarise(frame, ["checkpoint"]), summarise(frame[few], ["checkpoint"])),
        (
            contrast_frame(frame, "cross", "base", "js_stability", by=("question_language",)),
            contrast_frame(frame[few], "cross", "base", "js_stability", by=("question_language",)),
        ),
    ):
        pd.testing.assert_frame_equal(whole, part)
    assert summarise(frame[["value"]], [])["reason"].tolist() == ["the rows name no theory"]
    with pytest.raises(ResultsError, match="no column 'value'; it has checkpoint, sample"):
        summarise(frame[few[:-1]], ["checkpoint"])
    with pytest.raises(ResultsError, match="no column 'metric'"):
        contrast_frame(frame[["checkpoint", "sample", "value"]], "cross", "base", "js_stability")


def test_unknown_columns_are_refused():
    with pytest.raises(ResultsError, match="by=\\['language'\\]"):
        contrast_frame(table(), "cross", "base", "js_stability", by=["language"])

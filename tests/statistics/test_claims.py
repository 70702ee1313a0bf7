"""What may be claimed: verdicts, stability above floor, ratios of means, proportions."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest

from xlprobe.errors import ResultsError
from xlprobe.results import COLUMNS, Results
from xlprobe.statistics import (
    LEAST_GAP,
    MIN_GROUPS,
    above_floor,
    contrast,
    contrast_frame,
    heads_that_change,
    instability,
    instability_index,
    proportion_interval,
    ratio_of_means,
    recovery,
    summarise,
    verdict,
)

PAIRS = (("en", "fr"), ("fr", "en"))
LEVELS = {"observed": 0.90, "floor": 0.95, "chance": 0.70}


def stability(theories=8, checkpoints=None, heads=2, seed=0, levels=LEVELS, noise=0.01):
    """Rows of stability with controls: every checkpoint shifts what its entry says, by condition."""
    rng = np.random.default_rng(seed)
    rows = []
    for name, shifts in (checkpoints or {"a": {}, "b": {}}).items():
        for theory, question, head in itertools.product(range(theories), range(2), range(heads)):
            at = {"checkpoint": name, "dataset": "rules", "sample": f"s{theory}-{question}", "layer": 0, "head": head,
                  "metric": "js_stability", "block": "question->context", "pooling": "token"}  # fmt: skip
            for context, other in PAIRS:
                for condition, level in levels.items():
                    language = other if condition == "observed" else context
                    # Chance is measured on pairs of theories, which count once.
                    group = theory - theory % 2 if condition == "chance" else theory
                    value = level + shifts.get(condition, 0.0) + noise * rng.normal()
                    rows.append(
                        at | {"context_language": context, "question_language": language, "group": f"t{group}",
                              "reference": f"{context}-{context}", "condition": condition, "value": value}
                    )  # fmt: skip
    return pd.DataFrame(rows).reindex(columns=list(COLUMNS))


def test_a_verdict_needs_an_interval_p_and_six_theories():
    rows = pd.DataFrame(
        [
            (0.1, 0.2, 0.01, 12, 1),
            (-0.2, -0.1, 0.01, 12, -1),
            (-0.1, 0.2, 0.01, 12, 0),
            (0.1, 0.2, 0.06, 12, 0),
            (0.1, 0.2, 0.05, 12, 0),
            (0.1, 0.2, 0.01, MIN_GROUPS - 1, 0),
            (0.1, 0.2, 0.01, MIN_GROUPS, 1),
            (0.0, 0.2, 0.01, 12, 0),
            (math.nan, math.nan, 0.01, 12, 0),
            (math.nan, -0.1, 0.01, 12, 0),
            (0.1, 0.2, math.nan, 12, 0),
        ],
        columns=["low", "high", "p", "n_groups", "expected"],
    )
    assert verdict(rows).tolist() == rows["expected"].tolist()
    assert [int(verdict(row)[0]) for _, row in rows.iterrows()] == rows["expected"].tolist()
    assert verdict(rows.assign(q=1.0), p="q").tolist() == [0] * len(rows)
    assert verdict({"low": 0.1, "high": 0.2, "p": 0.01, "n_groups": 6}).tolist() == [1]


@pytest.mark.parametrize("theories", [1, 2, 5])
def test_few_theories_that_agree_are_no_verdict(theories):
    few = contrast(np.linspace(0.9, 1.1, theories), draws=99)
    assert verdict(few).tolist() == [0]
    assert verdict(contrast(np.linspace(0.9, 1.1, 6), draws=99)).tolist() == [1]


def test_above_floor_is_paired_by_problem_and_keeps_the_raw_value():
    frame = stability()
    found = above_floor(frame)
    assert set(found["condition"]) == {"observed"}
    assert len(found) == 2 * 16 * 2 * 2
    row = found.iloc[5]
    same = frame[(frame["sample"] == row["sample"]) & (frame["head"] == row["head"])]
    same = same[(same["checkpoint"] == row["checkpoint"]) & (same["context_language"] == row["context_language"])]
    floor = same.loc[same["condition"] == "floor", "value"].item()
    assert row["raw"] == same.loc[same["condition"] == "observed", "value"].item()
    assert row["floor"] == floor
    assert row["value"] == row["raw"] - floor


def test_a_problem_without_floor_is_undefined_with_a_reason():
    frame = stability()
    frame = frame[~((frame["sample"] == "s0-0") & (frame["condition"] == "floor"))]
    found = above_floor(frame)
    lost = found[found["value"].isna()]
    assert set(lost["sample"]) == {"s0-0"}
    assert set(lost["reason"]) == {"no floor of this problem in the table"}
    with pytest.raises(ResultsError, match="no floor of 'js_stability'; measure with controls"):
        above_floor(frame[frame["condition"] != "floor"])
    with pytest.raises(ResultsError, match="no code-switched rows"):
        above_floor(frame[frame["condition"] != "observed"])


def test_what_a_checkpoint_loses_without_a_border_is_no_loss_across_it():
    """Less stable across languages, and as much less stable in one: above floor nothing changes."""
    frame = stability(checkpoints={"a": {}, "b": {"observed": -0.04, "floor": -0.04}})
    raw = contrast_frame(frame, "b", "a", "js_stability", by=())
    assert verdict(raw).tolist() == [-1]
    above = contrast_frame(frame, "b", "a", "js_stability", by=(), reference="floor")
    assert verdict(above).tolist() == [0]
    assert above["raw"][0] == pytest.approx(raw["estimate"][0])
    assert above["estimate"][0] == pytest.approx(0, abs=0.01)


def test_the_heads_that_change_come_first():
    frame = stability(12, heads=4)
    touched = (frame["checkpoint"] == "b") & (frame["head"] == 2) & (frame["condition"] == "observed")
    frame.loc[touched & (frame["context_language"] == "fr"), "value"] -= 0.2
    controls = frame.assign(pooling="density").assign(value=frame["value"] + (frame["head"] == 1) * 3.0)
    results = Results(pd.concat([frame, controls, frame.assign(block="context->context", value=frame["value"] * 2)]))
    found = results.heads_that_change("a", "b", draws=999)
    assert len(found) == 2 * 4
    first = found.iloc[0]
    assert (first["context_language"], first["question_language"], first["head"]) == ("fr", "en", 2)
    assert first["estimate"] == pytest.approx(-0.2, abs=0.02)
    assert first["mean_after"] - first["mean_before"] == pytest.approx(first["estimate"])
    assert first["q"] < 0.05
    assert found["verdict"].tolist() == [-1] + [0] * 7
    backwards = heads_that_change(results.select(block="question->context", pooling="token").to_frame(), "b", "a")
    assert backwards["estimate"][0] == pytest.approx(-first["estimate"])


def test_instability_index():
    assert instability_index(0.3, 0.1, 0.5) == pytest.approx(0.5)
    assert instability_index([0.3, 0.1], 0.1, 0.5).tolist() == pytest.approx([0.5, 0.0])
    assert np.isnan(instability_index(0.3, 0.5, 0.5))
    assert np.isnan(instability_index(0.3, 0.5, 0.4))
    assert np.isnan(instability_index(0.3, 0.1, 0.1 + 0.9 * LEAST_GAP))
    assert instability_index(0.3, 0.1, 0.1 + LEAST_GAP) == pytest.approx(0.2 / LEAST_GAP)


def test_instability_is_a_ratio_of_means_over_pairs_of_theories():
    frame = stability(theories=24)
    found = instability(frame, ["checkpoint", "context_language", "question_language"])
    assert found["mean"].to_numpy() == pytest.approx((0.10 - 0.05) / (0.30 - 0.05), abs=0.03)
    assert found["n_groups"].tolist() == [12] * 4
    assert found["n"].tolist() == [24 * 2 * 2] * 4
    assert ((found["low"] < found["mean"]) & (found["mean"] < found["high"])).all()
    one = frame[(frame["checkpoint"] == "a") & (frame["context_language"] == "en")]
    means = 1 - one.groupby("condition", observed=True)["value"].mean()
    assert found["mean"][0] == pytest.approx(
        float(instability_index(means["observed"], means["floor"], means["chance"]))
    )
    short = instability(frame[frame["group"].isin([f"t{n}" for n in range(10)])], ["checkpoint"])
    assert short["reason"].tolist() == ["fewer than 6 theories"] * 2  # ten theories are five pairs
    assert short["low"].isna().all()


def test_instability_is_undefined_where_chance_is_near_floor():
    frame = stability(theories=24, levels={"observed": 0.90, "floor": 0.95, "chance": 0.93})
    found = instability(frame, ["checkpoint"])
    assert found["mean"].isna().all()
    assert found["low"].isna().all()
    assert found["reason"].tolist() == [f"chance is less than {LEAST_GAP} bits above floor"] * 2


def test_instability_intervals_hold_the_truth():
    hits = 0
    for seed in range(150):
        row = instability(stability(24, {"a": {}}, heads=1, seed=seed, noise=0.05), ["checkpoint"]).iloc[0]
        hits += row["low"] <= 0.2 <= row["high"]
    assert 0.90 <= hits / 150 <= 0.99


def test_recovery_is_a_ratio_of_means_not_a_mean_of_ratios():
    corrupt, clean = np.zeros(12), np.array([4.0] * 11 + [0.05])
    patched = np.array([2.0] * 11 + [-0.5])  # the last one's own ratio is -10
    found = recovery(patched, corrupt, clean)
    assert found.value[0] == pytest.approx((22 - 0.5) / 44.05)
    assert found.low[0] < found.value[0] < found.high[0]
    assert found.n.tolist() == [12]
    assert np.mean(patched / clean) < -0.3
    near = recovery(patched, corrupt, clean / 5)
    assert np.isnan(near.value[0])
    assert near.reason[0] == "the mean below the line is under 1"


def test_a_ratio_leaves_out_samples_that_lack_a_side():
    top, bottom = np.array([[1.0], [2.0], [np.nan], [4.0]]), np.array([[2.0], [4.0], [9.0], [np.nan]])
    found = ratio_of_means(top, bottom, ["a", "a", "b", "b"])
    assert found.value[0] == pytest.approx(3 / 6)
    assert found.n.tolist() == [2]
    assert found.reason[0] == "fewer than 6 theories"
    with pytest.raises(ResultsError, match="expected as many"):
        ratio_of_means(top, bottom[:3])


def test_all_right_is_not_certain():
    found = proportion_interval(np.ones(150), np.repeat(np.arange(75), 2))
    assert found.high[0] == 1
    assert 0.94 < found.low[0] < 0.98
    single = proportion_interval(np.ones(150))
    # Wilson: 1 / (1 + z^2 / n), with t of 149 degrees of freedom for z.
    assert single.low[0] == pytest.approx(1 / (1 + 1.976013**2 / 150), abs=1e-6)
    wrong = proportion_interval(np.zeros(150))
    assert (wrong.low[0], wrong.high[0]) == pytest.approx((0.0, 1 - single.low[0]))


def test_more_right_is_never_a_lower_interval():
    groups = np.repeat(np.arange(75), 2)
    lows = []
    for wrong in range(12):
        values = np.ones(150)
        values[: 2 * wrong : 2] = 0
        lows.append(proportion_interval(values, groups).low[0])
    assert (np.diff(lows) < 1e-3).all()


def test_alike_questions_widen_the_interval_of_a_proportion():
    groups = np.repeat(np.arange(40), 4)
    theories = np.repeat(np.arange(40) < 28, 4).astype(float)
    mixed = np.tile([1.0, 1, 1, 0], 40)
    alike, unlike = proportion_interval(theories, groups), proportion_interval(mixed, groups)
    assert alike.high[0] - alike.low[0] > 1.7 * (unlike.high[0] - unlike.low[0])
    assert proportion_interval([1.0] * 5).reason[0] == "fewer than 6 theories"
    with pytest.raises(ResultsError, match="below 0 or above 1"):
        proportion_interval([0.5, 1.5])


def test_one_accuracy_has_one_interval_however_it_is_summed():
    rng = np.random.default_rng(4)
    columns = {"checkpoint": "a", "dataset": "d", "metric": "correct", "layer": None, "head": None}
    rows = pd.DataFrame(
        [{"sample": f"s{t}-{q}", "group": f"t{t}", "value": float(rng.random() < 0.8)} for t in range(20)
         for q in range(1 + t % 3)]
    ).assign(**columns).reindex(columns=list(COLUMNS))  # fmt: skip
    whole = summarise(rows, ["checkpoint"]).iloc[0]
    means = rows.groupby("group", as_index=False).agg(value=("value", "mean"), count=("value", "size"))
    short = summarise(means.assign(**columns, seed=None).reindex(columns=[*COLUMNS, "count"]), [], weights="count")
    for name in ("mean", "low", "high", "n", "n_groups"):
        assert short[name][0] == pytest.approx(whole[name])
    array = proportion_interval(rows["value"].to_numpy(), rows["group"].to_numpy())
    assert (array.low[0], array.high[0]) == pytest.approx((whole["low"], whole["high"]))

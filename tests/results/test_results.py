from __future__ import annotations

import itertools
import json
import os

import numpy as np
import pandas as pd
import pytest

from xlprobe import Results
from xlprobe.errors import ResultsError
from xlprobe.files import write_atomically
from xlprobe.results import COLUMNS, ResultsWriter


@pytest.fixture
def table(tmp_path):
    """Two metrics of twelve samples in two layers and three heads, written in two pieces."""
    with ResultsWriter(tmp_path / "table", {"seed": 3}) as writer:
        for start in (0, 6):
            samples = [f"s{n}" for n in range(start, start + 6)]
            for layer in (0, 1):
                for metric in ("js_stability", "entropy"):
                    values = np.arange(18).reshape(6, 3) + 100 * layer
                    labels = {
                        "sample": samples,
                        "group": [f"g{n // 2}" for n in range(start, start + 6)],
                        "depth": [None, 1] * 3,
                    }
                    writer.append(values, labels, checkpoint="c", metric=metric, layer=layer)
    return Results.load(tmp_path / "table")


def test_rows_come_back_with_every_column(table):
    frame = table.to_frame()
    assert tuple(frame.columns) == COLUMNS
    assert len(table) == len(frame) == 2 * 2 * 12 * 3
    row = frame[(frame["sample"] == "s1") & (frame.layer == 1) & (frame["head"] == 2) & (frame.metric == "entropy")]
    assert row.value.tolist() == [105.0]
    assert row.group.tolist() == ["g0"]
    assert row.depth.tolist() == [1]
    assert row.condition.tolist() == ["observed"]
    assert row.reference.isna().all()
    assert table.manifest == {"seed": 3}


def test_selection_narrows_without_reading_all(table):
    assert len(table.select(metric="entropy", layer=0)) == 36
    assert len(table.select(metric="entropy").select(head=[0, 1])) == 48
    assert len(table.select(reference=None)) == len(table)
    assert len(table.select(depth=1)) == len(table) // 2
    assert table.select(layer=1).unique("metric") == ["entropy", "js_stability"]
    with pytest.raises(ResultsError, match="got the column 'colour'"):
        table.select(colour="red")


def test_means_are_those_of_the_frame_and_count_nan(table, tmp_path):
    frame = table.to_frame()
    frame.loc[frame.index[:5], "value"] = np.nan
    means = Results(frame).means(["metric", "layer"])
    expected = frame.groupby(["metric", "layer"], observed=True).value.agg(["mean", "count"]).reset_index()
    np.testing.assert_allclose(means.value, expected["mean"])
    assert means.n.tolist() == expected["count"].tolist()
    assert means.n_nan.sum() == 5


def test_what_is_asked_layer_by_layer_on_disk_is_what_the_whole_table_answers(tmp_path):
    rng = np.random.default_rng(0)
    samples = [f"t{n // 2}-q{n % 2}" for n in range(24)]
    labels = {"sample": samples, "group": [key.split("-")[0] for key in samples]}
    with ResultsWriter(tmp_path, {}) as writer:
        for checkpoint in ("a", "b"):
            for layer in range(3):
                writer.append(
                    rng.random((24, 4)), labels, checkpoint=checkpoint, layer=layer, metric="js_stability",
                    context_language="en", question_language="fr", reference="en-en", block="context->context",
                    pooling="token",
                )  # fmt: skip
    stored = Results.load(tmp_path)
    memory = Results(stored.to_frame())
    columns = ["layer", "head", "mean_a", "mean_b", "estimate", "d_z", "n", "n_groups"]
    whole = memory.contrast("a", "b", "js_stability")
    parts = [stored.select(layer=layer).contrast("a", "b", "js_stability") for layer in range(3)]
    pd.testing.assert_frame_equal(pd.concat(parts, ignore_index=True)[columns], whole[columns])
    some = stored.select(layer=1, checkpoint="b").means(["head"])
    frame = memory.to_frame()
    frame = frame[(frame.layer == 1) & (frame.checkpoint == "b")]
    np.testing.assert_allclose(some.value, frame.groupby("head", observed=True).value.mean(), rtol=1e-6)


def test_a_frame_may_leave_out_columns_and_is_saved_whole(tmp_path):
    frame = pd.DataFrame({"metric": ["correct"] * 3, "value": [1.0, 0.0, np.nan], "reason": [None, None, "no label"]})
    again = Results.load(Results(frame, {"a": "ж"}).save(tmp_path))
    assert again.to_frame().value.isna().tolist() == [False, False, True]
    assert again.select(reason="no label").to_frame().metric.tolist() == ["correct"]
    assert json.loads((tmp_path / "manifest.json").read_text()) == again.manifest == {"a": "ж"}


def test_tables_are_joined(table):
    both = Results.concat([table.select(metric="entropy"), table.select(metric="js_stability")])
    assert len(both) == len(table)
    assert [part["seed"] for part in both.manifest["parts"]] == [3, 3]


def test_nothing_is_left_behind_when_a_run_is_interrupted(tmp_path):
    with pytest.raises(KeyboardInterrupt), ResultsWriter(tmp_path, {}) as writer:
        writer.append(np.ones(3), metric="entropy")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_while_the_table_is_begun_leaves_nothing(tmp_path, monkeypatch):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("pyarrow.parquet.ParquetWriter", interrupted)
    with pytest.raises(KeyboardInterrupt), ResultsWriter(tmp_path, {}):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_failure_to_write_rows_is_raised_and_nothing_is_left_behind(tmp_path, monkeypatch):
    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pyarrow.parquet.ParquetWriter.write_table", full)
    with pytest.raises(ResultsError, match=r"results.parquet: No space"), ResultsWriter(tmp_path, {}) as writer:
        for _ in range(3):
            writer.append(np.ones(1 << 16), metric="entropy")
    with pytest.raises(ResultsError, match=r"results.parquet: No space"), ResultsWriter(tmp_path, {}) as writer:
        writer.append(np.ones(3), metric="entropy")
    assert list(tmp_path.iterdir()) == []


def test_an_old_table_stays_until_the_new_one_is_whole(tmp_path):
    Results(pd.DataFrame({"metric": ["old"], "value": [1.0]})).save(tmp_path)
    with pytest.raises(RuntimeError), ResultsWriter(tmp_path, {}) as writer:
        writer.append(np.ones(3), metric="new")
        raise RuntimeError
    assert Results.load(tmp_path).unique("metric") == ["old"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_directory_that_cannot_be_written_is_an_error(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(ResultsError, match="cannot write"), ResultsWriter(tmp_path / "new", {}):
        pass


def test_a_place_that_is_a_file_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultsError, match="cannot write"), ResultsWriter(tmp_path / "file" / "new", {}):
        pass


@pytest.mark.parametrize("content", [b"", b"PAR1 not really", None])
def test_a_broken_or_missing_table_is_an_error(tmp_path, content):
    path = tmp_path / "results.parquet"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ResultsError, match="cannot read the table"):
        Results.load(path)


def test_a_table_of_other_columns_is_an_error():
    import pyarrow as pa

    with pytest.raises(ResultsError, match="without the columns"):
        Results(pa.table({"x": [1]}))
    with pytest.raises(ResultsError, match="'layer' does not hold"):
        Results(pd.DataFrame({"metric": ["a"], "value": [1.0], "layer": ["first"]}))


def test_files_are_written_atomically(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    write_atomically(path, "one")

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(ResultsError, match=r"a.txt: No space left on device. .* before is whole"):
        write_atomically(path, "two")
    assert path.read_text() == "one"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.parametrize("reference", [None, "floor"])
def test_a_long_table_is_contrasted_layer_by_layer(tmp_path, monkeypatch, reference):
    rng = np.random.default_rng(0)
    samples = [f"t{n // 2}-q{n % 2}" for n in range(24)]
    labels = {"sample": samples, "group": [key.split("-")[0] for key in samples]}
    with ResultsWriter(tmp_path, {}) as writer:
        for checkpoint, layer, seed in itertools.product("ab", range(3), (0, 1)):
            if (checkpoint, layer) == ("b", 2):  # rows without a partner
                continue
            for question, condition in (("fr", "observed"), ("en", "floor")):
                values = np.where(rng.random((24, 4)) < 0.1, np.nan, rng.random((24, 4)))
                writer.append(
                    values, labels, checkpoint=checkpoint, layer=layer, metric="js_stability", seed=seed,
                    context_language="en", question_language=question, reference="en-en", block="context->context",
                    pooling="token", condition=condition,
                )  # fmt: skip
    stored = Results.load(tmp_path)
    asked = {"by": ("head",), "reference": reference, "draws": 99}
    whole = stored.contrast("a", "b", "js_stability", **asked)
    sizes = []
    lean_frame = Results.lean_frame
    monkeypatch.setattr("xlprobe.results.table.ROWS_AT_ONCE", 100)
    monkeypatch.setattr(Results, "lean_frame", lambda self, more=(): sizes.append(len(self)) or lean_frame(self, more))
    parts = stored.contrast("a", "b", "js_stability", **asked)
    assert max(sizes) < len(stored) / 2
    pd.testing.assert_frame_equal(whole, parts)
    heads = stored.heads_that_change("a", "b", by=("layer", "head"), block="context->context", reference=reference)
    assert heads["layer"].isin([0, 1]).all()
